"""The loop: epochs of training and evaluation over a stack of runs. It touches no file and prints nothing."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from regbench.config import RunConfig
from regbench.data import Split, order
from regbench.rng import Stream, generator
from regbench.stack import Batch, Figures, Stack
from regbench.techniques.augment import Draws, draw, together

# Images at once. On a CPU few, so that the cnn's activations stay in its cache: 2 to 3 times as fast as 1,000.
EVALUATION_BATCHES = {"cpu": 250}
EVALUATION_BATCH = 5_000
SUMMED_STEPS = 1_000  # steps whose figures are kept until they are summed


def batched(items: Sequence[Tensor], size: int) -> Iterator[Sequence[Tensor]]:
    """The items in groups of a size, the last one maybe smaller."""
    return (items[first : first + size] for first in range(0, len(items), size))


@dataclass(frozen=True)
class Epoch:
    """One row of metrics.csv. Losses are mean cross-entropies without the penalty, accuracies fractions."""

    epoch: int  # from 1
    lr: float
    train_loss: float  # running mean over the epoch's batches, as is train_acc
    train_acc: float
    val_loss: float | None  # over all validation images after the epoch; None without any
    val_acc: float | None
    penalty: float  # mean over the steps, as are grad_norm and clipped
    grad_norm: float  # before clipping
    clipped: float  # share of the steps whose gradient was clipped
    weight_norm: float  # after the epoch
    seconds: float  # training and validation

    @property
    def diverged(self) -> bool:
        """Whether a loss stopped being finite."""
        return not all(math.isfinite(loss) for loss in (self.train_loss, self.penalty, self.val_loss or 0.0))


@dataclass(frozen=True)
class Best:
    """The epoch that validation chooses: least val_loss, the first among equals; the last epoch without validation."""

    epoch: int
    val_loss: float
    weights: dict[str, Tensor]


class Trainer:
    """Trains the runs of one stack; can be saved after any epoch, and goes on from there to the same bits."""

    def __init__(self, configs: Sequence[RunConfig], splits: Sequence[Split], device: torch.device) -> None:
        self.configs, self.splits, self.device = configs, splits, device
        self.stack = Stack(configs, device)
        self.finished = 0  # epochs
        self._chunk = EVALUATION_BATCHES.get(device.type, EVALUATION_BATCH)
        self.best: list[Best | None] = [None] * len(configs)
        self.val_losses: list[list[float]] = [[] for _ in configs]  # of the finished epochs

    @property
    def images_per_epoch(self) -> int:
        """Training images that an epoch uses: all of them, but for an incomplete last batch under drop_last."""
        config, images = self.configs[0], len(self.splits[0].train)
        return images - images % config.batch_size if config.drop_last else images

    @property
    def _steps_per_epoch(self) -> int:
        return math.ceil(self.images_per_epoch / self.configs[0].batch_size)

    def epochs(self, tick: Callable[[int], None]) -> Iterator[list[Epoch]]:
        """Train the epochs that are left: one record per run and epoch, until all runs have diverged.

        `tick` is called after each step with the number of images that a run has seen in it.
        """
        while self.finished < self.configs[0].epochs:
            start = time.perf_counter()
            rates = self.stack.begin_epoch(self.finished, self._steps_per_epoch, self.val_losses)
            means = self._train(tick)
            scores = [self._validate(index) for index in range(len(means))]
            self.finished += 1
            seconds = time.perf_counter() - start
            records = [self._record(k, rates[k], means[k], scores[k], seconds) for k in range(len(means))]
            yield records
            if all(record.diverged for record in records):
                return

    def _train(self, tick: Callable[[int], None]) -> list[list[float]]:
        """One pass over every run's training images, in its own order: each run's means of `Figures`."""
        self._augment_rngs = [generator(c.seed, Stream.AUGMENT, self.finished, self.device) for c in self.configs]
        rows = torch.stack([self._order(index) for index in range(len(self.configs))])
        sums = torch.zeros(len(rows), len(Figures._fields), dtype=torch.float64)
        for group in batched(rows[:, : self.images_per_epoch].split(self.configs[0].batch_size, dim=1), SUMMED_STEPS):
            sums += self._steps(group, tick)
        return (sums / torch.tensor([self.images_per_epoch] * 2 + [self._steps_per_epoch] * 3)).tolist()

    def _steps(self, batches: Sequence[Tensor], tick: Callable[[int], None]) -> Tensor:
        """A step for each batch of rows [K, B]: the sums of `Figures` [K, 5], the loss weighed by the batch's size.

        Figures are summed after the last of many steps: a step waits for nothing and adds nothing up.
        """
        figures = []
        for rows in batches:
            figures.append(self.stack.step(*self.splits[0].batch(rows, self._draws(rows.shape[1]))))
            tick(rows.shape[1])
        columns = [
            torch.stack(column).reshape(len(batches), -1).cpu().double() for column in zip(*figures, strict=True)
        ]
        columns[0] = columns[0] * torch.tensor([[rows.shape[1]] for rows in batches])
        return torch.stack([column.sum(0) for column in columns], dim=1)

    def _draws(self, samples: int) -> Draws | None:
        """How each run's next batch is augmented, one after the other; None if no run's is."""
        options = [config.augment for config in self.configs]
        if all(option.name == "none" for option in options):
            return None
        return together([draw(option, samples, rng) for option, rng in zip(options, self._augment_rngs, strict=True)])

    def _order(self, index: int) -> Tensor:
        split = self.splits[index]
        return split.train[order(len(split.train), self.configs[index].seed, self.finished).to(self.device)]

    def _validate(self, index: int) -> tuple[float, float] | None:
        split = self.splits[index]
        if not len(split.val):
            return None
        batches = (split.batch(indices) for indices in split.val.split(self._chunk))
        return self.stack.members[index].evaluate(batches)

    def _record(
        self, index: int, lr: float, means: list[float], score: tuple[float, float] | None, seconds: float
    ) -> Epoch:
        val_loss, val_acc = score or (None, None)
        norm = self.stack.members[index].weight_norm()
        loss, acc, penalty, grad_norm, clipped = means
        record = Epoch(self.finished, lr, loss, acc, val_loss, val_acc, penalty, grad_norm, clipped, norm, seconds)
        best = self.best[index]
        self.val_losses[index] += [] if val_loss is None else [val_loss]
        if val_loss is None or best is None or val_loss < best.val_loss:
            self.best[index] = Best(self.finished, val_loss or 0.0, self.weights(index))
        return record

    def weights(self, index: int) -> dict[str, Tensor]:
        """A copy of one run's parameters and running statistics as they are now."""
        tensors = self.stack.members[index].model.state_dict()
        return {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}

    def test(self, index: int) -> dict[str, tuple[float, float]]:
        """Cross-entropy and accuracy on the test images of the last epoch and of the one that validation chose.

        Leaves the chosen epoch's weights in the model.
        """
        best, split, member = self.best[index], self.splits[index], self.stack.members[index]
        assert best is not None, "test comes after an epoch"
        last = member.evaluate(self._test_batches(split))
        if best.epoch == self.finished:
            return {"last": last, "best_val": last}
        member.model.load_state_dict(best.weights)
        return {"last": last, "best_val": member.evaluate(self._test_batches(split))}

    def _test_batches(self, split: Split) -> Iterator[Batch]:
        pairs = zip(split.test_images.split(self._chunk), split.test_labels.split(self._chunk), strict=True)
        return ((split.scaled(images), labels) for images, labels in pairs)

    def state(self, index: int) -> dict[str, Any]:
        """All that one run needs to go on after its last finished epoch; tensors and plain values only."""
        member, best = self.stack.members[index], self.best[index]
        assert best is not None, "a state comes after an epoch"
        chosen = {"epoch": best.epoch, "val_loss": best.val_loss, "weights": best.weights}
        weights, optimizer = member.model.state_dict(), member.optimizer.state_dict()
        return {
            "epoch": self.finished,
            "weights": weights,
            "optimizer": optimizer,
            "best": chosen,
            "val_losses": list(self.val_losses[index]),
        }

    def load_state(self, index: int, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        member = self.stack.members[index]
        member.model.load_state_dict(state["weights"])
        member.optimizer.load_state_dict(state["optimizer"])
        self.best[index] = Best(**state["best"])
        self.val_losses[index] = list(state["val_losses"])
        self.finished = state["epoch"]
