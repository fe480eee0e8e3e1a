"""K runs in lockstep: tensors here have a leading run axis, which nothing in techniques/ ever sees."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from regbench.config import RunConfig
from regbench.models import build
from regbench.rng import Stream, generator
from regbench.techniques.clip import clip
from regbench.techniques.dropout import Dropout
from regbench.techniques.layers import weighted_layers
from regbench.techniques.optimizer import OPTIMIZERS
from regbench.techniques.regularizer import penalty
from regbench.techniques.scheduler import rate

# A training step of the cnn on 2 cores: 23 ms with channels last, 32 ms without (27 and 36 ms with batch norm).
MEMORY_FORMATS = {"cpu": torch.channels_last}


class Figures(NamedTuple):
    """What one step tells of each run, on the device: scalars for a single run, [K] for a stack."""

    loss: Tensor  # mean cross-entropy of the batch, before the step, without the penalty
    hits: Tensor  # images of the batch classified rightly, before the step
    penalty: Tensor
    grad_norm: Tensor  # before clipping
    clipped: Tensor  # whether the gradient was


Batch = tuple[Tensor, Tensor]  # images [samples, 28, 28], labels [samples]


class Member:
    """One run of a stack: its model and what acts on it."""

    def __init__(self, config: RunConfig, device: torch.device) -> None:
        self.config = config
        self.model = build(config).to(device).to(memory_format=MEMORY_FORMATS.get(device.type, torch.preserve_format))
        self.parameters = list(self.model.parameters())
        self.optimizer = OPTIMIZERS[config.optimizer.name](self.parameters, **config.optimizer.args)
        self._dropouts = [layer for layer in self.model.modules() if isinstance(layer, Dropout)]
        self._dropout_rng = Generator(device)
        self._rhythm = {key: config.scheduler.args[key] for key in ("warmup_epochs", "interval")}
        self._zero = torch.zeros((), device=device)

    def begin_epoch(self, epoch: int, steps: int = 1, losses: Sequence[float] = ()) -> float:
        """Set what changes from epoch to epoch, counted from 0; the learning rate at its beginning.

        `steps`: in an epoch; `losses`: the validation losses of the epochs before.
        """
        self._epoch, self._steps, self._done, self._losses = epoch, steps, 0, losses
        self._dropout_rng = generator(self.config.seed, Stream.DROPOUT, epoch, self.parameters[0].device)
        self.model.train()
        return self._set_rate()

    def _set_rate(self) -> float:
        config, epoch = self.config, self._epoch + self._done / self._steps
        lr = rate(config.scheduler, config.optimizer.args["lr"], epoch, config.epochs, self._losses, **self._rhythm)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return lr

    def step(self, images: Tensor, labels: Tensor) -> Figures:
        """One update from a batch."""
        if self._rhythm["interval"] == "step":
            self._set_rate()
        self._done += 1
        for layer in self._dropouts:
            layer.redraw(len(labels), self._dropout_rng)
        figures: list[Figures] = []

        def closure() -> Any:
            loss, figure = self._gradients(images, labels)
            figures.append(figure)
            return loss

        self.optimizer.step(closure)
        return figures[0]  # lbfgs evaluates more than once

    def _gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Figures]:
        """Leave the batch's gradients, clipped, in the parameters: the loss with its penalty, and the figures."""
        logits = self.model(images)
        loss = F.cross_entropy(logits, labels)
        added = self._penalty()
        total = loss if added is None else loss + added
        self.optimizer.zero_grad()
        total.backward()
        norm, clipped = clip(self.parameters, self.config.clip_norm_type, self.config.clip_norm, self.config.clip_value)
        hits = (logits.detach().argmax(1) == labels).sum()
        figures = Figures(loss.detach(), hits, self._zero if added is None else added.detach(), norm, clipped)
        return total.detach(), figures

    def _penalty(self) -> Tensor | None:
        option = self.config.regularizer
        if option.name == "none":
            return None
        return penalty(self.model, option, strength=option.args["strength"], on=option.args["on"])

    @torch.inference_mode()
    def evaluate(self, batches: Iterable[Batch]) -> tuple[float, float]:
        """Mean cross-entropy and accuracy in eval mode over all images of the batches."""
        self.model.eval()
        sums, images = [], 0
        for x, labels in batches:
            logits = self.model(x)
            loss = F.cross_entropy(logits, labels, reduction="sum")
            sums.append(torch.stack([loss, (logits.argmax(1) == labels).sum().to(loss.dtype)]))
            images += len(labels)
        loss_sum, hits = torch.stack(sums).sum(0).tolist()
        return loss_sum / images, hits / images

    def weight_norm(self) -> float:
        """The 2-norm of all weights of dense and convolutional layers, as one vector."""
        return float(torch.stack([layer.weight.detach().norm() for layer in weighted_layers(self.model)]).norm())


class Stack:
    """Runs whose computations have the same shape."""

    def __init__(self, configs: Sequence[RunConfig], device: torch.device) -> None:
        self.members = [Member(config, device) for config in configs]

    def begin_epoch(self, epoch: int, steps: int = 1, losses: Sequence[Sequence[float]] | None = None) -> list[float]:
        """The learning rate of each run as this epoch begins; `losses` are each run's, of the epochs before."""
        behind = losses or [[]] * len(self.members)
        return [member.begin_epoch(epoch, steps, own) for member, own in zip(self.members, behind, strict=True)]

    def step(self, images: Tensor, labels: Tensor) -> Figures:
        """One update of every run from images [K, B, 28, 28] and labels [K, B]."""
        batches = zip(self.members, images, labels, strict=True)
        figures = [member.step(x, y) for member, x, y in batches]
        return figures[0] if len(figures) == 1 else Figures(*map(torch.stack, zip(*figures, strict=True)))
