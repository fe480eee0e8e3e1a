"""Runs divided among lanes: each lane trains stacks, one after another, in a thread."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from threading import Event, Lock
from typing import Any, TypeVar

import torch

from regbench.config.run_config import RunConfig
from regbench.data.split import Split
from regbench.records.rows import Classes, Epoch, Histogram, LayerFigures, Progress
from regbench.training.machine import Machine
from regbench.training.stacking import evenly, most_as_one
from regbench.training.trainer import Best, Tests, Tick, Trainer, TrainsRuns

_Result = TypeVar("_Result")
_SECONDS = 1.0  # between looks whether the user has stopped the training


def trainer(configs: Sequence[RunConfig], splits: Sequence[Split], machine: Machine) -> TrainsRuns:
    """Make what trains the runs in as many lanes as the machine has; in this thread if one lane has all threads."""
    fits = len(configs) <= most_as_one(configs[0], machine.device)
    if fits and (machine.lanes, machine.threads) == (1, torch.get_num_threads()):
        return Trainer(configs, splits, machine.device)
    return Lanes(configs, splits, machine)


class Lanes:
    """Does for the runs of several stacks what `Trainer` does for those of one; see `TrainsRuns`."""

    def __init__(self, configs: Sequence[RunConfig], splits: Sequence[Split], machine: Machine) -> None:
        self.configs, self.splits, self._device = configs, splits, machine.device
        most = min(-(-len(configs) // machine.lanes), most_as_one(configs[0], machine.device))
        self._parts = evenly(range(len(configs)), most)
        self._pool = ThreadPoolExecutor(machine.lanes, "lane", torch.set_num_threads, (machine.threads,))
        self._trainers = list(self._pool.map(self._trainer, self._parts))  # orthogonal weights depend on the threads
        self._stop, self._lock = Event(), Lock()
        self._runs = self._seen = 0  # in an epoch: runs that train, images that they have seen together

    def _trainer(self, part: Sequence[int]) -> Trainer:
        return Trainer([self.configs[run] for run in part], [self.splits[run] for run in part], self._device)

    @property
    def images_per_epoch(self) -> int:
        """Training images that an epoch uses."""
        return self._trainers[0].images_per_epoch

    @property
    def finished(self) -> int:
        """Epochs that the runs which are left have trained."""
        return max(trainer.finished for trainer in self._trainers)

    @property
    def best(self) -> list[Best | None]:
        """The epoch that validation chooses, for each run."""
        return [best for trainer in self._trainers for best in trainer.best]

    @property
    def layers(self) -> dict[int, list[LayerFigures]]:
        """The diagnostics of the last epoch."""
        return self._merged([trainer.layers for trainer in self._trainers])

    @property
    def histograms(self) -> dict[int, list[Histogram]]:
        """The histograms of the last epoch."""
        return self._merged([trainer.histograms for trainer in self._trainers])

    @property
    def predicted(self) -> dict[int, dict[str, Classes]]:
        """The class that each run gives to each test image."""
        return self._merged([trainer.predicted for trainer in self._trainers])

    def epochs(self, tick: Tick) -> Iterator[dict[int, Epoch]]:
        """Train the epochs that are left, as `Trainer.epochs`; lanes wait for each other after each."""
        iterators = {trainer: trainer.epochs(partial(self._tick, trainer, tick)) for trainer in self._trainers}
        while self._begin() and any(records := self._in_lanes(lambda trainer: next(iterators[trainer], {}))):
            seconds = (time.perf_counter() - self._start) / self._runs
            yield {run: replace(epoch, seconds=seconds) for run, epoch in self._merged(records).items()}

    def _begin(self) -> bool:
        """Prepare an epoch; whether there are runs left."""
        self._start, self._seen = time.perf_counter(), 0
        self._runs = sum(len(trainer.active) for trainer in self._trainers)
        return self._runs > 0

    def _tick(self, trainer: Trainer, tick: Tick, images: int) -> None:
        """Pass on how many images each run has seen on average."""
        if self._stop.is_set():
            raise CancelledError
        with self._lock:
            before = self._seen // self._runs
            self._seen += images * len(trainer.active)
            tick(self._seen // self._runs - before)

    def pretrain(self, runs: Iterable[int], report: Callable[[int, Progress], None]) -> None:
        """As `Trainer.pretrain`; reports come from several threads."""
        wanted = set(runs)

        def work(trainer: Trainer) -> None:
            part = self._parts[self._trainers.index(trainer)]
            places = [place for place, run in enumerate(part) if run in wanted]
            trainer.pretrain(places, lambda place, row: report(part[place], row))

        self._in_lanes(work)

    def test(self) -> dict[int, Tests]:
        """As `Trainer.test`."""
        return self._merged(self._in_lanes(Trainer.test))

    def drop(self, runs: Iterable[int]) -> None:
        """Continue without some runs."""
        gone = set(runs)
        for trainer, part in zip(self._trainers, self._parts, strict=True):
            trainer.drop([place for place, run in enumerate(part) if run in gone])

    def weight_count(self) -> int:
        """How many weights a run's model has."""
        return self._trainers[0].weight_count()

    def state(self, run: int) -> dict[str, Any]:
        """As `Trainer.state`."""
        trainer, place = self._home(run)
        return trainer.state(place)

    def load_state(self, run: int, state: dict[str, Any]) -> None:
        """As `Trainer.load_state`."""
        trainer, place = self._home(run)
        trainer.load_state(place, state)

    def _home(self, run: int) -> tuple[Trainer, int]:
        """The trainer that has the run, and the run's place there."""
        pairs = zip(self._trainers, self._parts, strict=True)
        return next((trainer, part.index(run)) for trainer, part in pairs if run in part)

    def _merged(self, results: Sequence[Mapping[int, _Result]]) -> dict[int, _Result]:
        """Join the trainers' results for their runs, by the runs' places here."""
        pairs = zip(self._parts, results, strict=True)
        return {part[place]: value for part, of_trainer in pairs for place, value in of_trainer.items()}

    def _in_lanes(self, work: Callable[[Trainer], _Result]) -> list[_Result]:
        """Do a piece of work for every trainer, side by side; if one fails, or the user stops it, all stop."""
        futures: list[Future[_Result]] = []
        try:
            futures += (self._pool.submit(work, trainer) for trainer in self._trainers)
            _wait_for(futures)
        except BaseException:
            self._stop.set()
            for future in futures:
                future.cancel()
            wait(futures)
            raise
        return [future.result() for future in futures]


def _wait_for(futures: Sequence["Future[Any]"]) -> None:
    """Wait until all have ended, or raise what one of them does.

    In pieces: an interrupt that no signal brings, such as `ray.cancel`, is seen only between them.
    """
    left: set[Future[Any]] = set(futures)
    while left:
        done, left = wait(left, _SECONDS, FIRST_EXCEPTION)
        for future in done:
            future.result()
