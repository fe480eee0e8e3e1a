import csv
import gc
import json
import re
import shutil
import signal
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from rich.console import Console
from safetensors.torch import load_file

from regbench.config.run_config import RunConfig
from regbench.data.split import load_split
from regbench.errors import UserError
from regbench.experiment import train as experiment
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run as CheckedRun
from regbench.models.architectures import build
from regbench.records import predictions, run_dir
from regbench.records.metrics import SELECTIONS
from regbench.records.run_dir import RunDir
from regbench.training.stack import Stack
from regbench.training.trainer import Trainer

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
TINY = ("model.hidden=[16]", "data.train_size=500", "data.val_size=300", "epochs=3")
STEPS = 5  # of an epoch
TECHNIQUES = {
    "sgd with momentum": ("optimizer=sgd", "optimizer.momentum=0.9"),
    "adam, dropout": ("optimizer=adam", "dropout=0.4"),
    "rmsprop, batch norm": ("optimizer=rmsprop", "norm=batch", "optimizer.momentum=0.5", "optimizer.centered=true"),
    "adagrad, dropout, batch norm": ("optimizer=adagrad", "dropout=0.2", "norm=batch"),
    "adamw, cosine": ("optimizer=adamw", "scheduler=cosine", "optimizer.lr=0.01"),
    "pre-training, smoothing, max-norm": ("init=rbm", "init.epochs=2", "label_smoothing=0.1", "max_norm=1"),
    "no validation": ("data.val_size=0", "dropout=0.3", "scheduler=step"),
}


class Stopping(Reporter):
    """Presses Ctrl-C after some steps."""

    def __init__(self, steps: int) -> None:
        super().__init__("off")
        self.steps = steps

    def tick(self, images: int) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise KeyboardInterrupt


