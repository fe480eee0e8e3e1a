"""What each run of a stack sees: rows in its own order, augmented by its own draws."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Generator, Tensor

from regbench.config.run_config import RunConfig
from regbench.data.split import Split, order
from regbench.rng import Stream, generator
from regbench.techniques.augment import Draws, apply, draw, together
from regbench.training.diagnostics import IMAGES
from regbench.training.stack import Batch

# Images evaluated at once. On a CPU few: the cnn's activations stay in its cache, and it takes a half to a third of the
# time that it takes with 1,000 (2 cores).
_EVALUATION_BATCHES = {"cpu": 250}
_EVALUATION_BATCH = 5_000


class Batches:
    """Gives the runs of a stack their images [K, samples, 28, 28] and labels [K, samples]."""

    def __init__(
        self, configs: Sequence[RunConfig], splits: Sequence[Split], device: torch.device, dtype: torch.dtype
    ) -> None:
        self._configs, self._splits, self._device, self._dtype = configs, splits, device, dtype
        self._alike = all(split.sees_as(splits[0]) for split in splits)  # one row is the same image to all runs
        self._augmented = any(config.augment.name != "none" for config in configs)
        self._augment_rngs: list[Generator] = []
        self._chunk = _EVALUATION_BATCHES.get(device.type, _EVALUATION_BATCH)

    @property
    def images_per_epoch(self) -> int:
        """Training images that an epoch uses: all except, with drop_last, those of an incomplete last batch."""
        config, images = self._configs[0], len(self._splits[0].train)
        return images - images % config.batch_size if config.drop_last else images

    @property
    def steps_per_epoch(self) -> int:
        """Training steps of an epoch."""
        return math.ceil(self.images_per_epoch / self._configs[0].batch_size)

    def begin_epoch(self, epoch: int) -> Sequence[Tensor]:
        """The rows [K, samples] of each training step of an epoch, counted from 0."""
        seeds = [config.seed for config in self._configs]
        self._augment_rngs = [generator(seed, Stream.AUGMENT, epoch, self._device) for seed in seeds]
        pairs = zip(self._splits, seeds, strict=True)
        rows = [split.train[order(len(split.train), seed, epoch).to(self._device)] for split, seed in pairs]
        used = torch.stack(rows)[:, : self.images_per_epoch]
        return torch.split(used, self._configs[0].batch_size, dim=1)

    def training(self, rows: Tensor) -> Batch:
        """The batch of the next training step, augmented."""
        return self._batch(rows, self._draws(rows.shape[1]) if self._augmented else None)

    def validation(self) -> Iterator[Batch]:
        """All validation images of each run."""
        rows = torch.stack([split.val for split in self._splits])
        return (self._batch(part) for part in rows.split(self._chunk, dim=1))

    def diagnosis(self) -> Batch:
        """The training images that each run's diagnostics look at, not augmented."""
        return self._batch(torch.stack([split.train[:IMAGES] for split in self._splits]))

    def test(self) -> Iterator[Batch]:
        """All test images."""
        first, runs = self._splits[0], len(self._splits)
        parts = zip(first.test_images.split(self._chunk), first.test_labels.split(self._chunk), strict=True)
        for images, labels in parts:
            if self._alike:
                seen = first.scaled(images).expand(runs, -1, -1, -1)
            else:
                seen = torch.stack([split.scaled(images) for split in self._splits])
            yield seen.to(self._dtype), labels.expand(runs, -1)

    def _draws(self, samples: int) -> list[Draws]:
        """How each run's next batch is augmented."""
        pairs = zip(self._configs, self._augment_rngs, strict=True)
        return [draw(config.augment, samples, rng) for config, rng in pairs]

    def _batch(self, rows: Tensor, draws: Sequence[Draws] | None = None) -> Batch:
        """Images and labels of rows [K, samples] of the training images, changed by each run's draws."""
        if self._alike:
            images, labels = self._splits[0].batch(rows, _by(together(draws)) if draws else None)
        else:
            changes = [_by(of_run) for of_run in draws] if draws else [None] * len(rows)
            parts = zip(self._splits, rows, changes, strict=True)
            pairs = [split.batch(rows_of_run, change) for split, rows_of_run, change in parts]
            images, labels = map(torch.stack, zip(*pairs, strict=True))
        return images.to(self._dtype), labels


def _by(draws: Draws) -> Callable[[Tensor], Tensor]:
    return partial(apply, draws=draws)
