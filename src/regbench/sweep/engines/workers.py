"""Runs trained by other processes: what a worker does, and what the sweep makes of how it ended."""

import os
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from regbench.errors import UserError
from regbench.text import shown

if TYPE_CHECKING:
    from regbench.experiment.run import Run
    from regbench.sweep.watch import Watch


# The runs that one worker trains together.
Unit = Sequence["Run"]
# Yields each unit when it has ended: with None, or with what happened to its worker.
Outcomes = Generator[tuple[Unit, str | None], None, None]


class Engine(Protocol):
    """Trains the runs of a sweep, in this process or by others."""

    def train(self, stacks: Sequence[Unit], watch: "Watch") -> None:
        """Train the runs, those of a stack as one model. A run that fails stops no other."""


class Workers(ABC):
    """An engine that has other processes train. Whatever happens to a worker, its runs say so; the others go on."""

    def train(self, stacks: Sequence[Unit], watch: "Watch") -> None:
        """Train the runs of the stacks, in parts that every worker has some of."""
        units = divide(stacks)
        watch.follow(units)
        with closing(self.outcomes(units)) as outcomes:  # at once, so that Ctrl-C finds the workers to pass it on to
            for unit, error in outcomes:
                if error:
                    for run in unit:
                        _abandon(run, error)

    @abstractmethod
    def outcomes(self, units: Sequence[Unit]) -> Outcomes:
        """Have workers train the units, and yield each unit when it has ended."""


def work(unit: Unit, folder: str) -> None:
    """Train a unit in the sweep's current folder, as the sweep would in its own process: what every worker does."""
    from regbench.experiment.reporter import Reporter
    from regbench.experiment.train import train

    os.chdir(folder)
    train(unit, Reporter("off"))


def current_folder() -> str:
    """Name the folder that relative paths of the runs start from."""
    return str(Path.cwd())


def divide(stacks: Sequence[Unit]) -> list[Unit]:
    """Divide stacks into the units of workers, in the order of the sweep.

    A unit has at most as many runs as a worker trains at once: the smaller the units, the less workers wait for the
    last one.
    """
    from regbench.training.machine import find_device
    from regbench.training.stacking import evenly, most_in_lane

    runs = [run for stack in stacks for run in stack]
    share = -(-len(runs) // _room(runs))
    units: list[Unit] = []
    for stack in stacks:
        config = stack[0].config
        most = min(share, most_in_lane(config, find_device(config)) * threads_of(stack))
        units += [[stack[place] for place in part] for part in evenly(range(len(stack)), most)]
    return units


def _abandon(run: "Run", reason: str) -> None:
    """Record that a run's worker is gone, unless the run ended well or another process has it by now."""
    if not run.path.is_dir():
        return
    try:
        with run.directory() as directory:
            directory.abandon(reason)
    except (UserError, OSError):
        return


def threads_of(runs: "Sequence[Run]") -> int:
    """Count the threads of one worker: as many as set, or one.

    `scripts/bench sweep` on 2 cores, runs one after another, in 2 workers of 1 thread and in 1 process of 2: 24 mlps on
    55,000 images took 17.8 and 17.2 s, the workers' start included, 24 cnns on 5,000 images 76 and 84 s.
    """
    threads = runs[0].config.runtime.threads
    return 1 if threads == "auto" else threads


def cores() -> int:
    """Count the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus(runs: "Sequence[Run]") -> list[str]:
    """List the GPUs to spread workers over, as CUDA_VISIBLE_DEVICES names them; none if a run names its GPU."""
    devices = {run.config.runtime.device for run in runs}
    if not devices & {"auto", "cuda"} or any(":" in device for device in devices):
        return []
    import torch

    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return named[: torch.cuda.device_count()] or [str(number) for number in range(torch.cuda.device_count())]


def _room(runs: "Sequence[Run]") -> int:
    """Count the workers that this machine has room for: one per GPU, or as many as leave each its threads."""
    return len(gpus(runs)) or max(cores() // threads_of(runs), 1)


def number_of_workers(n_jobs: int | str, runs: "Sequence[Run]", units: int) -> int:
    """Count the workers: as many as set, or as there is room for; no more than there are units.

    Raises:
        UserError: n_jobs is neither auto nor a number of at least 1.
    """
    check_number(n_jobs)
    return min(units, _room(runs) if n_jobs == "auto" else int(n_jobs))


def check_number(n_jobs: int | str) -> None:
    """Raise UserError unless a number of workers is auto or a number of at least 1."""
    if n_jobs != "auto" and (type(n_jobs) is not int or n_jobs < 1):
        raise UserError(f"hydra.launcher.n_jobs={shown(n_jobs)}: must be auto or an integer of at least 1")
