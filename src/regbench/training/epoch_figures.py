"""The figures of an epoch: sums over its steps, each run's means, and its row of metrics.csv."""

from typing import NamedTuple

import torch
from torch import Tensor

from regbench.records.rows import Epoch
from regbench.training.recorded_step import Figures
from regbench.training.stack import Score

SUMMED_STEPS = 1_000  # steps whose figures are kept until they are summed


class Means(NamedTuple):
    """One run's figures over the training part of an epoch, under their names in `Epoch`."""

    train_loss: float
    train_acc: float
    penalty: float
    grad_norm: float
    clipped: float


class Sums:
    """Sums the figures of an epoch's steps, many at once: a step waits for nothing and adds nothing up."""

    def __init__(self) -> None:
        self._figures: list[Figures] = []
        self._samples: list[int] = []
        self._images = self._steps = 0  # in all
        self._totals: list[Tensor] = [torch.zeros(1)] * len(Figures._fields)

    def add(self, figures: Figures, samples: int) -> None:
        """Count a step; `samples`: the images of each run in its batch."""
        self._figures.append(figures)
        self._samples.append(samples)
        self._images += samples
        self._steps += 1
        if len(self._figures) == SUMMED_STEPS:
            self._sum()

    def _sum(self) -> None:
        steps = Figures(*(torch.stack(column).cpu().double() for column in zip(*self._figures, strict=True)))
        weighted = steps.loss * torch.tensor(self._samples)[:, None]  # a mean over each batch
        columns = zip(self._totals, steps._replace(loss=weighted), strict=True)
        self._totals = [total + column.sum(0) for total, column in columns]
        self._figures, self._samples = [], []

    def means(self) -> list[Means]:
        """Each run's means over an epoch."""
        if self._figures:
            self._sum()
        totals = Figures(*self._totals)
        return [
            Means(
                train_loss=totals.loss[place].item() / self._images,
                train_acc=totals.hits[place].item() / self._images,
                penalty=totals.penalty[place].item() / self._steps,
                grad_norm=totals.grad_norm[place].item() / self._steps,
                clipped=totals.clipped[place].item() / self._steps,
            )
            for place in range(len(totals.loss))
        ]


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
