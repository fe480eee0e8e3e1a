"""One update of every run of a stack, replayed from a recording where that is possible."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from torch import Tensor

from regbench.training.masks import Masks
from regbench.training.network import Network
from regbench.training.replay import Replayed
from regbench.training.stack_optimizer import Update
from regbench.training.terms import Terms


class Figures(NamedTuple):
    """What one step tells of each run: tensors [K, ...] on the device."""

    logits: Tensor  # of the batch, before the step, [K, samples, classes]
    penalty: Tensor  # what the regularizer and label smoothing add to the loss
    grad_norm: Tensor  # before clipping
    clipped: Tensor  # whether the gradient was clipped


class _Pass(NamedTuple):
    """What a forward and a backward pass over a batch give."""

    total: Tensor  # the sum of all losses, a scalar
    figures: Figures
    gradients: Sequence[Tensor]  # of each parameter [K, ...], clipped

    def flat(self) -> list[Tensor]:
        """All tensors in one list, as a recording needs them."""
        return [self.total, *self.figures, *self.gradients]

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> "_Pass":
        """The pass that gave this flat list."""
        total, *rest = tensors
        count = len(Figures._fields)
        return cls(total, figures=Figures(*rest[:count]), gradients=rest[count:])


class RecordedStep:
    """Moves the weights of all runs: by a recording of the whole step, or of all of it except the optimizers."""

    def __init__(self, network: Network, terms: Terms, masks: Masks, update: Update, rates_by_step: bool) -> None:
        """`rates_by_step`: whether learning rates change within an epoch."""
        self._network, self._terms, self._masks, self._update = network, terms, masks, update
        recordable = update.recordable and not (rates_by_step and update.fixed_rates)
        self._whole = Replayed(warn=False) if recordable else None
        self._part = Replayed()  # everything except the optimizers

    def forget(self) -> None:
        """Record the whole step again, as the optimizers have changed."""
        if self._whole:
            self._whole.forget()

    def __call__(self, images: Tensor, labels: Tensor, masks: Sequence[Tensor]) -> Figures:
        """One update from images [K, samples, 28, 28], labels [K, samples] and the masks of every dropout layer."""
        if self._whole and not self._whole.given_up:
            step = partial(self._move, self._evaluate)
            return Figures(*self._whole(step, self._moved, images, labels, *masks))
        return self._move(partial(self._part, self._evaluate, self._network.tensors), images, labels, *masks)

    def _moved(self) -> list[Tensor] | None:
        """What a step changes."""
        remembered = self._update.tensors()
        return None if remembered is None else [*self._network.tensors(), *remembered]

    def _move(self, evaluate: Callable[..., Sequence[Tensor]], *batch: Tensor) -> Figures:
        """Change the weights, and what the optimizers remember, by a batch."""
        figures: list[Figures] = []

        def evaluate_batch() -> tuple[Tensor, Sequence[Tensor]]:
            result = _Pass.of(evaluate(*batch))
            figures.append(result.figures)
            return result.total, result.gradients

        self._update.step(evaluate_batch)
        self._terms.constrain()
        return figures[0]  # lbfgs evaluates more than once

    def _evaluate(self, images: Tensor, labels: Tensor, *masks: Tensor) -> Sequence[Tensor]:
        """The `_Pass` over a batch, as a flat list."""
        self._masks.put(masks)
        logits = self._network(images)
        loss = self._terms.loss(logits, labels)
        total = loss.total()
        clipped = self._terms.clipped(self._network.gradients(total))
        figures = Figures(
            logits=logits.detach(),
            penalty=loss.penalty(),
            grad_norm=clipped.norm,
            clipped=clipped.changed,
        )
        return _Pass(total.detach(), figures, clipped.gradients).flat()
