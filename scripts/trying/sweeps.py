"""Whole commands of regbench in folders of their own, and what is on disk when they have ended."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

TINY = ("data.train_size=500", "data.val_size=100", "epochs=2", "runtime.threads=1", "model.hidden=[16]")
_SECONDS = 900  # for what takes a few on a machine that is idle


class Sweep:
    """`regbench train -m WORDS` as a process."""

    def __init__(self, folder: Path, *words: str, environment: Mapping[str, str] | None = None) -> None:
        """Start it in a folder, with tiny runs unless the words say otherwise."""
        folder.mkdir(parents=True, exist_ok=True)
        given = {word.partition("=")[0] for word in words}
        tiny = [word for word in TINY if word.partition("=")[0] not in given]
        command = [sys.executable, "-m", "regbench", "train", "-m", *words, *tiny]
        self.folder, self._start = folder, time.monotonic()
        self._out = (folder / f"out-{time.monotonic_ns()}").open("w+")
        self._err = (folder / f"err-{time.monotonic_ns()}").open("w+")
        self._process = subprocess.Popen(command, cwd=folder, env=environment, stdout=self._out, stderr=self._err)

    def ended(self) -> int:
        """Wait for its end; return the exit code."""
        return self._process.wait(_SECONDS)

    def seconds_to_end_after(self, act: Callable[[], object]) -> float:
        """Do something, and return how long the command lives on."""
        start = time.monotonic()
        act()
        self.ended()
        return time.monotonic() - start

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self._process.kill()
        self._process.wait()

    @property
    def out(self) -> str:
        """What it has printed so far."""
        return Path(self._out.name).read_text()

    @property
    def err(self) -> str:
        """Its complaints so far."""
        return Path(self._err.name).read_text()

    def run(self, seed: int) -> Path | None:
        """Find the directory of a run."""
        return next(self.folder.glob(f"runs/*/*-s{seed}-*"), None)

    def record(self, seed: int) -> Mapping[str, Any]:
        """Read the run.json of a run; empty without one."""
        path = self.run(seed)
        file = path / "run.json" if path else None
        return json.loads(file.read_text()) if file and file.exists() else {}

    def until_trained(self, *seeds: int) -> None:
        """Wait until each of these runs has an epoch on disk."""
        until(lambda: all((run := self.run(seed)) and (run / "checkpoint.pt").exists() for seed in seeds), self)

    def until_said(self, pattern: str) -> str:
        """Wait until it has printed a line that matches; return the line."""
        until(lambda: re.search(pattern, self.out) or self._process.poll() is not None, self)
        found = next((line for line in self.out.splitlines() if re.search(pattern, line)), None)
        assert found, f"ended without {pattern!r}: {self.out[-500:]} {self.err[-500:]}"
        return found

    def listed(self) -> str:
        """Return what `regbench ls` prints of its folder."""
        command = [sys.executable, "-m", "regbench", "ls"]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True).stdout

    def states(self, seeds: Sequence[int]) -> list[str]:
        """List how the runs stand."""
        return [str(self.record(seed).get("status")) for seed in seeds]

    def log(self, seed: int) -> str:
        """Read the train.log of a run; empty without one."""
        run = self.run(seed)
        return (run / "train.log").read_text() if run else ""

    def begun(self, seed: int) -> int:
        """Count how often a run was begun from its first epoch."""
        return len(re.findall(r"^\S+ +1/\d", self.log(seed), re.MULTILINE))

    def bits(self, seed: int) -> tuple[list[list[str]], bytes]:
        """Return the figures of all epochs without times, and the weights."""
        run = self.run(seed)
        assert run, f"no run of seed {seed}"
        rows = [line.rsplit(",", 1)[0].split(",") for line in (run / "metrics.csv").read_text().splitlines()]
        return rows, (run / "model.safetensors").read_bytes()


def until(found: Callable[[], Any], sweep: Sweep | None = None) -> Any:
    """Wait for something, and return it."""
    limit = time.monotonic() + _SECONDS
    while not (result := found()):
        said = f": {sweep.out[-500:]} {sweep.err[-500:]}" if sweep else ""
        assert time.monotonic() < limit, f"it never came{said}"
        time.sleep(0.1)
    return result
