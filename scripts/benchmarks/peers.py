"""`scripts/bench peers`: a sweep by regbench, and by what else a user could take."""

import json
import math
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import numpy as np
import platformdirs
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.bare import BATCH, bare_sweep
from benchmarks.measure import fresh
from benchmarks.peers_torch import Taken, stacked
from benchmarks.stack import products_alone, sweep_seconds
from regbench.data import datasets

BARE = "bare loops"
_JAX = Path(__file__).with_name("peers_jax.py")
_MOST_SECONDS = 300  # of JAX, whose convolutions within a scan may take longer on a CPU
_UNKNOWN = math.nan
_Way = Callable[[], Taken]


@click.command()
@click.option("--model", type=click.Choice(["mlp", "cnn"]), default="mlp", show_default=True)
@click.option("--runs", type=int, help="Runs that train; 32 mlps or 8 cnns by default.")
@click.option("--images", type=click.IntRange(BATCH), default=55_000, show_default=True, help="To train on, a run.")
@click.option("--rounds", default=1, show_default=True, help="The best of n is shown.")
@click.option("--compile/--no-compile", "is_compiled", default=True, help="Try torch.compile as well.")
@click.option("--jax/--no-jax", default=False, help="Try JAX as well: 600 MB, in an environment of its own.")
def peers(model: str, runs: int | None, images: int, rounds: int, is_compiled: bool, jax: bool) -> None:
    """Seconds a run, one epoch each: by regbench, a bare loop, torch.func.vmap, and JAX.

    The peers train in batches of 100 by adam, validate on 5,000 images and test on 10,000. They write nothing, and the
    time that they compile is a column of its own.
    """
    count = runs or {"mlp": 32, "cnn": 8}[model]
    whole_batches = images - images % BATCH
    best, faults = measured(model, count, whole_batches, rounds, is_compiled, jax)
    show(best, faults, count, f"{count} runs of the {model}, {whole_batches:,} images, best of {rounds}")


def measured(
    model: str, runs: int, images: int, rounds: int, is_compiled: bool, jax: bool
) -> tuple[dict[str, Taken], dict[str, str]]:
    """Let all ways take turns; return the best of each, and why the others gave none."""
    best: dict[str, Taken] = {}
    faults: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        ways = _ways(model, runs, images, is_compiled, _jax_data(Path(folder)) if jax else None)
        for _ in range(rounds):
            for name, way in ways.items():
                if name in faults:
                    continue
                try:
                    best[name] = min(way(), best.get(name, _NEVER), key=lambda taken: taken.whole)
                except subprocess.TimeoutExpired as error:
                    faults[name] = f"took more than {error.timeout:g} s"
                except Exception as error:  # whatever a compiler or another program raises
                    faults[name] = f"{type(error).__name__}: {error}".splitlines()[0][:60]
    return best, faults


_NEVER = Taken(math.inf, math.inf, math.inf, math.nan)


def _ways(model: str, runs: int, images: int, is_compiled: bool, data: Path | None) -> dict[str, _Way]:
    """Every contender, each of which works in a new process."""
    words = [f"model={model}", f"data.train_size={images}"]
    ways: dict[str, _Way] = {
        "regbench train -m": partial(_whole_command, [*words, f"seed=range(0,{runs})"]),
        "the same, planned": lambda: _only_whole(fresh(sweep_seconds, runs, words)),
        BARE: lambda: Taken(*fresh(bare_sweep, runs, model, images)),
        "torch.func.vmap": partial(fresh, stacked, runs, model, images, False),
    }
    if is_compiled:
        ways["vmap, torch.compile"] = partial(fresh, stacked, runs, model, images, True)
    if data:
        ways["JAX, vmap"] = partial(_jax, data, runs, model, images, True)
        ways["JAX, one by one"] = partial(_jax, data, runs, model, images, False)
    if model == "mlp":
        ways["products alone"] = lambda: _only_whole(fresh(products_alone, runs, images))
    return ways


def _only_whole(seconds: float) -> Taken:
    return Taken(_UNKNOWN, seconds, _UNKNOWN, _UNKNOWN)


def _whole_command(words: list[str]) -> Taken:
    """Run `regbench train -m` as a user does."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, "-m", "regbench", "train", "-m", *words, "epochs=1"]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        records = [json.loads(file.read_text()) for file in Path(folder).glob("runs/*/*/run.json")]
    right = sum(record["result"]["last"]["test_acc"] for record in records) / len(records)
    return Taken(_UNKNOWN, seconds, _UNKNOWN, right)


def _jax_data(folder: Path) -> Path:
    """Write MNIST for a program that has no regbench."""
    mnist, path = datasets.load("mnist", Path()), folder / "mnist.npz"
    np.savez(
        path,
        train_x=mnist.train_images.numpy(),
        train_y=mnist.train_labels.numpy(),
        test_x=mnist.test_images.numpy(),
        test_y=mnist.test_labels.numpy(),
    )
    return path


def _jax(data: Path, runs: int, model: str, images: int, many: bool) -> Taken:
    command = [str(_jax_python()), str(_JAX), str(data), str(runs), model, str(images), str(int(many))]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_MOST_SECONDS)
    if told.returncode:
        raise RuntimeError(told.stderr.strip().splitlines()[-1])
    return Taken(*json.loads(told.stdout))


def _jax_python() -> Path:
    """Return the Python of an environment with JAX; the first call makes it."""
    folder = platformdirs.user_cache_path("regbench") / "jax"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "jax", "jaxlib", "numpy"], check=True)
        (folder / "complete").touch()
    return python


def show(best: dict[str, Taken], faults: dict[str, str], runs: int, title: str) -> None:
    """Print a row for each way; `whole`: with validation and test; `ratio`: how much faster than bare loops."""
    table = Table("seconds a run", "training", "whole", "ratio", "compile", "acc %")
    table.columns[0].no_wrap = True
    table.title = f"{title}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    for name, taken in best.items():
        ratio = best[BARE].whole / taken.whole if BARE in best else _UNKNOWN
        compiling, right = taken.compiling, taken.accuracy * 100
        cells = [(taken.training / runs, ".3f"), (taken.whole / runs, ".3f"), (ratio, ".2f"), (compiling, ".1f")]
        table.add_row(name, *(_cell(value, form) for value, form in [*cells, (right, ".2f")]))
    for name, fault in faults.items():
        table.add_row(name, fault)
    Console().print(table)


def _cell(value: float, form: str) -> str:
    return "" if math.isnan(value) else f"{value:{form}}"
