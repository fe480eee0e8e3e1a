"""The optimizers of the runs of a stack."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from regbench.config.run_config import RunConfig
from regbench.techniques.optimizer import OPTIMIZERS, has_momentum, set_momentum
from regbench.techniques.torch_adapters import take_step
from regbench.training.network import Network

_Evaluate = Callable[[], tuple[Tensor, Sequence[Tensor]]]  # the summed loss, and each parameter's gradients [K, ...]

# A fused optimizer on a CPU takes this many elements at once and rounds a smaller rest differently. A parameter with
# such a rest is moved run by run, so that no run's bits depend on its neighbours.
_VECTOR = 16

# Optimizers whose step treats each element by itself and is proportional to the learning rate.
PROPORTIONAL = {"sgd", "adam", "adamw", "nadam", "radam", "rmsprop", "adagrad", "adadelta", "adamax"}


class Update(Protocol):
    """What moves the weights of a stack. A run's state is that of a `torch.optim.Optimizer` for this run alone."""

    recordable: bool  # whether its step may be recorded (regbench.training.replay)
    fixed_rates: bool  # whether a recording would contain the learning rates

    def tensors(self) -> list[Tensor] | None:
        """What a step changes beside the weights; None if not all of it is in tensors."""

    def set_rates(self, rates: Sequence[float]) -> None:
        """Set the learning rate of each run."""

    def set_momenta(self, momenta: Sequence[float | None]) -> None:
        """Set the momentum of each run; None leaves it as it is."""

    def step(self, evaluate: _Evaluate) -> None:
        """Move the weights of every run by its part of the gradients that `evaluate` returns for the batch."""

    def state(self, run: int) -> dict[str, Any]:
        """What one run's optimizer remembers, as its `state_dict`."""

    def load_state(self, run: int, state: Mapping[str, Any]) -> None:
        """Let one run's optimizer resume from a state."""


def update(configs: Sequence[RunConfig], network: Network) -> Update:
    """Make the runs' optimizers: one for all where that is possible, on a CPU only where it gives the same bits."""
    same = can_merge(configs) and (network.leaves[0].device.type != "cpu" or _have_one_rate(configs))
    return (Together if same else OneByOne)(configs, network)


def can_merge(configs: Sequence[RunConfig]) -> bool:
    """Whether one optimizer can move the weights of all runs: they differ only in their learning rates."""
    first, *others = [config.optimizer for config in configs]
    fixed = {key: value for key, value in first.args.items() if key != "lr"}
    alike = all(other.name == first.name and other.args.items() >= fixed.items() for other in others)
    steered = has_momentum(first) and any(  # momenta follow schedules too
        config.scheduler.args.get("cycle_momentum", False) is not False for config in configs
    )
    return bool(others) and alike and first.name in PROPORTIONAL and (_have_one_rate(configs) or not steered)


def _have_one_rate(configs: Sequence[RunConfig]) -> bool:
    """Whether the learning rates of all runs are equal in every step."""
    first = configs[0]
    alike = all((run.optimizer, run.scheduler) == (first.optimizer, first.scheduler) for run in configs)
    return alike and first.scheduler.name != "reduce_on_plateau"  # which looks at the losses of each run


def _make_recordable(optimizers: Sequence[torch.optim.Optimizer]) -> bool:
    """Let optimizers on CUDA count their steps there; whether a recording may contain everything they do in a step.

    On CUDA, optimizers without the argument `capturable` compute with numbers of Python, except SGD, which counts
    nothing. On a CPU a recording finds that out.
    """
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    if groups[0]["params"][0].device.type != "cuda":
        return True
    counting = [group for group in groups if "capturable" in group]
    for group in counting:
        group["capturable"] = True
    return len(counting) == len(groups) or all(isinstance(optimizer, torch.optim.SGD) for optimizer in optimizers)