class Run:
    """A config in a directory of its own, and what is there after training."""

    def __init__(self, config: RunConfig, folder: Path) -> None:
        place = {"dir": str(folder), "device": "cpu", "progress": "off", "keep_state": False}
        runtime = config.runtime.model_copy(update=place)
        self.config = config.model_copy(update={"runtime": runtime})
        self.folder = folder

    def train(self, reporter: Reporter | None = None, force: bool = False) -> str:
        config = self.config.model_copy(update={"force": force})
        return str(experiment.run(CheckedRun(config, ["seed=0"]), reporter or Reporter("off")).state)

    def stop(self, steps: int) -> None:
        with pytest.raises(KeyboardInterrupt):
            self.train(Stopping(steps))

    @property
    def path(self) -> Path:
        (path,) = (self.folder / self.config.runtime.study).iterdir()
        return path

    @property
    def record(self) -> dict[str, Any]:
        def refuse(word: str) -> None:
            raise AssertionError(f"{word} is no JSON")

        record: dict[str, Any] = json.loads((self.path / "run.json").read_text(), parse_constant=refuse)
        return record

    def rows(self) -> list[dict[str, str]]:
        """Of metrics.csv, as written, but for the seconds."""
        with (self.path / "metrics.csv").open(newline="") as file:
            return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]

    def numbers(self) -> tuple[Any, ...]:
        """All that must not depend on interruptions: metrics, weights as bytes, figures."""
        record = self.record
        result = record["result"] and {k: v for k, v in record["result"].items() if "seconds" not in k}
        model = self.path / "model.safetensors"
        return self.rows(), model.read_bytes() if model.exists() else None, record["status"], record["error"], result

    def files(self) -> dict[str, tuple[int, bytes]]:
        """Each file's time and content."""
        return {
            str(path): (path.stat().st_mtime_ns, path.read_bytes())
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def run(make_config, tmp_path) -> Callable[..., Run]:
    """`run("norm=batch")`: a small run in a folder of its own."""
    folders: Iterator[Path] = (tmp_path / f"runs{index}" for index in range(20))
    return lambda *overrides: Run(make_config(*TINY, *overrides), next(folders))


def spoken(train: Callable[[Reporter], str]) -> tuple[str, list[str]]:
    """The status that a run ends with, and the lines it prints."""
    with (console := Console(width=80)).capture() as capture:
        status = train(Reporter("plain", console))
    return status, capture.get().splitlines()


# A whole run


def test_a_run_leaves_a_directory_with_all_there_is_to_know(run):
    one = run("norm=batch")
    status, lines = spoken(one.train)
    assert status == "completed"
    assert sorted(path.name for path in one.path.iterdir() if path.name != ".lock") == [
        "config.yaml",
        "histograms.safetensors",
        "layers.csv",
        "metrics.csv",
        "model.safetensors",
        "predicted.safetensors",
        "run.json",
        "train.log",
    ]
    assert one.path.name.startswith("mlp-batch-relu-kaiming-adam-s0-")
    record = one.record
    assert record["identity"].startswith(one.path.name.rpartition("-")[2])
    assert record["overrides"] == ["seed=0"]
    assert torch.__version__.startswith(record["versions"]["torch"])
    assert {"regbench", "numpy", "python"} < set(record["versions"])
    assert record["machine"]["device"] == "cpu"
    assert record["machine"]["threads"] == torch.get_num_threads()
    assert str(one.path) in lines
    assert f"{record['result']['best_val']['test_acc']:.2%}".replace("%", " %") in lines[-2]
    log = [line.split("  ", 1)[1] for line in (one.path / "train.log").read_text().splitlines()]
    assert log[0] == "regbench train seed=0"
    assert f"torch {torch.__version__}" in log[1]
    assert ": cpu (" in log[2]
    assert log[3].startswith("mlp-batch-relu-kaiming-adam-s0: ")
    assert log[4] == "mnist: 500 images to train, 300 to validate, 10,000 to test"
    assert [line.split()[0] for line in log[5:9]] == ["epoch", "1/3", "2/3", "3/3"]
    assert log[9] in lines
    assert log[9].startswith("test accuracy ")
    assert log[-1].startswith("completed: ")


def test_the_figures_are_those_of_the_kept_weights_and_rows(run):
    one = run("optimizer.lr=0.03", "epochs=6", "model.hidden=[64]")
    one.train()
    result, rows = one.record["result"], one.rows()
    losses = [float(row["val_loss"]) for row in rows]
    chosen = losses.index(min(losses))
    assert result["best_val"]["epoch"] == chosen + 1 < 6
    assert result["last"]["epoch"] == 6
    for name, row in {"best_val": rows[chosen], "last": rows[-1]}.items():
        for key in ("train_loss", "train_acc", "val_loss", "val_acc"):
            assert result[name][key] == float(row[key])
    model = build(one.config)
    model.load_state_dict(load_file(one.path / "model.safetensors"))
    split = load_split(one.config.data, one.config.seed, CPU, Path("unused"))
    with torch.no_grad():
        classes = model.eval()(split.scaled(split.test_images)).argmax(1)
    assert result["best_val"]["test_acc"] == pytest.approx((classes == split.test_labels).double().mean().item())
    found = predictions.read(one.path)
    assert found and found.images == 10_000
    assert (found.classes["best_val"] == classes.numpy()).mean() > 0.9999  # a tie may be rounded otherwise
    assert [found.of(name).mean() for name in SELECTIONS] == [result[name]["test_acc"] for name in SELECTIONS]


def test_the_same_command_trains_once(run):
    one = run()
    one.train()
    before = one.files()
    status, lines = spoken(one.train)
    assert status == "completed"
    assert lines[0].startswith("already trained")
    assert any("test accuracy" in line for line in lines)
    assert one.files() == before


@pytest.mark.parametrize("techniques", ["sgd with momentum", "adagrad, dropout, batch norm"])
def test_force_trains_again_to_the_same_bytes(run, techniques):
    one = run(*TECHNIQUES[techniques])
    one.train()
    before, times = one.numbers(), one.files()
    _, lines = spoken(lambda reporter: one.train(reporter, force=True))
    assert not any("already" in line for line in lines)
    assert one.numbers() == before
    after = one.files()
    assert all(after[name][0] > time for name, (time, _) in times.items() if not name.endswith(".lock"))


def test_a_setting_of_the_machine_trains_nothing_again(run):
    one = run()
    one.train()
    runtime = one.config.runtime.model_copy(update={"threads": 1, "cache": "elsewhere"})
    one.config = one.config.model_copy(update={"runtime": runtime})
    assert spoken(one.train)[1][0].startswith("already trained")


# Interrupted and resumed


@pytest.mark.parametrize("techniques", TECHNIQUES)
def test_an_interrupted_run_ends_with_the_same_numbers(run, techniques):
    whole, stopped = run(*TECHNIQUES[techniques]), run(*TECHNIQUES[techniques])
    whole.train()
    stopped.stop(STEPS + 2)
    assert stopped.record["status"] == "interrupted"
    assert stopped.record["result"] is None
    assert (stopped.path / "checkpoint.pt").exists()
    assert stopped.rows() == whole.rows()[:1]
    status, lines = spoken(stopped.train)
    assert status == "completed"
    assert "resuming after epoch 1" in lines
    assert [line.split()[0] for line in lines if "/3 " in line] == ["2/3", "3/3"]
    assert stopped.numbers() == whole.numbers()
    assert not (stopped.path / "checkpoint.pt").exists()


@pytest.mark.parametrize("steps", [0, STEPS + 2])
def test_pretraining_is_told_once_however_often_a_run_is_stopped(run, steps):
    words = TECHNIQUES["pre-training, smoothing, max-norm"]
    whole, stopped = run(*words), run(*words)
    whole.train()
    stopped.stop(steps)
    stopped.train()
    told = [(one.path / "pretrain.csv").read_text() for one in (whole, stopped)]
    assert told[0] == told[1]
    assert len(told[0].splitlines()) == 1 + 2
    assert (stopped.path / "train.log").read_text().count("reconstruction_error") == 2
    whole.train(force=True)
    assert (whole.path / "pretrain.csv").read_text() == told[0]


@pytest.mark.parametrize("steps", [0, 3, STEPS, 2 * STEPS, 3 * STEPS - 1])
def test_a_run_can_be_interrupted_anywhere(run, steps):
    whole, stopped = run("dropout=0.3"), run("dropout=0.3")
    whole.train()
    stopped.stop(steps)
    assert stopped.record["status"] == "interrupted"
    assert stopped.train() == "completed"
    assert stopped.numbers() == whole.numbers()


def test_a_run_can_be_interrupted_again_and_again(run):
    whole, stopped = run("norm=batch"), run("norm=batch")
    whole.train()
    stopped.stop(STEPS + 1)
    started = stopped.record["times"]["started"]
    stopped.stop(STEPS + 1)
    assert len(stopped.rows()) == 2
    stopped.stop(2)
    assert stopped.train() == "completed"
    assert stopped.numbers() == whole.numbers()
    assert stopped.record["times"]["started"] == started


def test_a_run_interrupted_in_its_last_test_only_tests_again(run, monkeypatch):
    whole, stopped = run(), run()
    whole.train()
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "test", interrupt)
        with pytest.raises(KeyboardInterrupt):
            stopped.train()
    assert stopped.record["status"] == "interrupted"
    _, lines = spoken(stopped.train)
    assert not [line for line in lines if "/3 " in line]
    assert stopped.numbers() == whole.numbers()


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_run_whose_reader_went_away_is_not_running(run):
    """`regbench train | head -1`: rich leaves the program by SystemExit."""

    class Gone(Stopping):
        def tick(self, images: int) -> None:
            try:
                super().tick(images)
            except KeyboardInterrupt:
                sys.exit(1)

    one = run()
    with pytest.raises(SystemExit):
        one.train(Gone(STEPS + 2))
    assert one.record["status"] in ("interrupted", "failed")
    assert one.train() == "completed"


