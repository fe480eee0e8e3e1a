"""`scripts/bench sweep`: a sweep as a whole command, by each way to share the cores."""

import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.measure import best_of
from regbench.sweep.engines.units import cores
from regbench.text import plural

_BARE = (
    f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); import benchmarks.bare as bare; "
    "bare.bare_sweep_seconds({runs}, {model!r}, {images})"
)


@click.command()
@click.option("--model", "models", type=click.Choice(["mlp", "cnn"]), multiple=True, default=("mlp", "cnn"))
@click.option("--runs", default=24, show_default=True)
@click.option("--images", default=55_000, show_default=True, help="Training images of each run.")
@click.option("--rounds", default=1, show_default=True, help="The best of n is shown.")
@click.option("--only", multiple=True, metavar="WORD", help="Only ways whose name has the word; may be repeated.")
def sweep(models: tuple[str, ...], runs: int, images: int, rounds: int, only: tuple[str, ...]) -> None:
    """A sweep over seeds, one epoch each, as a whole command from its start to its table: ways to share the cores.

    The bare loop, in a process too, trains, validates and tests.
    """
    ways = {name: words for name, words in _ways().items() if not only or any(word in name for word in only)}
    for model in models:
        contenders = {name: partial(_command_seconds, words, model, runs, images) for name, words in ways.items()}
        title = f"{model}: {runs} runs, {images:,} images, {cores()} cores, torch {torch.__version__}"
        _show(title, best_of(rounds, contenders), runs)


def _ways() -> dict[str, list[str] | None]:
    """What each way adds to the command; None is the bare loop."""
    alone = "runtime.stack=1"
    ways: dict[str, list[str] | None] = {
        "bare loop, one after another": None,
        "Hydra's basic launcher": ["hydra/launcher=basic"],
        "in process, one after another": [alone],
        "in process, stacked": [],
    }
    for jobs in (2**power for power in range(1, cores().bit_length())):
        threads = cores() // jobs
        words = ["hydra/launcher=processes", f"hydra.launcher.n_jobs={jobs}", f"runtime.threads={threads}"]
        ways[f"{jobs} processes of {plural(threads, 'thread')}"] = [*words, alone]
        ways[f"{jobs} processes of {plural(threads, 'thread')}, stacked"] = words
    return ways


def _command_seconds(words: list[str] | None, model: str, runs: int, images: int) -> float:
    """Seconds of one way's command."""
    command = ["-m", "regbench", "train", "-m", f"seed=range(0,{runs})", f"model={model}", "epochs=1"]
    command += [f"data.train_size={images}", *(words or [])]
    if words is None:
        command = ["-c", _BARE.format(runs=runs, model=model, images=images)]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, cwd=folder, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


def _show(title: str, seconds: dict[str, float], runs: int) -> None:
    """A row for each way."""
    table = Table("", "seconds", "runs/min", title=title)
    for name, value in seconds.items():
        table.add_row(name, f"{value:.1f}", f"{60 * runs / value:.1f}")
    Console().print(table)
