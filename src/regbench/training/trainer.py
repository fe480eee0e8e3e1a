"""The loop: epochs of training and evaluation over a stack of runs. It touches no file and prints nothing."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from regbench.config.run_config import RunConfig
from regbench.data.split import Split, order
from regbench.models.architectures import weight_count
from regbench.records.rows import Epoch, LayerFigures, Progress, Rights
from regbench.rng import Stream, generator
from regbench.techniques.augment import Draws, apply, draw, together
from regbench.training.diagnostics import IMAGES
from regbench.training.pretrain import pretrain
from regbench.training.stack import Batch, Figures, Stack

# Images at once. On a CPU few, so that the cnn's activations stay in its cache: 2 to 3 times as fast as 1,000.
EVALUATION_BATCHES = {"cpu": 250}
EVALUATION_BATCH = 5_000
SUMMED_STEPS = 1_000  # steps whose figures are kept until they are summed

Tick = Callable[[int], None]  # called after each step with the number of images that a run has seen in it
Tests = dict[str, tuple[float, float]]  # "last" and "best_val": mean cross-entropy and accuracy


def _by(draws: Draws) -> Callable[[Tensor], Tensor]:
    return partial(apply, draws=draws)


def batched(items: Sequence[Tensor], size: int) -> Iterator[Sequence[Tensor]]:
    """The items in groups of a size, the last one maybe smaller."""
    return (items[first : first + size] for first in range(0, len(items), size))


@dataclass(frozen=True)
class Best:
    """The epoch that validation chooses: least val_loss, the first among equals; the last epoch without validation."""

    epoch: int
    val_loss: float
    weights: dict[str, Tensor]


class Trainer:
    """Trains runs in lockstep; each can be saved after any epoch, and goes on from there, in whatever company.

    Runs go by their place in `configs`. One that diverges or is dropped leaves the stack; the others notice nothing.
    """

    def __init__(self, configs: Sequence[RunConfig], splits: Sequence[Split], device: torch.device) -> None:
        self.configs, self.splits, self.device = configs, splits, device
        self.active = list(range(len(configs)))  # the run at each place of the stack
        self.stack = Stack(configs, device)
        self.finished = 0  # epochs
        self.best: list[Best | None] = [None] * len(configs)
        self.val_losses: list[list[float]] = [[] for _ in configs]  # of the finished epochs
        self.layers: dict[int, list[LayerFigures]] = {}  # of the last epoch; empty with diagnostics=off
        self.rights: dict[int, dict[str, Rights]] = {}  # as `Tests`: which test images are classified rightly
        self._augment_rngs: list[Generator] = []
        self._chunk = EVALUATION_BATCHES.get(device.type, EVALUATION_BATCH)

    @property
    def images_per_epoch(self) -> int:
        """Training images that an epoch uses: all of them, but for an incomplete last batch under drop_last."""
        config, images = self.configs[0], len(self.splits[0].train)
        return images - images % config.batch_size if config.drop_last else images

    @property
    def _steps_per_epoch(self) -> int:
        return math.ceil(self.images_per_epoch / self.configs[0].batch_size)

    def epochs(self, tick: Tick) -> Iterator[dict[int, Epoch]]:
        """Train the epochs that are left: the records of the runs still in the stack, until none is."""
        while self.finished < self.configs[0].epochs and self.active:
            start = time.perf_counter()
            losses = [self.val_losses[run] for run in self.active]
            rates = self.stack.begin_epoch(self.finished, self._steps_per_epoch, losses)
            means = self._train(tick)
            scores = self._validate()
            norms = self.stack.weight_norms()
            self.finished += 1
            seconds = (time.perf_counter() - start) / len(self.active)
            figures = zip(rates, means, scores, norms, strict=True)
            records = [self._record(*own, seconds) for own in figures]
            found = dict(zip(self.active, records, strict=True))
            for run, record in found.items():
                self._choose(run, record)
            self.layers = self._diagnose() if self.stack.diagnosed else {}
            self.drop([run for run in self.active if found[run].diverged])
            yield found

    def drop(self, runs: Iterable[int]) -> None:
        """Go on without some runs."""
        gone = set(runs)
        if not gone:
            return
        kept = [(run, self.stack.state(place)) for place, run in enumerate(self.active) if run not in gone]
        self.active = [run for run, _ in kept]
        if kept:
            del self.stack  # its memory is needed for the next
            self.stack = Stack([self.configs[run] for run in self.active], self.device)
        for place, (_, state) in enumerate(kept):
            self.stack.load_state(place, state)

    def _train(self, tick: Tick) -> list[list[float]]:
        """One pass over every run's training images, in its own order: each run's means of `Figures`."""
        seeds = [self.configs[run].seed for run in self.active]
        self._augment_rngs = [generator(seed, Stream.AUGMENT, self.finished, self.device) for seed in seeds]
        rows = torch.stack([self._order(run) for run in self.active])
        sums = torch.zeros(len(rows), len(Figures._fields), dtype=torch.float64)
        for group in batched(rows[:, : self.images_per_epoch].split(self.configs[0].batch_size, dim=1), SUMMED_STEPS):
            sums += self._steps(group, tick)
        return (sums / torch.tensor([self.images_per_epoch] * 2 + [self._steps_per_epoch] * 3)).tolist()

    def _steps(self, batches: Sequence[Tensor], tick: Tick) -> Tensor:
        """A step for each batch of rows [K, B]: the sums of `Figures` [K, 5], the loss weighed by the batch's size.

        Figures are summed after the last of many steps: a step waits for nothing and adds nothing up.
        """
        figures = []
        for rows in batches:
            figures.append(self.stack.step(*self._batch(rows, self._draws(rows.shape[1]))))
            tick(rows.shape[1])
        columns = [torch.stack(column).cpu().double() for column in zip(*figures, strict=True)]
        columns[0] = columns[0] * torch.tensor([[rows.shape[1]] for rows in batches])
        return torch.stack([column.sum(0) for column in columns], dim=1)

    def _order(self, run: int) -> Tensor:
        split = self.splits[run]
        return split.train[order(len(split.train), self.configs[run].seed, self.finished).to(self.device)]

    def _draws(self, samples: int) -> list[Draws] | None:
        """How each run's next batch is augmented; None if no run's is."""
        options = [self.configs[run].augment for run in self.active]
        if all(option.name == "none" for option in options):
            return None
        return [draw(option, samples, rng) for option, rng in zip(options, self._augment_rngs, strict=True)]

    def _batch(self, rows: Tensor, draws: Sequence[Draws] | None = None) -> Batch:
        """Images and labels of rows [K, B] of the training images, as each run sees them, changed by its draws."""
        if self._see_alike():
            images, labels = self.splits[self.active[0]].batch(rows, _by(together(draws)) if draws else None)
        else:
            parts = [(rows[place], _by(draws[place]) if draws else None) for place in range(len(rows))]
            pairs = [self.splits[run].batch(*part) for run, part in zip(self.active, parts, strict=True)]
            images, labels = map(torch.stack, zip(*pairs, strict=True))
        return images.to(self.stack.dtype), labels

    def _see_alike(self) -> bool:
        first = self.splits[self.active[0]]
        return all(self.splits[run].sees_as(first) for run in self.active)

    def _validate(self) -> list[tuple[float, float]] | list[None]:
        if not len(self.splits[0].val):
            return [None] * len(self.active)
        rows = torch.stack([self.splits[run].val for run in self.active])
        return self.stack.evaluate(self._batch(part) for part in rows.split(self._chunk, dim=1))

    def _diagnose(self) -> dict[int, list[LayerFigures]]:
        rows = torch.stack([self.splits[run].train[:IMAGES] for run in self.active])
        return dict(zip(self.active, self.stack.diagnose(*self._batch(rows)), strict=True))

    def _record(
        self, lr: float, means: list[float], score: tuple[float, float] | None, norm: float, seconds: float
    ) -> Epoch:
        loss, acc, penalty, grad_norm, clipped = means
        val_loss, val_acc = score or (None, None)
        gap = None if val_loss is None else val_loss - loss
        return Epoch(self.finished, lr, loss, acc, val_loss, val_acc, gap, penalty, grad_norm, clipped, norm, seconds)

    def _choose(self, run: int, record: Epoch) -> None:
        best, val_loss = self.best[run], record.val_loss
        self.val_losses[run] += [] if val_loss is None else [val_loss]
        if val_loss is None or best is None or val_loss < best.val_loss:
            self.best[run] = Best(self.finished, val_loss or 0.0, self.weights(run))

    def weight_count(self) -> int:
        """How many weights a run's model has."""
        return weight_count(self.stack.models[0])

    def pretrain(self, runs: Iterable[int], report: Callable[[int, Progress], None]) -> None:
        """Prepare the initial weights of some runs, where their initializer takes more than random numbers."""
        for run in runs:
            model = self.stack.models[self.active.index(run)]
            pretrain(model, self.configs[run], self.splits[run], partial(report, run))

    def weights(self, run: int) -> dict[str, Tensor]:
        """A copy of one run's parameters and running statistics as they are now."""
        return self.stack.weights(self.active.index(run))

    def test(self) -> dict[int, Tests]:
        """Cross-entropy and accuracy on the test images of each run's last epoch and of the one that validation chose.

        Leaves the chosen epochs' weights in the stack.
        """
        if not self.active:
            return {}
        last = self.stack.tested(self._test_batches())
        chosen = [best for run in self.active if (best := self.best[run])]
        for model, best in zip(self.stack.models, chosen, strict=True):
            if best.epoch != self.finished:
                model.load_state_dict(best.weights)
        again = last if all(best.epoch == self.finished for best in chosen) else self.stack.tested(self._test_batches())
        both = {"last": last, "best_val": again}
        rights = {name: images.cpu().numpy() for name, (_, images) in both.items()}
        places = dict(enumerate(self.active))
        self.rights = {run: {name: own[place] for name, own in rights.items()} for place, run in places.items()}
        return {run: {name: scores[place] for name, (scores, _) in both.items()} for place, run in places.items()}

    def _test_batches(self) -> Iterator[Batch]:
        first, runs = self.splits[self.active[0]], len(self.active)
        parts = zip(first.test_images.split(self._chunk), first.test_labels.split(self._chunk), strict=True)
        for images, labels in parts:
            if self._see_alike():
                seen = first.scaled(images).expand(runs, -1, -1, -1)
            else:
                seen = torch.stack([self.splits[run].scaled(images) for run in self.active])
            yield seen.to(self.stack.dtype), labels.expand(runs, -1)

    def state(self, run: int) -> dict[str, Any]:
        """All that one run needs to go on after its last finished epoch; tensors and plain values only."""
        best = self.best[run]
        assert best is not None, "a state comes after an epoch"
        chosen = {"epoch": best.epoch, "val_loss": best.val_loss, "weights": best.weights}
        own = {"best": chosen, "val_losses": list(self.val_losses[run])}
        return {"epoch": self.finished, **self.stack.state(self.active.index(run)), **own}

    def load_state(self, run: int, state: dict[str, Any]) -> None:
        """Have one run go on from a saved state; all of a stack have finished as many epochs."""
        self.stack.load_state(self.active.index(run), state)
        self.best[run] = Best(**state["best"])
        self.val_losses[run] = list(state["val_losses"])
        self.finished = state["epoch"]
