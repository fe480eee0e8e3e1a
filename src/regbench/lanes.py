"""Runs dealt out to lanes: each lane is a stack with a trainer of its own, in a thread of its own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any, TypeVar

import torch
from torch import nn

from regbench.config import RunConfig
from regbench.correct import Rights
from regbench.data import Split
from regbench.diagnostics import LayerFigures
from regbench.machine import Machine
from regbench.plan import evenly, most_in_lane
from regbench.trainer import Best, Epoch, Tests, Tick, Trainer

Result = TypeVar("Result")


def trainer(configs: Sequence[RunConfig], splits: Sequence[Split], machine: Machine) -> "Trainer | Lanes":
    """What trains the runs in as many lanes as the machine has; in this thread if one lane has all of the threads."""
    fits = len(configs) <= most_in_lane(configs[0], machine.device)
    if fits and (machine.lanes, machine.threads) == (1, torch.get_num_threads()):
        return Trainer(configs, splits, machine.device)
    return Lanes(configs, splits, machine)


class Lanes:
    """What `Trainer` is to the runs of one stack, to those of several; runs go by their place in `configs`."""

    def __init__(self, configs: Sequence[RunConfig], splits: Sequence[Split], machine: Machine) -> None:
        self.configs, self.splits, self.device = configs, splits, machine.device
        most = min(-(-len(configs) // machine.lanes), most_in_lane(configs[0], machine.device))
        self._parts = evenly(range(len(configs)), most)
        self._trainers = [
            Trainer([configs[run] for run in part], [splits[run] for run in part], machine.device)
            for part in self._parts
        ]
        self._pool = ThreadPoolExecutor(machine.lanes, "lane", torch.set_num_threads, (machine.threads,))
        self._stop = Event()

    @property
    def images_per_epoch(self) -> int:
        """Training images that an epoch uses."""
        return self._trainers[0].images_per_epoch

    @property
    def finished(self) -> int:
        """Epochs behind the runs that are left."""
        return max(trainer.finished for trainer in self._trainers)

    @property
    def best(self) -> list[Best | None]:
        """Of each run the epoch that validation chooses."""
        return [best for trainer in self._trainers for best in trainer.best]

    @property
    def layers(self) -> dict[int, list[LayerFigures]]:
        """The diagnostics of the last epoch."""
        return self._merged([trainer.layers for trainer in self._trainers])

    @property
    def rights(self) -> dict[int, dict[str, Rights]]:
        """Of each test image whether a run classifies it rightly."""
        return self._merged([trainer.rights for trainer in self._trainers])

    def epochs(self, tick: Tick) -> Iterator[dict[int, Epoch]]:
        """Train the epochs that are left, as `Trainer.epochs`; the lanes wait for one another after each."""
        iterators = {trainer: trainer.epochs(partial(self._tick, trainer, tick)) for trainer in self._trainers}
        while any(found := self._each(lambda trainer: next(iterators[trainer], {}))):
            total = sum(map(len, found))
            yield self._merged(
                [
                    {run: replace(epoch, seconds=epoch.seconds * len(own) / total) for run, epoch in own.items()}
                    for own in found
                ]
            )

    def _tick(self, trainer: Trainer, tick: Tick, images: int) -> None:
        if self._stop.is_set():
            raise CancelledError
        if trainer is next(one for one in self._trainers if one.active):  # whose steps stand for all
            tick(images)

    def test(self) -> dict[int, Tests]:
        """As `Trainer.test`."""
        return self._merged(self._each(Trainer.test))

    def drop(self, runs: Iterable[int]) -> None:
        """Go on without some runs."""
        for run in runs:
            trainer, place = self._home(run)
            trainer.drop([place])

    def model(self, run: int) -> nn.Sequential:
        """One run's model."""
        trainer, place = self._home(run)
        return trainer.model(place)

    def state(self, run: int) -> dict[str, Any]:
        """All that one run needs to go on, alone or in any company."""
        trainer, place = self._home(run)
        return trainer.state(place)

    def load_state(self, run: int, state: dict[str, Any]) -> None:
        """Have one run go on from a saved state."""
        trainer, place = self._home(run)
        trainer.load_state(place, state)

    def _home(self, run: int) -> tuple[Trainer, int]:
        """The trainer that has the run, and its place there."""
        pairs = zip(self._trainers, self._parts, strict=True)
        return next((trainer, part.index(run)) for trainer, part in pairs if run in part)

    def _merged(self, found: Sequence[dict[int, Result]]) -> dict[int, Result]:
        """What each trainer has of its runs, by their places here."""
        pairs = zip(self._parts, found, strict=True)
        return {part[place]: value for part, own in pairs for place, value in own.items()}

    def _each(self, work: Callable[[Trainer], Result]) -> list[Result]:
        """A piece of work for every trainer, side by side; if one fails, or the user stops it, none goes on."""
        futures = [self._pool.submit(work, trainer) for trainer in self._trainers]
        try:
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        except BaseException:
            self._stop.set()
            wait(futures)
            raise
        return [future.result() for future in futures]
