"""`scripts/bench timings`: the figures of `docs/timings.md`, measured on this machine."""

import math
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import click
from rich.console import Console

from benchmarks import machine
from benchmarks.bare import bare_epochs
from benchmarks.epoch import busy_programs, regbench_epochs
from benchmarks.measure import best_of, fresh
from benchmarks.peers import BARE, measured
from benchmarks.plan import planned
from benchmarks.startup import start_up
from benchmarks.summary import summarized
from benchmarks.timings_page import PAGE, Machine, Table, keep, machines, page

_RUNS = {"mlp": (8, 55_000), "cnn": (2, 5_000)}  # runs, and images of each
_MANY = (1_000, 10_000)


@click.command()
@click.option("--rounds", default=2, show_default=True, help="The best of n is kept.")
@click.option("--compile/--no-compile", "compiled", default=False, help="Try torch.compile as well: minutes.")
@click.option("--jax/--no-jax", default=False, help="Try JAX as well: 600 MB, in an environment of its own.")
@click.option("--only-page", is_flag=True, help="Measure nothing: write the page again from what is kept.")
def timings(rounds: int, compiled: bool, jax: bool, only_page: bool) -> None:
    """Measure what `docs/timings.md` shows, keep it, and write the page: some six minutes, with JAX fifteen."""
    if only_page:
        PAGE.write_text(page(machines()), "utf-8")
        return
    console, start, before = Console(), time.perf_counter(), machine.load()
    tables = []
    for table in _tables(rounds, compiled, jax):
        tables.append(table)
        console.print(f"{time.perf_counter() - start:6.0f} s  {table.title}: measured")
    seconds = time.perf_counter() - start
    keep(
        Machine(
            processor=str(machine.processor()),
            cores=machine.cores(),
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            load_before=before,
            load_after=machine.load(),
            seconds=round(seconds),
            versions=machine.versions(),
            tables=tables,
        )
    )
    console.print(f"{PAGE} is written; it took {seconds:.0f} s")


def _tables(rounds: int, compiled: bool, jax: bool) -> Iterator[Table]:
    """Measure one subject after another."""
    yield _epoch(rounds)
    yield _busy(rounds)
    for model in _RUNS:
        yield _sweep(model, compiled, jax)
    yield _start_up(rounds)
    yield _many("Plan a sweep", "To compose, check and plan n jobs, nothing of which is trained.", _planning)
    yield _many("Summarize", "`regbench summary` of n finished runs, the whole command.", _summarizing)


def _epoch(rounds: int) -> Table:
    """One epoch of one run."""
    ways: dict[str, Callable[[], float]] = {
        "regbench train": lambda: min(fresh(regbench_epochs)),
        "bare loop": lambda: min(fresh(bare_epochs)),
    }
    best = best_of(rounds, ways)
    rows = {
        name: [f"{value:.2f}", f"{value / best['bare loop']:.2f}", f"{55_000 / value:,.0f}"]
        for name, value in best.items()
    }
    about = "An epoch of the default mlp: 55,000 images to train, 5,000 to validate."
    return Table("One run", about, ["seconds", "ratio", "images/s"], rows)


def _busy(rounds: int) -> Table:
    """An epoch of one run while other programs want the cores."""
    best = {name: _beside(number, rounds) for number, name in enumerate(("alone", "beside one", "beside two"))}
    rows = {name: [f"{value:.2f}", f"{value / best['alone']:.2f}"] for name, value in best.items()}
    about = (
        "The same epoch beside programs that do nothing but compute, one thread each (`scripts/bench epoch --beside`)."
    )
    return Table("A busy machine", about, ["seconds", "ratio"], rows)


def _beside(number: int, rounds: int) -> float:
    with busy_programs(number):
        return min(min(fresh(regbench_epochs)) for _ in range(rounds))


def _sweep(model: str, compiled: bool, jax: bool) -> Table:
    """Runs of a model by regbench and by what else a user could take."""
    runs, images = _RUNS[model]
    best, faults = measured(model, runs, images, 1, compiled, jax)
    rows = {
        name: [
            _cell(taken.training / runs, ".3f"),
            f"{taken.whole / runs:.3f}",
            f"{best[BARE].whole / taken.whole:.2f}",
        ]
        for name, taken in best.items()
    }
    rows |= {name: [fault, "", ""] for name, fault in faults.items()}
    about = (
        f"{runs} runs of the default {model}, an epoch of {images:,} images each, in seconds a run: "
        "`scripts/bench peers`. `whole` has validation on 5,000 images and the test on 10,000, "
        "`regbench` its start, plan and files as well; "
        "`ratio` is how much faster than bare loops. The time to compile is not counted."
    )
    return Table(f"A sweep of the {model}", about, ["training", "whole", "ratio"], rows)


def _start_up(rounds: int) -> Table:
    best, _ = start_up(rounds)
    rows = {name: [f"{spent.seconds:.2f}", f"{spent.of_cpu:.2f}"] for name, spent in best.items()}
    about = "Whole commands that train little or nothing, each in a new process (`scripts/bench startup`)."
    return Table("Start-up", about, ["seconds", "of CPU"], rows)


def _many(title: str, about: str, measure: Callable[[int], tuple[float, float, float]]) -> Table:
    """Seconds, those of the processor, and MB, for many runs."""
    rows = {}
    for count in _MANY:
        seconds, of_cpu, megabytes = measure(count)
        rows[f"{count:,} runs"] = [f"{seconds:.2f}", f"{of_cpu:.2f}", f"{megabytes:,.0f}"]
    return Table(title, about, ["seconds", "of CPU", "MB"], rows)


def _planning(count: int) -> tuple[float, float, float]:
    seconds, of_cpu, memory = fresh(planned, count)
    return seconds, of_cpu, memory / 1e6


def _summarizing(count: int) -> tuple[float, float, float]:
    return summarized(count, rounds=2)


def _cell(value: float, form: str) -> str:
    return "" if math.isnan(value) else f"{value:{form}}"
