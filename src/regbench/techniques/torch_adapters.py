"""Torch's optimizers without their compiler, and those that do not take parameters and gradients as all others do."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

_Closure = Callable[[], Any]  # evaluates the model, leaves the gradients in the parameters, returns the loss


def _forget_the_compiler() -> None:
    """Keep methods of torch's optimizers from importing torch._dynamo, to be hidden from it: 2.5 s of CPU time."""
    for method in vars(torch.optim.Optimizer).values():
        if hidden := getattr(method, "__wrapped__", None):
            hidden.__dynamo_disable = hidden  # where torch looks before it imports


_forget_the_compiler()


_unwrapped: Callable[[Any], Any] = cache(inspect.unwrap)


@torch.no_grad()
def take_step(optimizer: torch.optim.Optimizer, closure: _Closure | None = None) -> Any:
    """Take one step, as `optimizer.step(closure)` does; return the closure's loss.

    Without torch's wrappers: they import torch._dynamo as well, profile, and call hooks that nobody has registered.
    """
    return _unwrapped(type(optimizer).step)(optimizer, closure)


def _parameters_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """All parameters that have a gradient."""
    return [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]


def evaluated(closure: _Closure | None) -> Any:
    """Evaluate the closure with gradients, as each optimizer's step begins; return its loss."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


class SparseAdam(torch.optim.SparseAdam):
    """`torch.optim.SparseAdam` for dense gradients: their zeros count as missing. Waits for the device."""

    @torch.no_grad()
    def step(self, closure: _Closure | None = None) -> Any:
        """Take one step; the gradients stay dense for what reads them afterwards."""
        loss = evaluated(closure)
        parameters = _parameters_of(self)
        dense = [parameter.grad for parameter in parameters]
        for parameter, gradient in zip(parameters, dense, strict=True):
            assert gradient is not None
            parameter.grad = gradient.to_sparse()
            parameter.requires_grad_(False)  # torch adds in threads where no_grad does not hold
        super().step()  # type: ignore[no-untyped-call]
        for parameter, gradient in zip(parameters, dense, strict=True):
            parameter.requires_grad_(True)
            parameter.grad = gradient
        return loss


class LBFGS(torch.optim.LBFGS):
    """`torch.optim.LBFGS` for gradients in any memory format, and for a rate of 0."""

    def step(self, closure: _Closure) -> Any:  # type: ignore[override]
        """Take one step of up to max_eval evaluations."""

        def flat() -> Any:
            loss = closure()
            for parameter in _parameters_of(self):  # torch's class views them as vectors
                parameter.grad = parameter.grad.contiguous()  # type: ignore[union-attr]
            return loss

        if self.param_groups[0]["lr"] == 0:  # its line search would divide by the length of the step
            return evaluated(flat)
        return super().step(flat)  # type: ignore[no-untyped-call]


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon for some parameters and AdamW for others, in one optimizer: two parameter groups, one state.

    A group trains at `lr_ratio` times its `lr`, so that one schedule serves both.
    """

    def __init__(self, muon: torch.optim.Optimizer, adamw: torch.optim.Optimizer, adamw_lr_ratio: float) -> None:
        self._rules = {"muon": muon, "adamw": adamw}
        ratios = {"muon": 1.0, "adamw": adamw_lr_ratio}
        groups = [
            {**group, "rule": rule, "lr_ratio": ratios[rule]}
            for rule, optimizer in self._rules.items()
            for group in optimizer.param_groups
        ]
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: _Closure | None = None) -> Any:
        """Take one step of each rule on the groups that it trains."""
        loss = evaluated(closure)
        for rule, optimizer in self._rules.items():
            optimizer.state = self.state
            optimizer.param_groups = [
                {**group, "lr": group["lr"] * group["lr_ratio"]} for group in self.param_groups if group["rule"] == rule
            ]
            take_step(optimizer)
        return loss