def test_an_engine_that_stops_a_run_says_why(run):
    class Leaving(Stopping):
        def tick(self, images: int) -> None:
            try:
                super().tick(images)
            except KeyboardInterrupt:
                raise SystemExit("its job was preempted") from None

    one = run()
    with pytest.raises(SystemExit):
        one.train(Leaving(STEPS + 2))
    assert (one.record["status"], one.record["error"]) == ("interrupted", "its job was preempted")


def test_force_begins_an_interrupted_run_anew(run):
    whole, stopped = run("dropout=0.1"), run("dropout=0.1")
    whole.train()
    stopped.stop(STEPS + 2)
    _, lines = spoken(lambda reporter: stopped.train(reporter, force=True))
    assert not any("goes on" in line for line in lines)
    assert stopped.numbers() == whole.numbers()


def test_a_run_killed_between_row_and_checkpoint(run):
    """Then metrics.csv is an epoch ahead, and its last line may be torn."""
    whole, killed = run("dropout=0.3"), run("dropout=0.3")
    whole.train()
    killed.stop(STEPS + 2)
    with (killed.path / "metrics.csv").open("a") as file:
        file.write("2,0.001,1.2")
    record = killed.record | {"status": "running", "error": None}
    (killed.path / "run.json").write_text(json.dumps(record))
    assert killed.train() == "completed"
    assert killed.numbers() == whole.numbers()


