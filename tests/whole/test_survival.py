"""A sweep that is killed again and again ends in the same bits as one that is left alone."""

import csv
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from regbench.cli.main import main

IN_THE_SUITE = 2  # kills of each launcher
UNDER_STRESS = int(os.environ.get("REGBENCH_KILLS", "20"))  # which take minutes
SWEEP = ["norm=none,batch", "init=xavier,kaiming", "seed=0,1", "dropout=0.2"]
TINY = ["model.hidden=[8]", "data.train_size=200", "data.val_size=100", "runtime.threads=1", "runtime.progress=off"]
RUNS = 8
EPOCHS_TO_A_KILL = 15  # so many that the sweep outlives all kills: two to four pass before one
MOST_WRITES = 2 * RUNS  # of checkpoints before a kill
MOST_SECONDS = 0.03  # from then to the kill
SECONDS = 300  # at most, for what takes a few on a machine that is idle

# Forks a process that has imported almost everything: a start takes a fifth of the time. torch imports its _dynamo when
# an optimizer is made.
IMPORTED = ["regbench.cli.train", "regbench.sweep.run", "regbench.sweep.frames", "torch._dynamo"]
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(IMPORTED)


def start(launcher: str, folder: str, words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """`regbench train -m …` as a process of its own."""
    words = ["-m", f"hydra/launcher={launcher}", f"runtime.dir={folder}", *SWEEP, *TINY, *words]
    monkeypatch.setattr(sys, "argv", ["regbench", "train", *words])  # which the process takes over
    process = CONTEXT.Process(target=main)
    process.start()
    return process


def checkpoints(folder: str) -> dict[str, int]:
    """The checkpoints and when they were written; a finished run has none."""
    written = {}
    for path in Path(folder).glob("*/*/checkpoint.pt"):
        try:
            written[str(path)] = path.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    return written


def kill(process: Any, folder: str, writes: int, seconds: float) -> bool:
    """Kill a sweep a moment after it has written some checkpoints; return whether it was killed, not finished."""
    before, seen = checkpoints(folder), 0
    limit = time.monotonic() + SECONDS
    while process.is_alive() and seen < writes:
        assert time.monotonic() < limit, "it never trained"
        time.sleep(0.005)
        now = checkpoints(folder)
        seen += len(now.items() - before.items())
        before = now
    time.sleep(seconds)
    process.kill()
    process.join()
    return bool(process.exitcode == -9)


def numbers(folder: str) -> dict[str, Any]:
    """Each run's metrics and results, except the time that it took."""
    found = {}
    for path in Path(folder).glob("*/*/metrics.csv"):
        with path.open(newline="") as file:
            rows = [{**row, "seconds": ""} for row in csv.DictReader(file)]
        result = json.loads((path.parent / "run.json").read_text())["result"]
        found[path.parent.name] = rows, {**result, "seconds": "", "cpu_seconds": ""}
    return found


def weights(folder: str) -> dict[str, bytes]:
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in Path(folder).rglob("*.safetensors")}


def assert_survives(launcher: str, words: Sequence[str], kills: int, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*words, f"epochs={EPOCHS_TO_A_KILL * kills}"]
    chance = random.Random(5)
    for _ in range(kills):
        process = start(launcher, "killed", words, monkeypatch)
        killed = kill(process, "killed", chance.randint(1, MOST_WRITES), chance.uniform(0, MOST_SECONDS))
        assert killed, "it was over before the last kill"
    for name, folder in ((launcher, "killed"), ("local", "whole")):
        last = start(name, folder, [word for word in words if name == launcher or "launcher" not in word], monkeypatch)
        last.join(SECONDS)
        assert last.exitcode == 0
    assert numbers("killed") == numbers("whole")
    assert weights("killed") == weights("whole")
    assert len(numbers("whole")) == RUNS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "words"),
    [("local", []), pytest.param("processes", ["hydra.launcher.n_jobs=1"], marks=pytest.mark.stress)],
)
def test_a_sweep_killed_again_and_again_ends_in_the_same_bits(launcher, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_survives(launcher, words, IN_THE_SUITE, monkeypatch)


@pytest.mark.slow
@pytest.mark.stress
@pytest.mark.parametrize("launcher", ["local", "processes"])
def test_more_kills_change_nothing(launcher, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_survives(launcher, [], UNDER_STRESS, monkeypatch)
