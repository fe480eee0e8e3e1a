"""What docs/determinism.md promises: whole commands that must end in the same bits, or within a stated distance."""

import json
import re
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from threading import Event, Thread

import pandas as pd
import pytest
import torch

import regbench

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/determinism.md").read_text()
EXPECTED = ROOT / "tests/golden/expected_metrics.json"
TINY = ["model.hidden=[32,32]", "norm=batch", "dropout=0.2", "data.train_size=600", "data.val_size=200"]
ONE = [*TINY, "epochs=2", "runtime.threads=1"]

Files = Mapping[str, bytes]
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def files(path: Path) -> Files:
    """What a run computed, without what depends on the clock."""
    metrics = pd.read_csv(path / "metrics.csv").drop(columns="seconds").to_csv()
    found = {name: (path / name).read_bytes() for name in ("model.safetensors", "predicted.safetensors")}
    return found | {"metrics.csv": metrics.encode()}


def alone(*words: str, folder: str = "alone") -> Files:
    return files(regbench.train(*words, f"runtime.dir={folder}", progress="off").path)


def in_a_sweep(*words: str) -> Files:
    """The run of seed 1."""
    regbench.sweep(*words, "runtime.dir=sweep", progress="off")
    (path,) = Path("sweep").glob("*/*-s1-*")
    return files(path)


@pytest.fixture
def reference() -> Files:
    """The run alone, on one thread."""
    return alone(*ONE, "seed=1")


SWEEPS = {
    "together with other seeds": ["seed=0,1"],
    "in another order, with others": ["seed=3,1,2"],
    "each as a stack of its own": ["seed=0,1", "runtime.stack=1"],
    "in processes": ["seed=0,1", "hydra/launcher=processes", "hydra.launcher.n_jobs=1"],
    "beside a run of another rate": ["seed=1,2", "optimizer.lr=0.001,0.01", "zip=seed,optimizer.lr"],
}


@pytest.mark.parametrize("words", SWEEPS.values(), ids=SWEEPS.keys())
def test_a_run_of_a_sweep_has_the_bits_that_it_has_alone(reference: Files, words: list[str]) -> None:
    assert in_a_sweep(*ONE, *words) == reference


def test_the_same_command_again_gives_the_same_bits(reference: Files) -> None:
    assert alone(*ONE, "seed=1", "force=true") == reference
    assert alone(*ONE, "seed=2") != reference  # the comparison sees what differs


def test_more_epochs_give_the_bits_of_all_at_once() -> None:
    words = [*TINY, "seed=1", "runtime.threads=1"]
    alone(*words, "epochs=2", folder="longer")
    assert alone(*words, "epochs=4", folder="longer") == alone(*words, "epochs=4")


@pytest.mark.parametrize("words", [["diagnostics=off"], ["study=other"], ["runtime.keep_state=true"]], ids=" ".join)
def test_what_is_no_part_of_a_run_changes_no_bit(reference: Files, words: list[str]) -> None:
    assert alone(*ONE, "seed=1", *words, folder="other") == reference


def test_a_busy_machine_changes_no_bit() -> None:
    """Beside a thread that has OpenMP wait in another way, as regbench does where others want the cores."""
    words = [*TINY, "epochs=2", "seed=1", "runtime.threads=2"]
    quiet, stop = alone(*words), Event()
    beside = Thread(target=lambda: (torch.ones(1 << 17).add_(1), stop.wait()))
    beside.start()
    busy = alone(*words, "force=true")
    stop.set()
    beside.join()
    assert busy == quiet


def test_two_threads_differ_from_one_by_rounding(reference: Files) -> None:
    two = alone(*TINY, "epochs=2", "seed=1", "runtime.threads=2", folder="two")
    losses = [pd.read_csv(BytesIO(run["metrics.csv"]))[["train_loss", "val_loss"]] for run in (reference, two)]
    assert losses[0].to_numpy() == pytest.approx(losses[1].to_numpy(), abs=distance("on two threads"))


def distance(row: str) -> float:
    """The distance that a row of the page states."""
    return float(re.search(rf"\| {row}[^|]*\| within ([\d.e-]+)", PAGE)[1])  # type: ignore[index]


@pytest.mark.parametrize("name", json.loads(EXPECTED.read_text()))
def test_any_machine_comes_near_the_figures_of_another(name: str) -> None:
    expected = json.loads(EXPECTED.read_text())[name]
    regbench.train(*expected["command"].split(), "runtime.dir=here", progress="off")
    rows = pd.read_csv(next(Path("here").glob("*/*/metrics.csv")))
    for column, values in expected["figures"].items():
        assert rows[column].to_numpy() == pytest.approx(values, abs=distance("on another machine")), column


def test_the_page_names_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) >= 10
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(), test