@pytest.mark.parametrize("damage", ["checkpoint.pt cut", "checkpoint.pt gone", "metrics.csv gone", "run.json torn"])
def test_a_damaged_directory_is_trained_to_the_same_numbers(run, damage, capsys):
    whole, stopped = run("norm=batch"), run("norm=batch")
    whole.train()
    stopped.stop(2 * STEPS + 2)
    name, how = damage.split()
    path = stopped.path / name
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    assert stopped.train() == "completed"
    warned = re.findall(rf"warning: .*{name} is (?:damaged|no JSON)", capsys.readouterr().err)
    assert len(warned) == (how != "gone")
    assert stopped.numbers() == whole.numbers()


# Ends without a result


WILD = ("optimizer=sgd", "optimizer.lr=1e6")


def test_divergence_is_a_status(run):
    wild = run(*WILD)
    status, lines = spoken(wild.train)
    assert status == "diverged"
    record = wild.record
    assert (record["status"], record["result"]) == ("diverged", None)
    assert "epoch 1" in record["error"]
    (row,) = wild.rows()
    assert row["train_loss"] == "nan" or row["val_loss"] in ("nan", "inf")
    assert any(line.startswith("diverged: ") for line in lines)
    assert not (wild.path / "checkpoint.pt").exists()
    assert not (wild.path / "model.safetensors").exists()


def test_a_diverged_run_is_not_trained_again(run):
    wild = run(*WILD)
    wild.train()
    before = wild.files()
    status, lines = spoken(wild.train)
    assert status == "diverged"
    assert lines[0].startswith("already trained")
    assert wild.files() == before


def test_rows_before_the_divergence_are_kept(run):
    growing = run("optimizer=sgd", "scheduler=exponential", "scheduler.gamma=1e7", "epochs=5")
    assert growing.train() == "diverged"
    rows = growing.rows()
    assert 1 < len(rows) < 5
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(1, len(rows) + 1)]
    assert all(row["train_loss"] not in ("nan", "inf") for row in rows[:-1])


def test_a_divergence_that_no_loss_has_seen_is_one_too(run):
    """The last step makes the weights infinite, and without validation only the test sees it."""
    wild = run("optimizer=sgd", "optimizer.lr=1e30", "data.val_size=0", "batch_size=500", "epochs=1")
    assert wild.train() == "diverged"
    record = wild.record
    assert (record["status"], record["result"]) == ("diverged", None)
    assert len(wild.rows()) == 1
    assert spoken(wild.train)[1][0].startswith("already trained")


def test_a_run_killed_as_it_diverged_ends_as_if_it_had_not_been(run, monkeypatch):
    whole, killed = run(*WILD), run(*WILD)
    whole.train()
    original = RunDir.end

    def end(self: RunDir, status: Any, *error: Any) -> None:
        if status == "diverged":
            raise KeyboardInterrupt
        original(self, status, *error)

    with monkeypatch.context() as patch:
        patch.setattr(RunDir, "end", end)
        with pytest.raises(KeyboardInterrupt):
            killed.train()
    assert killed.train() == "diverged"
    assert killed.numbers() == whole.numbers()