def _load(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Let an optimizer resume from a state, maybe of another device.

    It keeps its own settings: rates and momenta are set for each epoch, and the others are those of the config. What
    is remembered of a parameter gets its memory format, which torch's fused optimizers rely on.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    remembered = {
        place: {key: _laid_out_as(parameters[place], value) for key, value in memory.items()}
        for place, memory in state["state"].items()
    }
    optimizer.load_state_dict({"state": remembered, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out_as(parameter: Tensor, value: Any) -> Any:
    """Copy a tensor of the parameter's shape into its memory format; anything else stays."""
    if not isinstance(value, Tensor) or value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def _state_tensors(optimizers: Sequence[torch.optim.Optimizer]) -> list[Tensor] | None:
    """Everything that optimizers remember; None where not all of it is in tensors, such as a number of steps."""
    states = [state for optimizer in optimizers for state in optimizer.state.values()]
    values = [value for state in states for value in state.values() if value is not None]
    return values if all(isinstance(value, Tensor) for value in values) else None


class OneByOne:
    """A torch optimizer for each run, over its part of the stack: the same computation as alone."""

    def __init__(self, configs: Sequence[RunConfig], network: Network) -> None:
        self._parts = list(zip(*network.parameters, strict=True))  # of each parameter, the part of each run
        pairs = zip(configs, network.parameters, strict=True)
        self.optimizers = [
            OPTIMIZERS[config.optimizer.name](of_run, **config.optimizer.args) for config, of_run in pairs
        ]
        self.recordable, self.fixed_rates = _make_recordable(self.optimizers), True

    def tensors(self) -> list[Tensor] | None:
        """What a step changes beside the weights."""
        return _state_tensors(self.optimizers)

    def set_rates(self, rates: Sequence[float]) -> None:
        """Set the learning rate of each run."""
        for optimizer, rate in zip(self.optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate

    def set_momenta(self, momenta: Sequence[float | None]) -> None:
        """Set the momentum of each run; None leaves it as it is."""
        for optimizer, momentum in zip(self.optimizers, momenta, strict=True):
            set_momentum(optimizer, momentum)

    def step(self, evaluate: _Evaluate) -> None:
        """Move the weights of every run by its part of the gradients that `evaluate` returns for the batch."""

        def closure() -> Any:
            loss, gradients = evaluate()
            for parts, gradient in zip(self._parts, gradients, strict=True):
                for parameter, of_run in zip(parts, gradient.unbind(), strict=True):
                    parameter.grad = of_run
            return loss

        if len(self.optimizers) == 1:
            take_step(self.optimizers[0], closure)  # lbfgs evaluates more than once
            return
        closure()
        for optimizer in self.optimizers:
            take_step(optimizer)

    def state(self, run: int) -> dict[str, Any]:
        """What one run's optimizer remembers, as its `state_dict`."""
        return self.optimizers[run].state_dict()

    def load_state(self, run: int, state: Mapping[str, Any]) -> None:
        """Let one run's optimizer resume from a state."""
        _load(self.optimizers[run], state)


class Together:
    """One torch optimizer for the whole stack: for runs of one learning rate the same computation as alone.

    For runs of different rates it steps at a rate of 1, and each run keeps its rate's share of that step. This needs an
    optimizer whose step is proportional to its rate.
    """

    def __init__(self, configs: Sequence[RunConfig], network: Network) -> None:
        first = configs[0].optimizer
        self._leaves = network.leaves
        self._parts = list(zip(*network.parameters, strict=True))  # of each parameter, the part of each run
        pairs = zip(self._leaves, self._parts, strict=True)
        self._whole = [
            leaf if leaf.device.type != "cpu" or parts[0].numel() % _VECTOR == 0 else None for leaf, parts in pairs
        ]
        moved = [[*parts] if leaf is None else [leaf] for leaf, parts in zip(self._whole, self._parts, strict=True)]
        self._optimizer = OPTIMIZERS[first.name]([tensor for tensors in moved for tensor in tensors], **first.args)
        self._alone = [OPTIMIZERS[first.name](of_run, **first.args) for of_run in network.parameters]  # for states
        _make_recordable(self._alone)
        self.fixed_rates = _have_one_rate(configs)
        self._rates = torch.ones(len(configs), dtype=self._leaves[0].dtype, device=self._leaves[0].device)
        self.recordable = _make_recordable([self._optimizer])

    def tensors(self) -> list[Tensor] | None:
        """What a step changes beside the weights."""
        return _state_tensors([self._optimizer])

    def set_rates(self, rates: Sequence[float]) -> None:
        """Set the learning rate of each run."""
        self.fixed_rates = len(set(rates)) == 1
        self._optimizer.param_groups[0]["lr"] = rates[0] if self.fixed_rates else 1.0
        self._rates.copy_(torch.tensor(rates, dtype=self._rates.dtype))
        for optimizer, rate in zip(self._alone, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate

    def set_momenta(self, momenta: Sequence[float | None]) -> None:
        """Set the momentum, which is equal in all runs; None leaves it as it is."""
        for optimizer in (self._optimizer, *self._alone):
            set_momentum(optimizer, momenta[0])

    def step(self, evaluate: _Evaluate) -> None:
        """Move the weights of every run by its part of the gradients that `evaluate` returns for the batch."""
        _, gradients = evaluate()
        for leaf, parts, gradient in zip(self._whole, self._parts, gradients, strict=True):
            if leaf is not None:
                leaf.grad = gradient
                continue
            for parameter, of_run in zip(parts, gradient.unbind(), strict=True):
                parameter.grad = of_run
        if self.fixed_rates:
            take_step(self._optimizer)
        else:
            self._step_by_shares()

    @torch.no_grad()
    def _step_by_shares(self) -> None:
        before = [leaf.detach().clone() for leaf in self._leaves]
        take_step(self._optimizer)
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
        """Let one run's optimizer resume from a state; all runs of a stack have taken equally many steps."""
        alone, shared = self._alone[run], self._optimizer.state
        _load(alone, state)
        for leaf, parts in zip(self._whole, self._parts, strict=True):
            for key, value in alone.state[parts[run]].items():
                if leaf is not None and value.shape == parts[run].shape:
                    shared[leaf].setdefault(key, torch.zeros_like(leaf))[run] = value
                else:
                    shared[parts[run] if leaf is None else leaf][key] = value
