"""A sweep that is killed again and again ends in the same bits as one that is left alone."""

import csv
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

# The suite kills a few times; REGBENCH_KILLS=20 pytest tests/test_survival.py takes minutes.
KILLS = int(os.environ.get("REGBENCH_KILLS", "3"))
# So many epochs that the sweep outlives all kills: a fast machine trains some 60 a second.
SWEEP = ["norm=none,batch", "init=xavier,kaiming", "seed=0,1,2", "dropout=0.2", f"epochs={40 * KILLS}"]
TINY = ["model.hidden=[8]", "data.train_size=200", "data.val_size=100", "runtime.threads=1"]
AT_MOST = 0.7  # seconds from the first new epoch on disk to the kill
SECONDS = 300


def command(launcher: str, folder: str) -> list[str]:
    words = [f"hydra/launcher={launcher}", f"runtime.dir={folder}", *SWEEP, *TINY]
    return [sys.executable, "-m", "regbench", "train", "-m", *words]


def on_disk(folder: str) -> dict[str, int]:
    """The checkpoints and when they were written; that of a finished run is gone."""
    found = {}
    for path in Path(folder).glob("*/*/checkpoint.pt"):
        try:
            found[str(path)] = path.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    return found


def kill_once(launcher: str, folder: str, moment: float) -> bool:
    """Start the sweep, kill it a moment after it has gone on; whether it was killed, not finished."""
    before = on_disk(folder)
    process = subprocess.Popen(command(launcher, folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    limit = time.monotonic() + SECONDS
    while process.poll() is None and not on_disk(folder).items() - before.items():
        assert time.monotonic() < limit
        time.sleep(0.01)
    time.sleep(moment)
    process.kill()
    process.communicate()
    return process.returncode == -9


def numbers(folder: str) -> dict[str, list[dict[str, str]]]:
    """Every run's metrics but for the time it took."""
    found = {}
    for path in Path(folder).glob("*/*/metrics.csv"):
        with path.open(newline="") as file:
            found[path.parent.name] = [{**row, "seconds": ""} for row in csv.DictReader(file)]
    return found


def weights(folder: str) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in Path(folder).rglob("model.safetensors")}


@pytest.mark.slow
@pytest.mark.stress
@pytest.mark.parametrize("launcher", ["local", "processes"])
def test_a_sweep_killed_again_and_again_ends_in_the_same_bits(launcher, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    moments = random.Random(5)
    killed = sum(kill_once(launcher, "killed", moments.uniform(0, AT_MOST)) for _ in range(KILLS))
    assert killed == KILLS, "it was over before the last kill"
    last, whole = (
        subprocess.run(command(launcher, folder), capture_output=True, text=True, timeout=SECONDS)
        for folder in ("killed", "whole")
    )
    assert (last.returncode, last.stderr) == (0, "")
    assert numbers("killed") == numbers("whole")
    assert len(numbers("whole")) == 12
    tables = [done.stdout[done.stdout.rindex("test_acc %") :] for done in (last, whole)]
    assert tables[0] == tables[1]
    weights = [
        sorted(path.read_bytes() for path in Path(folder).rglob("*.safetensors")) for folder in ("killed", "whole")
    ]
    assert weights[0] == weights[1]