@pytest.fixture
def broken(monkeypatch) -> Iterator[pytest.MonkeyPatch]:
    """A defect in the program, from the second epoch on."""
    original = Stack.begin_epoch

    def fails(self: Stack, epoch: int, *args: Any) -> Any:
        if epoch == 1:
            raise RuntimeError("boom\nand a second line")
        return original(self, epoch, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Stack, "begin_epoch", fails)
        yield patch


def test_a_failure_is_a_status_with_a_traceback_in_the_log(run, broken):
    one = run()
    status, lines = spoken(one.train)
    assert status == "failed"
    record = one.record
    assert (record["status"], record["error"], record["result"]) == ("failed", "RuntimeError: boom", None)
    log = (one.path / "train.log").read_text()
    assert "Traceback (most recent call last)" in log
    assert "RuntimeError: boom" in log
    (line,) = [line for line in lines if "boom" in line]
    assert "train.log" in line
    assert not any("Traceback" in line for line in lines)


def test_a_failed_run_goes_on_when_the_defect_is_gone(run, broken):
    one, whole = run("dropout=0.2"), run("dropout=0.2")
    assert one.train() == "failed"
    broken.undo()
    _, lines = spoken(one.train)
    assert "resuming after epoch 1" in lines
    whole.train()
    assert one.numbers() == whole.numbers()


def test_memory_that_is_not_there_is_one_line(run):
    huge = run("model.hidden=[1000000,1000000]")
    status, lines = spoken(huge.train)
    assert status == "failed"
    assert "memory" in huge.record["error"]
    assert any(line.startswith("failed: ") for line in lines)


# Several runs as one model

EXACT = 1e-10


@pytest.fixture
def some(run) -> Callable[..., list[Run]]:
    """`some(3, "norm=layer")`: so many runs that differ in their seeds and in what may differ in a stack."""
    different = ("dropout=0", "dropout=0.4", "clip_norm=0.5", "optimizer.lr=0.01", "scheduler=cosine")
    return lambda number, *overrides: [
        run("precision=fp64", f"seed={seed}", different[seed], *overrides) for seed in range(number)
    ]


def train_together(runs: list[Run], reporter: Reporter | None = None) -> None:
    experiment.train([CheckedRun(one.config, [f"seed={one.config.seed}"]) for one in runs], reporter or Reporter("off"))


def assert_as_alone(runs: list[Run], expected: list[Run]) -> None:
    """Completed, with the figures of runs that train alone, which is done here."""
    for one, other in zip(runs, expected, strict=True):
        assert other.train() == "completed"
        assert one.record["status"] == "completed", one.record["error"]
        for row, plain in zip(one.rows(), other.rows(), strict=True):
            assert floats(row) == pytest.approx(floats(plain), rel=EXACT, abs=EXACT)
        for name in ("last", "best_val"):
            assert one.record["result"][name] == pytest.approx(other.record["result"][name], rel=EXACT)
        mine, theirs = (load_file(of.path / "model.safetensors") for of in (one, other))
        for name, tensor in theirs.items():
            torch.testing.assert_close(mine[name], tensor, rtol=EXACT, atol=EXACT, msg=name)
        assert not (one.path / "checkpoint.pt").exists()
        assert (one.path / "predicted.safetensors").read_bytes() == (other.path / "predicted.safetensors").read_bytes()


def floats(row: dict[str, str]) -> dict[str, float]:
    return {key: float(value) for key, value in row.items()}


@pytest.mark.parametrize("number", [1, 2, 5])
def test_runs_that_train_together_leave_what_each_leaves_alone(some, number):
    together = some(number)
    train_together(together)
    assert_as_alone(together, some(number))
    for one in together:
        assert one.record["stack"] == number
        assert one.record["overrides"] == [f"seed={one.config.seed}"]
        log = (one.path / "train.log").read_text()
        assert f"regbench train seed={one.config.seed}\n" in log
        assert "3/3" in log
        assert f"test accuracy {one.record['result']['best_val']['test_acc']:.2%}".replace("%", " %") in log
        assert log.splitlines()[-1].split("  ")[1].startswith("completed: ")


