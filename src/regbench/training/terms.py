"""What techniques add to the loss of each run of a stack, and how they limit its gradients and weights."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regbench.config.registry import Option
from regbench.config.run_config import RunConfig
from regbench.techniques.clip import clip
from regbench.techniques.regularizer import limited, penalty, smoothing
from regbench.training.network import Network, lift


class _Loss(NamedTuple):
    """The loss of each run over a batch: tensors [K]."""

    cross_entropy: Tensor  # the mean over the batch
    added: Sequence[Tensor]  # by the regularizer and by label smoothing

    def total(self) -> Tensor:
        """The sum of everything over all runs, a scalar."""
        return sum(self.added, self.cross_entropy).sum()

    def penalty(self) -> Tensor:
        """The sum of what is added to each run's cross-entropy, [K], without a graph."""
        return sum((term.detach() for term in self.added), torch.zeros_like(self.cross_entropy))


class _Clipped(NamedTuple):
    """The gradients of all runs, [K, ...], after clipping."""

    gradients: Sequence[Tensor]
    norm: Tensor  # of each run's whole gradient before clipping, [K]
    changed: Tensor  # whether clipping changed it, [K]


class Terms:
    """The penalties and limits of K runs, each with its own numbers."""

    def __init__(self, configs: Sequence[RunConfig], network: Network) -> None:
        self._configs, self._network = configs, network
        self._penalty = self._penalties()
        self._smoothing = self._lifted(smoothing, [config.label_smoothing for config in configs], off=0.0)
        self._limited = self._lifted(limited, [config.max_norm for config in configs], off=None)
        self._clip = self._clipping()

    def loss(self, logits: Tensor, labels: Tensor) -> _Loss:
        """The loss of each run from logits [K, samples, classes] and labels [K, samples]."""
        added = [self._penalty(), self._smoothing(logits, labels) if self._smoothing else None]
        return _Loss(cross_entropy(logits, labels).mean(1), [term for term in added if term is not None])

    def clipped(self, gradients: Sequence[Tensor]) -> _Clipped:
        """The gradients [K, ...], limited as each run says."""
        return self._clip(gradients)

    def constrain(self) -> None:
        """Shorten each unit's weights to its run's max-norm."""
        if self._limited:
            with torch.no_grad():
                for weight in self._network.matrices().values():
                    weight.copy_(self._limited(weight))

    def _numbers(self, values: Iterable[float | None]) -> Tensor:
        """A number for each run, [K]; infinity for null, which limits nothing."""
        weight = self._network.leaves[0]
        finite = [torch.inf if value is None else value for value in values]
        return torch.tensor(finite, dtype=weight.dtype, device=weight.device)

    def _lifted(
        self, function: Callable[..., Tensor], values: Sequence[float | None], off: float | None
    ) -> Callable[..., Tensor] | None:
        """`function(*tensors, value)` with each run's value; None where all runs have it off."""
        if all(value == off for value in values):
            return None
        of_all, numbers = lift(function, len(values)), self._numbers(values)
        return lambda *tensors: of_all(*tensors, numbers)

    def _penalties(self) -> Callable[[], Tensor | None]:
        """A function that gives the penalty of each run, [K], or None where the option has none."""
        option = self._configs[0].regularizer
        if option.name == "none":
            return lambda: None
        names = [key for key in ("strength", "alpha") if key in option.args]
        numbers = {name: self._numbers(config.regularizer.args[name] for config in self._configs) for name in names}

        def of_run(model: nn.Module, *numbers_of_run: Tensor) -> Tensor:
            args = option.args | dict(zip(names, numbers_of_run, strict=True))
            return penalty(model, Option(option.name, args), strength=args["strength"], on=args["on"])

        of_all = self._network.of_model(of_run)
        return lambda: of_all(*numbers.values())

    def _clipping(self) -> Callable[[Sequence[Tensor]], _Clipped]:
        """A function that clips the gradients of all runs, with the limits that any of them has."""
        norm_type = self._configs[0].clip_norm_type
        limits = {
            "clip_norm": [config.clip_norm for config in self._configs],
            "clip_value": [config.clip_value for config in self._configs],
        }
        numbers = {name: self._numbers(values) for name, values in limits.items() if any(v is not None for v in values)}

        def of_run(gradients: list[Tensor], limits: dict[str, Tensor]) -> tuple[list[Tensor], Tensor, Tensor]:
            return clip(gradients, norm_type, limits.get("clip_norm"), limits.get("clip_value"))

        of_all = lift(of_run, len(self._configs))
        return lambda gradients: _Clipped(*of_all(gradients, numbers))


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The loss of every image: logits [K, samples, classes] and labels [K, samples] to [K, samples]."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)
