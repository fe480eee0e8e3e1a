"""The loop: epochs of training and evaluation over a stack of runs. It touches no file and prints nothing."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from regbench.config.run_config import RunConfig
from regbench.data.split import Split
from regbench.models.architectures import weight_count
from regbench.records.rows import Classes, Epoch, Histogram, LayerFigures, Progress
from regbench.training.batches import Batches
from regbench.training.diagnostics import diagnose
from regbench.training.epoch_figures import Means, Sums, epoch_of
from regbench.training.histograms import histograms
from regbench.training.pretrain import pretrain
from regbench.training.stack import Score, Stack

Tick = Callable[[int], None]  # called after each step with the number of images that a run has seen in it
Tests = Mapping[str, Score]  # on the test images, of the epochs "last" and "best_val"


@dataclass(frozen=True)
class Best:
    """The epoch that validation chooses: least val_loss, the first among equals; the last epoch without validation."""

    epoch: int
    val_loss: float
    weights: dict[str, Tensor]


class TrainsRuns(Protocol):
    """What trains runs in lockstep: `Trainer` one stack, `regbench.training.lanes.Lanes` several.

    Runs go by their place in `configs`.
    """

    @property
    def configs(self) -> Sequence[RunConfig]:
        """The runs."""

    @property
    def splits(self) -> Sequence[Split]:
        """The data of each run."""

    @property
    def images_per_epoch(self) -> int:
        """Training images that an epoch uses."""

    @property
    def finished(self) -> int:
        """Epochs that the runs have trained."""

    @property
    def best(self) -> Sequence[Best | None]:
        """The epoch that validation chooses, for each run; None before the first."""

    @property
    def layers(self) -> Mapping[int, Sequence[LayerFigures]]:
        """The diagnostics of the last epoch, by run; empty with diagnostics=off."""

    @property
    def histograms(self) -> Mapping[int, Sequence[Histogram]]:
        """The histograms of the last epoch, by run; empty with diagnostics=off, and between the first and the last."""

    @property
    def predicted(self) -> Mapping[int, Mapping[str, Classes]]:
        """The class that each run gives to each test image, named as in `Tests`; after `test`."""

    def epochs(self, tick: Tick) -> Iterator[Mapping[int, Epoch]]:
        """Train the epochs that are left: the records of the runs that still train, until none does."""

    def drop(self, runs: Iterable[int]) -> None:
        """Continue without some runs."""

    def weight_count(self) -> int:
        """How many weights a run's model has."""

    def pretrain(self, runs: Iterable[int], report: Callable[[int, Progress], None]) -> None:
        """Prepare the initial weights of some runs, where their initializer takes more than random numbers."""

    def test(self) -> Mapping[int, Tests]:
        """Test each run that is left, at its last epoch and at the one that validation chooses."""

    def state(self, run: int) -> dict[str, Any]:
        """Everything that one run needs to resume, alone or in any stack; tensors and plain values only."""

    def load_state(self, run: int, state: dict[str, Any]) -> None:
        """Let one run resume from a saved state; all runs have finished equally many epochs."""