def test_each_log_has_the_run_s_own_figures(some):
    together = some(2)
    train_together(together)
    for one in together:
        lines = [line for line in (one.path / "train.log").read_text().splitlines() if "/3 " in line]
        assert [line.split()[3] for line in lines] == [f"{float(row['train_loss']):.4f}" for row in one.rows()]


def test_what_is_finished_is_left_alone(some):
    together = some(3)
    together[1].train()
    before = together[1].files()
    train_together(together)
    assert together[1].files() == before
    assert [one.record["stack"] for one in together] == [2, 1, 2]
    assert_as_alone(together, some(3))


def test_a_run_that_another_process_has_stays_out(some, capsys):
    together = some(3)
    together[1].stop(0)
    before = together[1].record
    with FileLock(together[1].path / ".lock"):
        train_together(together)
    assert "another process" in capsys.readouterr().err
    assert together[1].record == before
    assert_as_alone([together[0], together[2]], some(3)[::2])


def test_runs_may_have_finished_different_epochs(some):
    together = some(4)
    together[1].stop(STEPS)
    together[3].stop(2 * STEPS)
    train_together(together)
    assert_as_alone(together, some(4))


@pytest.mark.parametrize("regrouped", [[[0, 1, 2]], [[0], [1], [2]], [[2, 0], [1]]], ids=str)
def test_an_interrupted_stack_goes_on_in_any_grouping(some, regrouped):
    together = some(3)
    with pytest.raises(KeyboardInterrupt):
        train_together(together, Stopping(STEPS + 2))
    assert [one.record["status"] for one in together] == ["interrupted"] * 3
    assert [len(one.rows()) for one in together] == [1] * 3
    for places in regrouped:
        train_together([together[place] for place in places])
    assert_as_alone(together, some(3))


def test_a_run_of_a_stack_that_diverges_is_recorded_as_such(some, run):
    wild = run(*WILD, "precision=fp64", "optimizer.lr=1e38")
    together = some(3, "optimizer=sgd", "epochs=2")
    configs = [*together[:1], wild, *together[1:]]
    wild.config = wild.config.model_copy(update={"epochs": 2})
    train_together(configs)
    assert (wild.record["status"], wild.record["result"], len(wild.rows())) == ("diverged", None, 1)
    assert "epoch 1" in wild.record["error"]
    assert_as_alone(together, some(3, "optimizer=sgd", "epochs=2"))


# Memory that is short, directories that cannot be written


@pytest.fixture
def short(monkeypatch) -> Callable[[int, int], list[int]]:
    """`short(2, 1)`: from the second epoch on there is memory for two runs at most; the sizes of the stacks tried."""
    tried: list[int] = []
    original = Stack.begin_epoch

    def of(most: int, first: int) -> list[int]:
        def begin(self: Stack, epoch: int, *args: Any) -> Any:
            tried.append(len(self.configs))
            if len(self.configs) > most and epoch >= first:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return original(self, epoch, *args)

        monkeypatch.setattr(Stack, "begin_epoch", begin)
        return tried

    return of


@pytest.mark.parametrize(
    ("most", "epoch", "sizes"),
    [
        (2, 0, [5, 2, 2, 2, 3, 1, 1, 1, 2, 2, 2]),
        pytest.param(1, 0, [5, 2, 1, 1, 1, 1, 1, 1, 3, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1], marks=pytest.mark.stress),
        (2, 1, [5, 5, 2, 2, 3, 1, 1, 2, 2]),
        pytest.param(3, 2, [5, 5, 5, 2, 3], marks=pytest.mark.stress),
    ],
)
def test_too_little_memory_halves_a_stack_and_loses_nothing(some, short, capsys, most, epoch, sizes):
    """`sizes`: of the stack in each epoch that was begun: none that was finished is trained again."""
    together, tried = some(5), short(most, epoch)
    train_together(together)
    assert tried == sizes
    warnings = capsys.readouterr().err.splitlines()
    assert warnings[0] == (
        "warning: 5 runs together failed (OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB): "
        "in halves from here"
    )
    assert len(warnings) == sum(size > most for size in sizes[epoch:])
    assert_as_alone(together, some(5))


