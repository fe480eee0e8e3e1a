"""`scripts/bench summary`: what it takes to read finished runs and make their table."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.measure import config_of

_COMMAND = """
import atexit, pathlib, sys
from regbench.cli.main import main
status = pathlib.Path("/proc/self/status")
peak = lambda: int(status.read_text().split("VmHWM:")[1].split()[0]) / 1000 if status.exists() else float("nan")
atexit.register(lambda: print(peak(), file=sys.stderr))
main()
"""
_NORMS, _INITS = ("none", "batch", "layer", "rms", "instance"), ("xavier", "kaiming")
_FIGURES = ("train_loss", "train_acc", "val_loss", "val_acc", "test_loss", "test_acc")
_WHEN = "2026-01-01T10:00:00+00:00"


class Spent(NamedTuple):
    """What a command took."""

    seconds: float
    of_cpu: float
    megabytes: float  # at most; on Linux, else NaN


@click.command()
@click.argument("runs", type=click.IntRange(10), nargs=-1)
def summary(runs: tuple[int, ...]) -> None:
    """Make the table of n finished RUNS (default: 100, 1,000 and 10,000) by `regbench summary`, from a cold start."""
    table = Table("runs", "seconds", "of CPU", "MB at most", title="regbench summary, the best of 3 processes")
    for count in runs or (100, 1_000, 10_000):
        spent = summarized(count)
        table.add_row(f"{count:,}", f"{spent.seconds:.2f}", f"{spent.of_cpu:.2f}", f"{spent.megabytes:,.0f}")
    Console().print(table)


def summarized(runs: int, rounds: int = 3) -> Spent:
    """What `regbench summary` takes for n runs, the best of some processes."""
    with tempfile.TemporaryDirectory() as folder:
        _write_runs(Path(folder), runs)
        return min(_summarize(folder) for _ in range(rounds))


def _write_runs(folder: Path, runs: int) -> None:
    """Finished runs as `regbench train` leaves them, of 5 norms, 2 initializers and as many seeds as it takes."""
    from regbench.experiment import provenance

    facts = provenance.facts(torch.device("cpu"), 1)
    configs = [config_of([f"norm={norm}", f"init={init}"]).dump() for norm in _NORMS for init in _INITS]
    for number in range(runs):
        config = configs[number % len(configs)] | {"seed": number // len(configs)}
        path = folder / "default" / f"run{number:05}"
        path.mkdir(parents=True)
        (path / "run.json").write_text(json.dumps(facts | _record(number, config), indent=1))


def _record(number: int, config: dict[str, Any]) -> dict[str, Any]:
    """What run.json says of a finished run."""
    figures = {"epoch": 5} | dict.fromkeys(_FIGURES, 0.9 + (number * 7919 % 997) / 10_000)
    return {
        "format": 1,
        "status": "completed",
        "identity": f"{number:064x}",
        "config": config,
        "result": {"last": figures, "best_val": figures, "seconds": 3.1},
        "times": dict.fromkeys(("started", "updated", "finished"), _WHEN),
    }


def _summarize(folder: str) -> Spent:
    """Run `regbench summary` once."""
    words = [sys.executable, "-c", _COMMAND, "summary", folder]
    start = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    peak = process.stderr.read()  # not ru_maxrss, which counts what this process held when it forked
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    assert status == 0
    return Spent(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, float(peak or "nan"))
