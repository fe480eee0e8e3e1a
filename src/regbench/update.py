"""The optimizers of the runs of a stack."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from regbench.config import RunConfig
from regbench.lift import Network
from regbench.techniques.optimizer import OPTIMIZERS

Evaluate = Callable[[], tuple[Tensor, Sequence[Tensor]]]  # the summed loss, and each parameter's gradients [K, ...]

# Whose step treats each element by itself and is proportional to its learning rate.
PROPORTIONAL = {"sgd", "adam", "adamw", "nadam", "radam", "rmsprop", "adagrad", "adadelta", "adamax"}


class Update(Protocol):
    """What moves the weights of a stack. A run's state is that of its own `torch.optim.Optimizer`, in any stack."""

    def set_rates(self, rates: Sequence[float]) -> None:
        """The learning rate of each run."""

    def step(self, evaluate: Evaluate) -> None:
        """Move the weights of every run by its part of the gradients that an evaluation of the batch finds."""

    def state(self, run: int) -> dict[str, Any]:
        """What one run's optimizer remembers, as its `state_dict`."""

    def load_state(self, run: int, state: Mapping[str, Any]) -> None:
        """Have one run's optimizer go on from a state."""


def update(configs: Sequence[RunConfig], network: Network) -> Update:
    """The runs' optimizers: all at once where a call for each would cost more than what it computes."""
    kind = Together if network.leaves[0].device.type != "cpu" and can_merge(configs) else OneByOne
    return kind(configs, network)


def can_merge(configs: Sequence[RunConfig]) -> bool:
    """Whether one optimizer can move the weights of all runs, which then differ in their learning rates at most."""
    first, *others = [config.optimizer for config in configs]
    fixed = {key: value for key, value in first.args.items() if key != "lr"}
    alike = all(other.name == first.name and other.args.items() >= fixed.items() for other in others)
    return bool(others) and alike and first.name in PROPORTIONAL


class OneByOne:
    """A torch optimizer for each run, over its part of the stack: the very same computation as alone."""

    def __init__(self, configs: Sequence[RunConfig], network: Network) -> None:
        self._parts = list(zip(*network.parameters, strict=True))  # of each parameter, every run's
        pairs = zip(configs, network.parameters, strict=True)
        self.optimizers = [OPTIMIZERS[config.optimizer.name](own, **config.optimizer.args) for config, own in pairs]

    def set_rates(self, rates: Sequence[float]) -> None:
        """The learning rate of each run."""
        for optimizer, rate in zip(self.optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate

    def step(self, evaluate: Evaluate) -> None:
        """Move the weights of every run by its part of the gradients that an evaluation of the batch finds."""

        def closure() -> Any:
            loss, gradients = evaluate()
            for parts, gradient in zip(self._parts, gradients, strict=True):
                for parameter, own in zip(parts, gradient.unbind(), strict=True):
                    parameter.grad = own
            return loss

        if len(self.optimizers) == 1:
            self.optimizers[0].step(closure)  # lbfgs evaluates more than once
            return
        closure()
        for optimizer in self.optimizers:
            optimizer.step()

    def state(self, run: int) -> dict[str, Any]:
        """What one run's optimizer remembers, as its `state_dict`."""
        return self.optimizers[run].state_dict()

    def load_state(self, run: int, state: Mapping[str, Any]) -> None:
        """Have one run's optimizer go on from a state."""
        self.optimizers[run].load_state_dict(dict(state))


class Together:
    """One torch optimizer over the tensors of the whole stack, at a learning rate of 1.

    Where a step is proportional to its rate, each run's is that step, taken back to its rate's share.
    """

    def __init__(self, configs: Sequence[RunConfig], network: Network) -> None:
        first = configs[0].optimizer
        self._leaves = network.leaves
        self._optimizer = OPTIMIZERS[first.name](self._leaves, **first.args | {"lr": 1.0})
        self._alone = [OPTIMIZERS[first.name](own, **first.args) for own in network.parameters]  # for their states
        self._rates = torch.ones(len(configs), dtype=self._leaves[0].dtype, device=self._leaves[0].device)

    def set_rates(self, rates: Sequence[float]) -> None:
        """The learning rate of each run."""
        self._rates.copy_(torch.tensor(rates, dtype=self._rates.dtype))
        for optimizer, rate in zip(self._alone, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate

    @torch.no_grad()
    def step(self, evaluate: Evaluate) -> None:
        """Move the weights of every run by its part of the gradients that an evaluation of the batch finds."""
        with torch.enable_grad():
            _, gradients = evaluate()
        before = [leaf.clone() for leaf in self._leaves]
        for leaf, gradient in zip(self._leaves, gradients, strict=True):
            leaf.grad = gradient
        self._optimizer.step()
        for leaf, old in zip(self._leaves, before, strict=True):
            leaf.copy_(old.lerp(leaf, self._rates.view(-1, *[1] * (leaf.dim() - 1))))

    def state(self, run: int) -> dict[str, Any]:
        """What one run's optimizer remembers, as its `state_dict`."""
        alone, shared = self._alone[run], self._optimizer.state
        for parameter, leaf in zip(alone.param_groups[0]["params"], self._leaves, strict=True):
            alone.state[parameter] = {
                key: value[run].clone() if value.shape == leaf.shape else value for key, value in shared[leaf].items()
            }
        return alone.state_dict()

    def load_state(self, run: int, state: Mapping[str, Any]) -> None:
        """Have one run's optimizer go on from a state; those of a stack have all taken the same number of steps."""
        alone, shared = self._alone[run], self._optimizer.state
        alone.load_state_dict(dict(state))
        for parameter, leaf in zip(alone.param_groups[0]["params"], self._leaves, strict=True):
            for key, value in alone.state[parameter].items():
                if value.shape == parameter.shape:
                    shared[leaf].setdefault(key, torch.zeros_like(leaf))[run] = value
                else:
                    shared[leaf][key] = value
