"""`scripts/bench memory`: what a run adds to the memory of the process that trains it."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise

import click
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.measure import config_of

_COUNTS = {"mlp": (1, 8, 32), "cnn": (1, 2, 8)}  # 32 cnns as one model take more than ten minutes
_IMAGES = 1_000
# Trains in a process of its own, and says the most that it has held in main memory, in MB. By VmHWM: ru_maxrss counts
# what the process that started it held as well.
_TRAIN = """
import pathlib, sys
from regbench.cli.main import main
status = pathlib.Path("/proc/self/status")
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
kilobytes = int(status.read_text().split("VmHWM:")[1].split()[0]) if status.exists() else 0
print(kilobytes / 1000, file=sys.stderr)
"""


@click.command()
@click.option("--epochs", default=1, show_default=True, help="More of them show whether memory grows.")
def memory(epochs: int) -> None:
    """The most MB that a process holds with 1 to 32 runs that train as one model, and MB a run.

    `bound`: planning counts on this, what it estimates for a run by the share of free memory that it lets runs have
    (regbench.training.stacking).
    """
    table = Table("", "runs", "MB at most", "MB a run", "bound", title=f"{_IMAGES:,} images, torch {torch.__version__}")
    for model, counts in _COUNTS.items():
        bound = bound_of(model)
        megabytes = {count: most_held(model, count, epochs) for count in counts}
        table.add_row(model, str(counts[0]), f"{megabytes[counts[0]]:,.0f}", "", f"{bound:.1f}")
        for before, count in pairwise(counts):
            a_run = (megabytes[count] - megabytes[before]) / (count - before)
            table.add_row(model, str(count), f"{megabytes[count]:,.0f}", f"{a_run:.1f}", f"{bound:.1f}")
    Console().print(table)


def bound_of(model: str) -> float:
    """MB of free memory that planning wants for a run of the default model."""
    from regbench.training.stacking import MEMORY_SHARE, run_memory

    return run_memory(config_of([f"model={model}"])) / MEMORY_SHARE / 1e6


def most_held(model: str, runs: int, epochs: int) -> float:
    """MB that a process holds at most while it trains runs as one model."""
    words: Sequence[str] = (f"model={model}", f"seed=range(0,{runs})", f"epochs={epochs}", f"runtime.stack={runs}")
    command = [sys.executable, "-c", _TRAIN, "train", "-m", *words, f"data.train_size={_IMAGES}", "runtime.threads=1"]
    with tempfile.TemporaryDirectory() as folder:
        told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return float(told.stderr.split()[-1])
