"""The optimizers of the runs of a stack."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from regbench.config.run_config import RunConfig
from regbench.techniques.optimizer import OPTIMIZERS, set_momentum
from regbench.training.network import Network

Evaluate = Callable[[], tuple[Tensor, Sequence[Tensor]]]  # the summed loss, and each parameter's gradients [K, ...]

# Elements that a fused optimizer takes at once on a CPU; a rest of fewer it rounds otherwise. A parameter with such a
# rest is moved run by run, so that no run's bits depend on its neighbours.
VECTOR = 16

HOW = {"foreach", "fused", "capturable"}  # of the settings of a parameter group

# Whose step treats each element by itself and is proportional to its learning rate.
PROPORTIONAL = {"sgd", "adam", "adamw", "nadam", "radam", "rmsprop", "adagrad", "adadelta", "adamax"}


class Update(Protocol):
    """What moves the weights of a stack. A run's state is that of its own `torch.optim.Optimizer`, in any stack."""

    recordable: bool  # whether its step may be recorded (regbench.training.replay)
    fixed_rates: bool  # whether a recording would hold the learning rates too

    def tensors(self) -> list[Tensor] | None:
        """What a step changes beside the weights; None if that is not in tensors alone."""

    def set_rates(self, rates: Sequence[float]) -> None:
        """The learning rate of each run."""

    def set_momenta(self, momenta: Sequence[float | None]) -> None:
        """The momentum of each run; None leaves it as it is."""

    def step(self, evaluate: Evaluate) -> None:
        """Move the weights of every run by its part of the gradients that an evaluation of the batch finds."""

    def state(self, run: int) -> dict[str, Any]:
        """What one run's optimizer remembers, as its `state_dict`."""

    def load_state(self, run: int, state: Mapping[str, Any]) -> None:
        """Have one run's optimizer go on from a state."""


def update(configs: Sequence[RunConfig], network: Network) -> Update:
    """The runs' optimizers: one for all where it can be, and on a CPU only where it computes the very same."""
    same = can_merge(configs) and (network.leaves[0].device.type != "cpu" or have_one_rate(configs))
    return (Together if same else OneByOne)(configs, network)


def can_merge(configs: Sequence[RunConfig]) -> bool:
    """Whether one optimizer can move the weights of all runs, which then differ in their learning rates at most."""
    first, *others = [config.optimizer for config in configs]
    fixed = {key: value for key, value in first.args.items() if key != "lr"}
    alike = all(other.name == first.name and other.args.items() >= fixed.items() for other in others)
    steered = any(config.scheduler.args.get("cycle_momentum") for config in configs)  # the momentum too
    return bool(others) and alike and first.name in PROPORTIONAL and (have_one_rate(configs) or not steered)


def have_one_rate(configs: Sequence[RunConfig]) -> bool:
    """Whether the learning rates of all runs are equal in every step."""
    first = configs[0]
    alike = all((one.optimizer, one.scheduler) == (first.optimizer, first.scheduler) for one in configs)
    return alike and first.scheduler.name != "reduce_on_plateau"  # each run by its own losses


def make_recordable(optimizers: Sequence[torch.optim.Optimizer]) -> bool:
    """Have optimizers on CUDA count their steps there; whether a recording may hold all that they do in a step.

    On CUDA those without the argument `capturable` compute with numbers of Python, but for SGD, which counts nothing.
    On a CPU a recording finds that out.
    """
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    if groups[0]["params"][0].device.type != "cuda":
        return True
    counting = [group for group in groups if "capturable" in group]
    for group in counting:
        group["capturable"] = True
    return len(counting) == len(groups) or all(isinstance(one, torch.optim.SGD) for one in optimizers)


