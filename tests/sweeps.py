"""Sweeps as processes of their own, for tests that kill, interrupt and orphan them."""

import importlib.util
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

TINY = ["model.hidden=[8]", "data.train_size=200", "data.val_size=100", "runtime.threads=1"]
ENDLESS = 1_000_000  # epochs
NO_RETRY = "hydra.launcher.max_failures=0"
SECONDS = 300  # at most, for what takes a few on a machine that is idle
INTERRUPTED = re.compile(r"Interrupted: 0 of \d runs? done\. To resume: regbench train -m .*\n$")

linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into /proc")
needs = {
    name: pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed")
    for name in ("ray", "submitit")
}

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """`start("processes", "seed=0,1")`: a sweep as a process of its own, ended with the test."""
    monkeypatch.chdir(tmp_path)
    begun = []

    def popen(launcher: str, *words: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "regbench", "train", "-m", f"hydra/launcher={launcher}", *TINY, *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        begun.append(process)
        return process

    yield popen
    for process in begun:
        process.kill()
        process.communicate(timeout=SECONDS)


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def until(found: Callable[[], Any]) -> Any:
    limit = time.monotonic() + SECONDS
    while not (result := found()):
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.05)
    return result


def run_of(seed: int) -> Path | None:
    return next(Path("runs").glob(f"*/*-s{seed}-*"), None)


def record(seed: int) -> dict[str, Any]:
    path = run_of(seed)
    try:
        content: dict[str, Any] = json.loads((path / "run.json").read_text()) if path else {}
    except FileNotFoundError:
        return {}
    return content


def trained(seed: int) -> bool:
    """Whether an epoch of an endless run is on disk."""
    path = run_of(seed)
    return path is not None and (path / "checkpoint.pt").exists()


def holder(seed: int) -> int:
    """The process that has a run's lock."""
    path = run_of(seed)
    assert path
    lock = str((path / ".lock").resolve())
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdecimal() and any(str(fd.readlink()) == lock for fd in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:
            continue
    raise AssertionError(f"nobody has {lock}")


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def has_interrupt(pid: int) -> bool:
    """Whether a stopped process has a SIGINT to handle."""
    (pending,) = re.findall(r"ShdPnd:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(int(pending, 16) & 1 << (signal.SIGINT - 1))


def parent(pid: int) -> int:
    """The process that started a process."""
    (ppid,) = re.findall(r"PPid:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(ppid)


def same_bits(place: Path, other: Path) -> bool:
    """Whether two folders of runs hold the same runs with the same figures and weights."""
    names = {path.name for path in place.iterdir()}
    return names == {path.name for path in other.iterdir()} and all(
        figures(place / name) == figures(other / name)
        and (place / name / "model.safetensors").read_bytes() == (other / name / "model.safetensors").read_bytes()
        for name in names
    )


def figures(run: Path) -> list[list[str]]:
    """The figures of a run's epochs, without the time that they took."""
    return [line.split(",")[:-1] for line in (run / "metrics.csv").read_text().splitlines()]
