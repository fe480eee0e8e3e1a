"""`scripts/bench epoch`: an epoch by regbench, by a bare loop, and by a DataLoader."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.bare import bare_epochs, loader_seconds
from benchmarks.measure import best_of, config_of
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.experiment.train import run
from regbench.records.rows import Epoch

_BARE = "bare loop over tensors in memory"


@click.command()
@click.option("--rounds", default=5, show_default=True, help="The best of n is shown.")
@click.option("--threads", default=0, help="CPU threads; 0 leaves torch's number.")
@click.option("--loader/--no-loader", default=True, help="Time the DataLoader as well (some 10 s).")
@click.option("--beside", default=0, help="Busy programs on the machine meanwhile.")
def epoch(rounds: int, threads: int, loader: bool, beside: int) -> None:
    """One epoch of the default mlp: 55,000 images trained on, 5,000 evaluated."""
    if threads:
        torch.set_num_threads(threads)
    with busy_programs(beside):
        best = best_of(rounds, {"regbench train": lambda: min(regbench_epochs()), _BARE: lambda: min(bare_epochs())})
        if loader:
            best["torchvision dataset + DataLoader"] = loader_seconds()
    _show(best, rounds)


@contextmanager
def busy_programs(number: int) -> Iterator[None]:
    """Let programs take all the time that they get of a core each."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def _show(seconds: dict[str, float], rounds: int) -> None:
    """A row for each contender, and how it compares with the bare loop."""
    title = f"an epoch, best of {rounds} rounds, {torch.get_num_threads()} threads, torch {torch.__version__}"
    table = Table("", "seconds", "ratio", "images/s", title=title)
    for name, value in seconds.items():
        table.add_row(name, f"{value:.3f}", f"{value / seconds[_BARE]:.2f}", f"{55_000 / value:,.0f}")
    Console().print(table)


class _Stopwatch(Reporter):
    """Notes when each epoch is trained, evaluated and on disk."""

    def __init__(self) -> None:
        super().__init__("off")
        self.laps: list[float] = []

    def epoch(self, record: Epoch) -> None:
        """The end of an epoch."""
        self.laps.append(time.perf_counter())
        super().epoch(record)


def regbench_epochs(epochs: int = 4) -> list[float]:
    """Seconds of whole epochs as `regbench train` does them, checkpoints and metrics written."""
    with tempfile.TemporaryDirectory() as folder:
        overrides = [f"epochs={epochs}", f"runtime.dir={folder}"]
        watch = _Stopwatch()
        run(Run(config_of(overrides), overrides), watch)
    return [after - before for before, after in zip(watch.laps, watch.laps[1:], strict=False)]