def test_memory_for_not_even_one_fails_each_run(some, short):
    together = some(3)
    short(0, 1)
    train_together(together)
    assert [one.record["status"] for one in together] == ["failed"] * 3
    assert all("out of memory" in one.record["error"] for one in together)
    assert [len(one.rows()) for one in together] == [1] * 3


def test_memory_that_is_short_for_setting_up_halves_too(some, monkeypatch):
    original = Trainer.__init__

    def init(self: Trainer, configs: Any, *args: Any) -> None:
        if len(configs) > 2:
            raise torch.OutOfMemoryError("no memory")
        original(self, configs, *args)

    together = some(4)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "__init__", init)
        train_together(together)
    assert_as_alone(together, some(4))


def test_a_stack_that_failed_takes_no_memory_while_its_halves_train(some, short, monkeypatch):
    alive: list[weakref.ref[Trainer]] = []
    counts = []
    original = Trainer.__init__

    def init(self: Trainer, *args: Any) -> None:
        gc.collect()
        counts.append(sum(trainer() is not None for trainer in alive))
        alive.append(weakref.ref(self))
        original(self, *args)

    monkeypatch.setattr(Trainer, "__init__", init)
    short(2, 1)
    train_together(some(4))
    assert counts == [0, 0, 0]


def test_a_diverged_run_stays_so_when_its_stack_fails_later(some, run, short):
    wild = run("optimizer=sgd", "optimizer.lr=1e38", "precision=fp64")
    together = some(3)
    short(2, 1)
    train_together([wild, *together])
    assert (wild.record["status"], len(wild.rows())) == ("diverged", 1)
    assert_as_alone(together, some(3))


@pytest.mark.parametrize("name", ["save", "start", "complete"])
def test_a_run_that_cannot_be_written_fails_alone(some, monkeypatch, name):
    original = getattr(RunDir, name)

    def full(self: RunDir, *args: Any) -> Any:
        if self.config.seed == 1 and (name != "save" or args[0].epoch == 2):
            raise OSError(28, "No space left on device")
        return original(self, *args)

    together = some(3)
    with monkeypatch.context() as patch:
        patch.setattr(RunDir, name, full)
        train_together(together)
    if name != "start":  # then nothing of it is there
        assert together[1].record["status"] == "failed"
        assert "No space left" in together[1].record["error"]
    assert_as_alone(together[::2], some(3)[::2])
    assert together[1].train() == "completed"


