"""Runs trained by other processes: what a worker does, and what the sweep makes of how it ended."""

import os
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from regbench.errors import UserError
from regbench.experiment.loading import load_torch
from regbench.records.queued import announced
from regbench.sweep.engines import units
from regbench.sweep.engines.settings import Common
from regbench.sweep.engines.units import Crew, Unit

if TYPE_CHECKING:
    from regbench.experiment.run import Run
    from regbench.sweep.watch import Watch


@dataclass(frozen=True)
class Fault:
    """Why a unit did not end well; `again`: whether its runs may be trained again, as its worker is gone."""

    reason: str
    again: bool = True


# The units that no worker has yet, the next one on the left.
Queue = deque[Unit]
# Yields each unit when it has ended, and why it did not end well.
Outcomes = Generator[tuple[Unit, Fault | None], None, None]


class Engine(Protocol):
    """Trains the runs of a sweep, in this process or by others."""

    def train(self, runs: Unit, watch: "Watch") -> None:
        """Train the runs. A run that fails stops no other."""

    def close(self) -> None:
        """Let go of what is kept from one `train` to the next."""


class Workers(ABC):
    """An engine that has other processes train. Whatever happens to a worker, its runs say so; the others continue."""

    def __init__(self, common: Common) -> None:
        self._common = common
        self._watch: Watch | None = None

    def tell(self, workers: str, is_news: bool) -> None:
        """Have the progress say how the workers stand: at its next line, or at once if it is news."""
        if self._watch:
            self._watch.tell(workers, is_news)

    def train(self, runs: Unit, watch: "Watch") -> None:
        """Train the runs, in units that every worker has some of. Those of a worker that dies are trained again."""
        crew = self.crew(runs)
        queue = Queue(units.divide(runs, crew, self._common.runs_per_job))
        self._watch = watch
        watch.follow(list(queue))
        deaths: Counter[Path] = Counter()
        # closed at once: Ctrl-C is passed on to the workers
        with announced(run.path for run in runs), closing(self.outcomes(queue, crew)) as outcomes:
            for unit, fault in outcomes:
                if fault:
                    queue.extend(self._to_repeat(unit, fault, deaths))

    def _to_repeat(self, unit: Unit, fault: Fault, deaths: "Counter[Path]") -> list[Unit]:
        """Return what is left of a unit, in halves: memory may have been too small. Give up what died too often."""
        left = [run for run in unit if not _has_ended(run)]
        deaths.update(run.path for run in left)
        again = [run for run in left if fault.again and deaths[run.path] <= self._common.max_failures]
        for run in left:
            if run not in again:
                _abandon(run, fault.reason)
        middle = -(-len(again) // 2)
        return [part for part in (again[:middle], again[middle:]) if part]

    def planned(self, runs: Unit) -> str:
        """Say in which units which workers would train the runs, and why."""
        crew = self.crew(runs)
        return units.in_words(units.divide(runs, crew, self._common.runs_per_job), crew)

    def close(self) -> None:  # noqa: B027 - most engines keep nothing
        """Let go of what is kept from one `train` to the next."""

    @abstractmethod
    def crew(self, runs: Unit) -> Crew:
        """Find out who will train.

        Raises:
            UserError: nobody can.
        """

    @abstractmethod
    def outcomes(self, queue: Queue, crew: Crew) -> Outcomes:
        """Have workers train the units of the queue, which may grow, and yield each unit when it has ended."""


def work(unit: Unit, folder: str) -> None:
    """Train a unit in the sweep's current folder, as the sweep would in its own process: what every worker does."""
    load_torch(shown=False)
    from regbench.experiment.reporter import Reporter
    from regbench.experiment.train import train
    from regbench.sweep.plan import stacks

    os.chdir(folder)
    for stack in stacks(unit):  # as large as fits here
        train(stack, Reporter("off"))


def current_folder() -> str:
    """Name the folder that relative paths of the runs start from."""
    return str(Path.cwd())


def _has_ended(run: "Run") -> bool:
    status = run.status()
    return status.finished or status.pruned


def _abandon(run: "Run", reason: str) -> None:
    """Record that a run's worker is gone, unless the run ended well or another process has it by now."""
    try:
        with run.directory() as directory:
            if directory.status.state == "failed":  # it says itself why
                return
            directory.abandon(reason, run.origin)
    except (UserError, OSError):
        return