class Trainer:
    """Trains runs in lockstep as one stack; each can be saved after any epoch and resume in any stack.

    A run that diverges or is dropped leaves the stack; the others notice nothing.
    """

    def __init__(self, configs: Sequence[RunConfig], splits: Sequence[Split], device: torch.device) -> None:
        self.configs, self.splits, self.device = configs, splits, device
        self.finished = 0  # epochs
        self.best: list[Best | None] = [None] * len(configs)
        self.layers: dict[int, list[LayerFigures]] = {}
        self.histograms: dict[int, list[Histogram]] = {}
        self.predicted: dict[int, dict[str, Classes]] = {}
        self._watched: list[list[float]] = [[] for _ in configs]  # losses of the finished epochs, for schedules
        self._make_stack(range(len(configs)))

    def _make_stack(self, runs: Iterable[int]) -> None:
        """Make a stack of some runs."""
        self.active = list(runs)  # the run at each place of the stack
        configs = [self.configs[run] for run in self.active]
        self.stack = Stack(configs, self.device)
        self._batches = Batches(configs, [self.splits[run] for run in self.active], self.device, self.stack.dtype)

    @property
    def images_per_epoch(self) -> int:
        """Training images that an epoch uses."""
        return self._batches.images_per_epoch

    def epochs(self, tick: Tick) -> Iterator[dict[int, Epoch]]:
        """Train the epochs that are left: the records of the runs still in the stack, until none is."""
        while self.finished < self.configs[0].epochs and self.active:
            records = self._epoch(tick)
            for run, record in records.items():
                self._choose(run, record)
            if self.stack.diagnosed:
                self._diagnose()
            self.drop([run for run in self.active if records[run].diverged])
            yield records

    def _epoch(self, tick: Tick) -> dict[int, Epoch]:
        """Train and validate one epoch: the record of each run."""
        start = time.perf_counter()
        losses = [self._watched[run] for run in self.active]
        rates = self.stack.begin_epoch(self.finished, self._batches.steps_per_epoch, losses)
        means = self._train(tick)
        scores = self._validate()
        norms = self.stack.weight_norms()
        self.finished += 1
        seconds = (time.perf_counter() - start) / len(self.active)
        return {
            run: epoch_of(
                number=self.finished,
                lr=rates[place],
                means=means[place],
                score=scores[place],
                weight_norm=norms[place],
                seconds=seconds,
            )
            for place, run in enumerate(self.active)
        }

    def _train(self, tick: Tick) -> list[Means]:
        """Pass once over every run's training images, in its own order."""
        sums = Sums()
        for rows in self._batches.begin_epoch(self.finished):
            images, labels = self._batches.training(rows)
            sums.add(self.stack.step(images, labels), labels)
            tick(rows.shape[1])
        return sums.means()

    def _validate(self) -> list[Score] | list[None]:
        if not len(self.splits[0].val):
            return [None] * len(self.active)
        return self.stack.evaluate(self._batches.validation()).scores

    def _diagnose(self) -> None:
        observation = self.stack.observe(*self._batches.diagnosis())
        model = self.stack.network.template
        self.layers = dict(zip(self.active, diagnose(model, observation, self.finished), strict=True))
        ends = self.finished in (1, self.configs[0].epochs)  # what histograms are for: how it began and ended
        spread = histograms(model, observation, self.finished) if ends else []
        self.histograms = dict(zip(self.active, spread, strict=False))

    def _choose(self, run: int, record: Epoch) -> None:
        best, val_loss = self.best[run], record.val_loss
        self._watched[run].append(record.train_loss if val_loss is None else val_loss)
        if val_loss is None or best is None or val_loss < best.val_loss:
            self.best[run] = Best(self.finished, val_loss or 0.0, self.weights(run))

    def drop(self, runs: Iterable[int]) -> None:
        """Continue without some runs."""
        gone = set(runs)
        if not gone:
            return
        kept = {run: self.stack.state(place) for place, run in enumerate(self.active) if run not in gone}
        if not kept:
            self.active = []
            return
        del self.stack  # its memory is needed for the next
        self._make_stack(kept)
        for place, state in enumerate(kept.values()):
            self.stack.load_state(place, state)

    def weight_count(self) -> int:
        """How many weights a run's model has."""
        return weight_count(self.stack.models[0])

    def pretrain(self, runs: Iterable[int], report: Callable[[int, Progress], None]) -> None:
        """Prepare the initial weights of some runs, where their initializer takes more than random numbers."""
        for run in runs:
            model = self.stack.models[self.active.index(run)]
            pretrain(model, self.configs[run], self.splits[run], partial(report, run))

    def weights(self, run: int) -> dict[str, Tensor]:
        """Copy one run's parameters and running statistics as they are now."""
        return self.stack.weights(self.active.index(run))

    def test(self) -> dict[int, Tests]:
        """Test each run that is left, at its last epoch and at the one that validation chooses.

        Leaves the chosen epochs' weights in the stack.
        """
        if not self.active:
            return {}
        last = self.stack.evaluate(self._batches.test())
        moved = self._load_chosen()
        both = {"last": last, "best_val": self.stack.evaluate(self._batches.test()) if moved else last}
        classes = {name: evaluation.classes.cpu().numpy() for name, evaluation in both.items()}
        places = dict(enumerate(self.active))
        self.predicted = {run: {name: own[place] for name, own in classes.items()} for place, run in places.items()}
        return {run: {name: both[name].scores[place] for name in both} for place, run in places.items()}

    def _load_chosen(self) -> bool:
        """Load the weights of the chosen epochs; whether any was not the last."""
        chosen = {place: best for place, run in enumerate(self.active) if (best := self.best[run])}
        earlier = {place: best for place, best in chosen.items() if best.epoch != self.finished}
        for place, best in earlier.items():
            self.stack.models[place].load_state_dict(best.weights)
        return bool(earlier)

    def state(self, run: int) -> dict[str, Any]:
        """Everything that one run needs to resume after its last finished epoch; tensors and plain values only."""
        best = self.best[run]
        assert best is not None, "a state comes after an epoch"
        return {
            "epoch": self.finished,
            **self.stack.state(self.active.index(run)),
            "best": {"epoch": best.epoch, "val_loss": best.val_loss, "weights": best.weights},
            "val_losses": list(self._watched[run]),
        }

    def load_state(self, run: int, state: dict[str, Any]) -> None:
        """Let one run resume from a saved state; all runs of a stack have finished equally many epochs."""
        self.stack.load_state(self.active.index(run), state)
        self.best[run] = Best(**state["best"])
        self._watched[run] = list(state["val_losses"])
        self.finished = state["epoch"]