def load(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Have an optimizer go on from a state, also of another device: how it computes stays its own."""
    pairs = zip(state["param_groups"], optimizer.param_groups, strict=True)
    groups = [group | {key: own[key] for key in HOW & own.keys()} for group, own in pairs]
    optimizer.load_state_dict({**state, "param_groups": groups})


def state_tensors(optimizers: Sequence[torch.optim.Optimizer]) -> list[Tensor] | None:
    """All that optimizers remember; None where it is not in tensors alone, such as a number of steps."""
    states = [state for optimizer in optimizers for state in optimizer.state.values()]
    values = [value for state in states for value in state.values() if value is not None]
    return values if all(isinstance(value, Tensor) for value in values) else None


class OneByOne:
    """A torch optimizer for each run, over its part of the stack: the very same computation as alone."""

    def __init__(self, configs: Sequence[RunConfig], network: Network) -> None:
        self._parts = list(zip(*network.parameters, strict=True))  # of each parameter, every run's
        pairs = zip(configs, network.parameters, strict=True)
        self.optimizers = [OPTIMIZERS[config.optimizer.name](own, **config.optimizer.args) for config, own in pairs]
        self.recordable, self.fixed_rates = make_recordable(self.optimizers), True

    def tensors(self) -> list[Tensor] | None:
        """What a step changes beside the weights."""
        return state_tensors(self.optimizers)

    def set_rates(self, rates: Sequence[float]) -> None:
        """The learning rate of each run."""
        for optimizer, rate in zip(self.optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate

    def set_momenta(self, momenta: Sequence[float | None]) -> None:
        """The momentum of each run; None leaves it as it is."""
        for optimizer, momentum in zip(self.optimizers, momenta, strict=True):
            set_momentum(optimizer, momentum)

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
        load(self.optimizers[run], state)


class Together:
    """One torch optimizer for the whole stack: for runs of one rate the same computation as alone.

    For others it steps at a learning rate of 1. Where a step is proportional to its rate, each run's is that step,
    taken back to its rate's share.
    """

    def __init__(self, configs: Sequence[RunConfig], network: Network) -> None:
        first = configs[0].optimizer
        self._leaves = network.leaves
        self._parts = list(zip(*network.parameters, strict=True))  # of each parameter, every run's
        pairs = zip(self._leaves, self._parts, strict=True)
        self._whole = [
            leaf if leaf.device.type != "cpu" or parts[0].numel() % VECTOR == 0 else None for leaf, parts in pairs
        ]
        moved = [[*parts] if leaf is None else [leaf] for leaf, parts in zip(self._whole, self._parts, strict=True)]
        self._moved = [tensor for tensors in moved for tensor in tensors]
        self._optimizer = OPTIMIZERS[first.name](self._moved, **first.args)
        self._alone = [OPTIMIZERS[first.name](own, **first.args) for own in network.parameters]  # for their states
        make_recordable(self._alone)
        self.fixed_rates = have_one_rate(configs)
        self._rates = torch.ones(len(configs), dtype=self._leaves[0].dtype, device=self._leaves[0].device)
        self.recordable = make_recordable([self._optimizer])

    def tensors(self) -> list[Tensor] | None:
        """What a step changes beside the weights."""
        return state_tensors([self._optimizer])

    def set_rates(self, rates: Sequence[float]) -> None:
        """The learning rate of each run."""
        self.fixed_rates = len(set(rates)) == 1
        self._optimizer.param_groups[0]["lr"] = rates[0] if self.fixed_rates else 1.0
        self._rates.copy_(torch.tensor(rates, dtype=self._rates.dtype))
        for optimizer, rate in zip(self._alone, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate

    def set_momenta(self, momenta: Sequence[float | None]) -> None:
        """The momentum of each run, the same in all; None leaves it as it is."""
        for optimizer in (self._optimizer, *self._alone):
            set_momentum(optimizer, momenta[0])

    def step(self, evaluate: Evaluate) -> None:
        """Move the weights of every run by its part of the gradients that an evaluation of the batch finds."""
        _, gradients = evaluate()
        for leaf, parts, gradient in zip(self._whole, self._parts, gradients, strict=True):
            if leaf is not None:
                leaf.grad = gradient
                continue
            for parameter, own in zip(parts, gradient.unbind(), strict=True):
                parameter.grad = own
        if self.fixed_rates:
            self._optimizer.step()
        else:
            self._step_by_shares()

    @torch.no_grad()
    def _step_by_shares(self) -> None:
        before = [leaf.detach().clone() for leaf in self._leaves]
        self._optimizer.step()
        for leaf, old in zip(self._leaves, before, strict=True):
            leaf.copy_(old.lerp(leaf, self._rates.view(-1, *[1] * (leaf.dim() - 1))))

    def state(self, run: int) -> dict[str, Any]:
        """What one run's optimizer remembers, as its `state_dict`."""
        alone, shared = self._alone[run], self._optimizer.state
        for leaf, parts in zip(self._whole, self._parts, strict=True):
            known = shared[parts[run] if leaf is None else leaf]
            alone.state[parts[run]] = {
                key: (value[run] if leaf is not None and value.shape == leaf.shape else value).clone()
                for key, value in known.items()
            }
        return alone.state_dict()

    def load_state(self, run: int, state: Mapping[str, Any]) -> None:
        """Have one run's optimizer go on from a state; those of a stack have all taken the same number of steps."""
        alone, shared = self._alone[run], self._optimizer.state
        load(alone, state)
        for leaf, parts in zip(self._whole, self._parts, strict=True):
            for key, value in alone.state[parts[run]].items():
                if leaf is not None and value.shape == parts[run].shape:
                    shared[leaf].setdefault(key, torch.zeros_like(leaf))[run] = value
                else:
                    shared[parts[run] if leaf is None else leaf][key] = value
