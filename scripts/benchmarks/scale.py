"""`scripts/bench scale`: how a sweep would use more cores than this machine has.

A lane is a thread that trains. Python's lock lets one thread at a time run Python; torch gives it up while it
computes. So a step of a lane is some time in the lock and some outside, and both are measured here:

- the step of a lane alone, with one thread of the processor;
- the time in the lock: the same step of a network of one unit on a batch of one image, which has the same calls and
  next to no arithmetic. It counts the way from Python to a kernel as in the lock, so it is rather too long.

With these, the throughput of L lanes is that of L customers who think and then queue for one server. Mean value
analysis gives it exactly for exponential times [Reiser & Lavenberg 1980]; those here vary less, and queue less. What
lanes take from one another besides the lock (memory, caches, clock) is not in it: the last column compares what 2 lanes
really reach here.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.measure import config_of, fresh

_BARELY = {
    "mlp": ["model.hidden=[1,1]", "batch_size=1"],
    "cnn": ["model.channels=[1,1,1]", "model.dense=[1]", "batch_size=1"],
}
_STEPS = {"mlp": 300, "cnn": 40}
_CPU = torch.device("cpu")
_CORES = (2, 4, 8, 16, 64)
_USE = 0.8  # of a core by its lane, at least


@click.command()
@click.option("--rounds", default=3, show_default=True, help="The best of n is taken.")
def scale(rounds: int) -> None:
    """Predict how many times as fast as one core a sweep is on 2 to 64 cores: by lanes, and by processes of lanes."""
    console = Console()
    for model in _STEPS:
        alone, barely = fresh(step, model, [], 1, rounds), fresh(step, model, _BARELY[model], 1, rounds)
        in_lock = min(barely.of_cpu, alone.of_cpu)
        console.print(_table(model, alone.of_cpu, in_lock))
        most = _worthwhile(in_lock, alone.of_cpu - in_lock)
        console.print(f"Up to {most} lanes use {_USE:.0%} of their cores; more cores want processes.")
        if torch.get_num_threads() > 1:
            together = fresh(step, model, [], 2, rounds)
            console.print(f"2 lanes here: {2 * alone.seconds / together.seconds:.2f} times as fast as one\n")


def _table(model: str, alone: float, in_lock: float) -> Table:
    """A row for each number of cores, each lane or process having one."""
    title = f"{model}: a step {alone * 1e3:.2f} ms, of which {in_lock * 1e3:.2f} ms in Python's lock"
    table = Table("cores", "lanes", "processes of 4 lanes", "processes of 1 lane", title=title)
    for cores in _CORES:
        lanes = speed_up(cores, in_lock, alone - in_lock)
        fours = cores / min(cores, 4) * speed_up(min(cores, 4), in_lock, alone - in_lock)
        table.add_row(str(cores), f"{lanes:.1f}", f"{fours:.1f}", f"{cores:.1f}")
    return table


def speed_up(lanes: int, in_lock: float, outside: float) -> float:
    """How many times as many steps lanes take as one lane: mean value analysis of one queue and a delay."""
    waiting, response = 0.0, in_lock  # lanes in the lock or waiting for it; seconds of a visit
    for count in range(1, lanes + 1):
        response = in_lock * (1 + waiting)
        waiting = count * response / (outside + response)
    return lanes * (in_lock + outside) / (outside + response)


def _worthwhile(in_lock: float, outside: float) -> int:
    """The most lanes of a process that use their cores well."""
    return max(lanes for lanes in range(1, max(_CORES) + 1) if speed_up(lanes, in_lock, outside) >= _USE * lanes)


class Step(NamedTuple):
    """What a step of each lane takes; of the processor: of all lanes together, whatever else the machine does."""

    seconds: float
    of_cpu: float


def step(model: str, overrides: list[str], lanes: int, rounds: int) -> Step:
    """Time lanes of one run and one thread each, side by side: the best epoch except the first, which records."""
    from regbench.data.split import load_split
    from regbench.training.lanes import Lanes
    from regbench.training.machine import Machine

    words = [f"model={model}", "data.val_size=100", f"epochs={rounds + 1}", "runtime.diagnostics=off", *overrides]
    size = config_of(words).batch_size
    words.append(f"data.train_size={_STEPS[model] * size}")
    configs = [config_of([*words, f"seed={seed}"]) for seed in range(lanes)]
    splits = [load_split(config.data, config.seed, _CPU, Path()) for config in configs]
    epochs = Lanes(configs, splits, Machine(_CPU, lanes, threads=1)).epochs(lambda _: None)
    taken = [_spent(lambda: next(epochs)) for _ in range(rounds + 1)][1:]
    return Step(*(min(values) / _STEPS[model] for values in zip(*taken, strict=True)))


def _spent(work: Callable[[], object]) -> Step:
    start = Step(time.perf_counter(), time.process_time())
    work()
    return Step(time.perf_counter() - start.seconds, time.process_time() - start.of_cpu)