def test_a_disk_that_fills_at_the_end_of_a_run_is_a_failure_with_its_reason(run, monkeypatch):
    one = run()
    original = run_dir.write_atomically

    def full(path: Path, content: bytes) -> None:
        if path.name == "model.safetensors":
            raise OSError(28, "No space left on device", str(path))
        original(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(run_dir, "write_atomically", full)
        status, lines = spoken(one.train)
    assert status == one.record["status"] == "failed"
    assert one.record["error"] == "No space left on device (model.safetensors)"
    assert lines[-2] == "failed: No space left on device (model.safetensors) (train.log has the rest)"
    assert not any("test accuracy" in line for line in lines)
    assert (one.path / "train.log").read_text().endswith("failed: No space left on device (model.safetensors)\n")
    assert one.train() == "completed"


def test_warnings_of_libraries_go_into_the_log(run, monkeypatch, capfd):
    original = Stack.begin_epoch

    def warns(self: Stack, *args: Any) -> None:
        warnings.warn("a library\n says so", UserWarning, stacklevel=1)
        original(self, *args)

    monkeypatch.setattr(Stack, "begin_epoch", warns)
    one = run()
    one.train()
    assert (one.path / "train.log").read_text().count("  warning: a library says so\n") == 1
    assert "a library" not in capfd.readouterr().err


def test_a_directory_that_goes_away_costs_its_own_run_only(some):
    """Not even the failure can be recorded there."""
    together = some(3)

    class Removing(Stopping):
        def tick(self, images: int) -> None:
            self.steps += 1
            if self.steps == STEPS + 2:
                shutil.rmtree(together[1].path)

    train_together(together, Removing(0))
    assert_as_alone(together[::2], some(3)[::2])


# What is refused, before anything is written


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """A mistake must not be answered by computing for ever."""

    def late(*_: object) -> None:
        raise TimeoutError(f"no answer in {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["norm=instance"], ["norm=instance", "Allowed here: batch, group, layer, none"]),
        (["norm=group", "norm.groups=7"], ["norm.groups=7", "Nearest: 8", "1, 2, 4, 8"]),
        (["optimizer=sgd", "optimizer.nesterov=true"], ["optimizer.nesterov=true", "optimizer.momentum"]),
        (["init=uniform", "init.a=1", "init.b=0"], ["init.a=1", "init.b=0"]),
        (["data.val_size=70000"], ["data.val_size=70000", "60000"]),
        (["data.train_size=59701"], ["data.train_size=59701", "59700"]),
        (["batch_size=501", "drop_last=true"], ["batch_size=501", "500"]),
        (["batch_size=499", "norm=batch"], ["batch_size=499", "norm=batch", "drop_last=true"]),
        (["batch_size=1", "norm=batch"], ["batch_size=1", "norm=batch"]),
        (["runtime.device=cuda:99"], ["runtime.device=cuda:99", "cpu"]),
        (["runtime.threads=99999999999"], ["runtime.threads=99999999999"]),
        (["init=truncated_normal", "init.a=100", "init.b=101"], ["init."]),
        (["init=uniform", "init.a=-1e300", "init.b=1e300"], ["init."]),
        (["init=constant", "init.bias=1e39"], ["init.bias=1e+39"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_mistake_is_one_line_and_leaves_nothing(make_config, tmp_path, overrides, words):
    with at_most(seconds=120), pytest.raises(UserError) as caught:
        config = make_config(*TINY, f"runtime.dir={tmp_path}/runs", *overrides)
        experiment.run(CheckedRun(config, []), Reporter("off"))
    text = str(caught.value)
    assert not [word for word in words if word not in text], text
    assert "\n" not in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bounds", [["init.a=0.03", "init.b=1e6"], ["init.a=-1e6", "init.b=-0.02"]])
def test_a_truncated_normal_far_wider_than_its_deviation_is_drawn_soon(run, bounds):
    with at_most(seconds=120):
        assert run("init=truncated_normal", *bounds, "epochs=1").train() == "completed"


@pytest.mark.parametrize("overrides", [["batch_size=499"], ["batch_size=499", "norm=batch", "drop_last=true"]])
def test_a_last_batch_of_one_is_fine_where_nothing_averages_over_it(run, overrides):
    assert run(*overrides, "epochs=1").train() == "completed"


def test_two_processes_do_not_train_one_run(run):
    one = run()
    one.stop(STEPS + 1)
    before = one.files()
    with FileLock(one.path / ".lock"), pytest.raises(UserError, match="another process"):
        one.train()
    assert one.files() == before
    assert one.train() == "completed"


@pytest.mark.parametrize("seed", ["18446744073709551616", "340282366920938463463374607431768211456"])
def test_a_seed_may_be_large(run, seed):
    one, other = run(f"seed={seed}", "epochs=1"), run("epochs=1")
    assert one.train() == other.train() == "completed"
    assert one.rows() != other.rows()


def test_the_norm_that_clips_may_be_the_largest_element(run):
    one = run("clip_norm_type=inf", "clip_norm=0.01", "epochs=1")
    assert one.train() == "completed"
    assert one.rows()[0]["clipped"] == "1.0"
    assert spoken(one.train)[1][0].startswith("already trained")


def test_two_penalties_on_the_weights_are_warned_of(run, capsys):
    run("regularizer=l2", "optimizer.weight_decay=0.1", "epochs=1").train()
    output = capsys.readouterr()
    assert output.err.startswith("warning: ")
    assert output.err.count("\n") == 1
    run("regularizer=l2", "epochs=1").train()
    run("optimizer.weight_decay=0.1", "epochs=1").train()
    assert capsys.readouterr().err == ""
