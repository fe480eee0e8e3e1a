"""Optimizers: all arguments of the torch class that a user could want, on one run's parameters."""

from collections.abc import Callable, Sequence
from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from regbench.errors import UserError
from regbench.techniques.registry import Registry

Decay = Annotated[float, Field(ge=0, lt=1)]
Betas = tuple[Decay, Decay]
Parameters = Sequence[Tensor]

OPTIMIZERS: Registry[Callable[..., torch.optim.Optimizer]] = Registry("optimizer")


@OPTIMIZERS.register
def sgd(
    parameters: Parameters,
    *,
    lr: NonNegativeFloat,
    momentum: NonNegativeFloat,
    dampening: NonNegativeFloat,
    weight_decay: NonNegativeFloat,
    nesterov: bool,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum [Sutskever 2013] (`torch.optim.SGD`).

    Raises:
        UserError: nesterov without momentum, or with dampening.
    """
    if nesterov and not (momentum > 0 and dampening == 0):
        raise UserError("optimizer.nesterov=true: needs optimizer.momentum above 0 and optimizer.dampening=0")
    return torch.optim.SGD(
        parameters,
        lr=lr,
        momentum=momentum,
        dampening=dampening,
        weight_decay=weight_decay,
        nesterov=nesterov,
        fused=True,
    )


@OPTIMIZERS.register
def adam(
    parameters: Parameters,
    *,
    lr: NonNegativeFloat,
    betas: Betas,
    eps: NonNegativeFloat,
    weight_decay: NonNegativeFloat,
    amsgrad: bool,
) -> torch.optim.Optimizer:
    """Adam [Kingma & Ba 2015]; its weight decay is added to the gradient (`torch.optim.Adam`)."""
    return torch.optim.Adam(
        parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, fused=True
    )


@OPTIMIZERS.register
def adamw(
    parameters: Parameters,
    *,
    lr: NonNegativeFloat,
    betas: Betas,
    eps: NonNegativeFloat,
    weight_decay: NonNegativeFloat,
    amsgrad: bool,
) -> torch.optim.Optimizer:
    """Adam with weight decay apart from the gradient [Loshchilov & Hutter 2019] (`torch.optim.AdamW`)."""
    return torch.optim.AdamW(
        parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, fused=True
    )


@OPTIMIZERS.register
def rmsprop(
    parameters: Parameters,
    *,
    lr: NonNegativeFloat,
    alpha: Decay,
    eps: PositiveFloat,
    weight_decay: NonNegativeFloat,
    momentum: NonNegativeFloat,
    centered: bool,
) -> torch.optim.Optimizer:
    """Gradients over the root of their running mean square [Hinton 2012] (`torch.optim.RMSprop`)."""
    return torch.optim.RMSprop(
        parameters, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered
    )


@OPTIMIZERS.register
def adagrad(
    parameters: Parameters,
    *,
    lr: NonNegativeFloat,
    lr_decay: NonNegativeFloat,
    weight_decay: NonNegativeFloat,
    initial_accumulator_value: NonNegativeFloat,
    eps: PositiveFloat,
) -> torch.optim.Optimizer:
    """Gradients over the root of their summed squares [Duchi 2011] (`torch.optim.Adagrad`, fused on the CPU)."""
    return torch.optim.Adagrad(
        parameters,
        lr=lr,
        lr_decay=lr_decay,
        weight_decay=weight_decay,
        initial_accumulator_value=initial_accumulator_value,
        eps=eps,
        fused=parameters[0].device.type == "cpu",
    )
