"""Ten epochs after five are ten at once, where the schedule allows it; else a line says why not."""

import csv
import io
from pathlib import Path

import pytest
from rich.console import Console
from safetensors.numpy import load_file

from regbench.experiment import train as experiment
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.records.files import CHECKPOINT, HISTOGRAMS, METRICS, MODEL
from regbench.techniques.scheduler import continues
from support import option_of

TINY = ("model.hidden=[8]", "data.train_size=100", "data.val_size=100", "runtime.threads=1", "dropout=0.2")


@pytest.fixture
def train(make_config, tmp_path):
    def call(*overrides, study="s"):
        config = make_config(*TINY, *overrides)
        runtime = config.runtime.model_copy(update={"dir": str(tmp_path), "study": study})
        run = Run(config.model_copy(update={"runtime": runtime}), overrides)
        said = io.StringIO()
        experiment.run(run, Reporter("plain", Console(file=said, width=400)))
        return run.path, said.getvalue()

    return call


def figures(path: Path):
    with (path / METRICS).open() as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_more_epochs_are_those_of_a_run_at_once(train):
    shorter, _ = train("epochs=2", "norm=batch")
    assert (shorter / CHECKPOINT).exists()
    path, said = train("epochs=3", "norm=batch")
    whole, _ = train("epochs=3", "norm=batch", study="whole")
    assert f"takes the first 2 epochs from {shorter}" in said
    assert "resuming after epoch 2" in said
    assert figures(path) == figures(whole)
    weights, expected = load_file(path / MODEL), load_file(whole / MODEL)
    assert all((weights[name] == expected[name]).all() for name in expected)
    assert (path / HISTOGRAMS).read_bytes() == (whole / HISTOGRAMS).read_bytes()
    assert figures(shorter) == figures(whole)[:2], "the shorter run stays as it is"


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["scheduler=cosine"], "scheduler=cosine depends on the number of epochs"),
        (["runtime.keep_state=false"], "its state is not kept (runtime.keep_state=true keeps it)"),
    ],
)
def test_it_says_why_it_begins_again(train, overrides, reason):
    shorter, _ = train("epochs=2", *overrides)
    _, said = train("epochs=3", *overrides)
    assert f"begins again, not after the 2 epochs of {shorter}: {reason}" in said


def test_a_damaged_state_is_not_used(train):
    shorter, _ = train("epochs=1")
    content = bytearray((shorter / CHECKPOINT).read_bytes())
    content[len(content) // 2] ^= 64
    (shorter / CHECKPOINT).write_bytes(content)
    path, said = train("epochs=2")
    assert "its state is damaged" in said
    assert len(figures(path)) == 2


def test_another_run_s_epochs_are_none_of_its_own(train):
    train("epochs=1", "optimizer.lr=0.1")
    _, said = train("epochs=2")
    assert "epoch of" not in said


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("constant", {}, True),
        ("step", {}, True),
        ("multistep", {}, True),
        ("exponential", {}, True),
        ("exponential", {"interval": "step"}, True),
        ("reduce_on_plateau", {}, True),
        ("linear", {"total_iters": 2}, True),
        ("linear", {"total_iters": None}, False),
        ("cosine", {}, False),
        ("one_cycle", {}, False),
    ],
)
def test_which_schedules_continue(name, args, expected):
    assert continues(option_of("scheduler", name, **args), 0.1, 3, 6) is expected
