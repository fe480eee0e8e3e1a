"""`scripts/bench startup`: what a command takes before, beside and after the training."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import click
import psutil
from rich.console import Console
from rich.table import Table

_TINY = ["data.train_size=1000", "epochs=1", "study=single"]
_SWEEP = ["-m", "seed=range(0,20)", "data.train_size=500", "epochs=1", "study=sweep", "model.hidden=[16]"]
_ALREADY = "train, already trained"
_HEADER = re.compile(r"\s+epoch\s+lr\s")  # printed when the first epoch begins
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)")


class Spent(NamedTuple):
    """What was spent until a moment: the command's own time of the processor includes its children's in the end."""

    seconds: float
    of_cpu: float


_Moments = Mapping[str, Spent]


@click.command()
@click.option("--rounds", default=3, show_default=True, help="The best of n is shown.")
def startup(rounds: int) -> None:
    """Seconds of commands that train little or nothing, each in a new process."""
    best, imports = start_up(rounds)
    table = Table("", "seconds", "of CPU", title=f"start-up, best of {rounds} processes")
    for name, spent in best.items():
        table.add_row(name, f"{spent.seconds:.2f}", f"{spent.of_cpu:.2f}")
    Console().print(table)
    Console().print(f"Imports of `{_ALREADY}`, in seconds of their own: {', '.join(imports)}")


def start_up(rounds: int) -> tuple[dict[str, Spent], list[str]]:
    """Measure all commands; return the best of each moment, and the packages that take longest to import."""
    best: dict[str, Spent] = {}
    with tempfile.TemporaryDirectory() as folder:
        _command(["train", *_SWEEP], folder)
        for _ in range(rounds):
            for name, spent in _round(folder):
                known = best.get(name, spent)
                best[name] = Spent(min(known.seconds, spent.seconds), min(known.of_cpu, spent.of_cpu))
        return best, _slowest_imports(["train", *_TINY], folder)


def _round(folder: str) -> Iterator[tuple[str, Spent]]:
    """Start each command once."""
    yield from _training(folder).items()
    commands: dict[str, Sequence[str]] = {
        "--help": ["--help"],
        "completion: train norm=": ["_complete", "bash", "regbench train norm="],
        _ALREADY: ["train", *_TINY],
        "train -m, 20 runs already trained": ["train", *_SWEEP],
        "train -m --plan, 20 runs already trained": ["train", *_SWEEP, "--plan"],
        "summary of 20 runs": ["summary", "runs/sweep"],
    }
    for name, words in commands.items():
        yield name, _command(words, folder)


def _training(folder: str) -> _Moments:
    """Train a tiny run; return what was spent until its first line, its first epoch and its end, and after its end."""
    moments: dict[str, Spent] = {}
    start = time.perf_counter()
    process = subprocess.Popen(
        _words(["train", *_TINY, "force=true"]), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    now = partial(_now, psutil.Process(process.pid), start)
    assert process.stdout
    for line in process.stdout:
        moments.setdefault("train, until its first line", now())
        if _HEADER.match(line):
            moments["train, until its first epoch begins"] = now()
        moments["last line"] = now()
    last, end = moments.pop("last line"), _ended(process, start)
    after = Spent(end.seconds - last.seconds, end.of_cpu - last.of_cpu)
    return moments | {"train, from its last line to the prompt": after, "train of 1,000 images, 1 epoch": end}


def _now(process: psutil.Process, start: float) -> Spent:
    seconds, times = time.perf_counter() - start, process.cpu_times()
    return Spent(seconds, times.user + times.system)


def _command(words: Sequence[str], folder: str) -> Spent:
    """Run a command to its end."""
    start = time.perf_counter()
    return _ended(subprocess.Popen(_words(words), cwd=folder, stdout=subprocess.DEVNULL), start)


def _ended(process: "subprocess.Popen[str] | subprocess.Popen[bytes]", start: float) -> Spent:
    """Wait for a process.

    Raises:
        CalledProcessError: it failed.
    """
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Spent(seconds, usage.ru_utime + usage.ru_stime)


def _words(words: Sequence[str], *options: str) -> list[str]:
    """Write the command, by this Python."""
    return [sys.executable, *options, "-m", "regbench", *words]


def _slowest_imports(words: Sequence[str], folder: str, number: int = 5) -> list[str]:
    """Name the packages that take the most time to import, that of packages below them not counted."""
    told = subprocess.run(_words(words, "-X", "importtime"), cwd=folder, capture_output=True, text=True, check=True)
    spent: Counter[str] = Counter()
    for microseconds, module in _IMPORT.findall(told.stderr):
        spent[module.partition(".")[0]] += int(microseconds)
    return [f"{package} {value / 1e6:.2f}" for package, value in spent.most_common(number)]
