"""The figures of an epoch: sums over its steps, each run's means, and its row of metrics.csv."""

from typing import NamedTuple

import torch
from torch import Tensor

from regbench.records.rows import Epoch
from regbench.training.recorded_step import Figures
from regbench.training.stack import Score
from regbench.training.terms import cross_entropy

KEPT_LOGITS = 1_000_000  # numbers that are kept until they are summed


class Means(NamedTuple):
    """One run's figures over the training part of an epoch, under their names in `Epoch`."""

    train_loss: float
    train_acc: float
    penalty: float
    grad_norm: float
    clipped: float


_Columns = tuple[Tensor, ...]  # figures of steps, [steps, K] each, in the order of `Means`


class Sums:
    """Sums the figures of an epoch's steps, many at once: a step waits for nothing and computes none of them."""

    def __init__(self) -> None:
        self._kept: list[tuple[Figures, Tensor]] = []  # of steps with batches of one size, and their labels
        self._images = self._steps = 0
        self._columns: list[_Columns] = []  # of all steps but those

    def add(self, figures: Figures, labels: Tensor) -> None:
        """Count a step; `labels`: [K, samples], of the images in its batch."""
        if self._kept and self._kept[0][1].shape != labels.shape:
            self._sum()
        self._kept.append((figures, labels))
        self._images += labels.shape[1]
        self._steps += 1
        if len(self._kept) * figures.logits.numel() >= KEPT_LOGITS:
            self._sum()

    def _sum(self) -> None:
        steps = Figures(*map(torch.stack, zip(*(figures for figures, _ in self._kept), strict=True)))
        labels = torch.stack([labels for _, labels in self._kept])  # [steps, K, samples]
        losses = cross_entropy(steps.logits.flatten(0, 1), labels.flatten(0, 1)).view(labels.shape)
        hits = steps.logits.argmax(3) == labels
        self._columns.append((losses.sum(2), hits.sum(2), steps.penalty, steps.grad_norm, steps.clipped))
        self._kept = []

    def means(self) -> list[Means]:
        """Each run's means over an epoch: of losses and hits over the images, of the others over the steps."""
        if self._kept:
            self._sum()
        totals = [torch.cat(parts).cpu().double().sum(0) for parts in zip(*self._columns, strict=True)]
        counts = [self._images, self._images, self._steps, self._steps, self._steps]
        columns = [(total / count).tolist() for total, count in zip(totals, counts, strict=True)]
        return [Means(*of_run) for of_run in zip(*columns, strict=True)]


def epoch_of(*, number: int, lr: float, means: Means, score: Score | None, weight_norm: float, seconds: float) -> Epoch:
    """One run's row of metrics.csv; `number`: of the epoch, from 1; `score`: on validation images, None without any."""
    return Epoch(
        epoch=number,
        lr=lr,
        **means._asdict(),
        val_loss=None if score is None else score.loss,
        val_acc=None if score is None else score.acc,
        gap=None if score is None else score.loss - means.train_loss,
        weight_norm=weight_norm,
        seconds=seconds,
    )
