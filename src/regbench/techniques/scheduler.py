"""Learning-rate schedules: the rate of an epoch as a function of the epoch alone.

`epoch` counts from 0. Without state, a resumed run needs nothing saved, and each run of a stack can have its own.
"""

import math
from collections.abc import Callable
from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from regbench.techniques.registry import Registry

SCHEDULERS: Registry[Callable[..., float]] = Registry("scheduler")


@SCHEDULERS.register
def constant(lr: float, epoch: float, epochs: int) -> float:
    """The same rate throughout."""
    del epoch, epochs
    return lr


@SCHEDULERS.register
def step(lr: float, epoch: float, epochs: int, *, step_size: PositiveInt, gamma: PositiveFloat) -> float:
    """Times gamma after every step_size epochs (`torch.optim.lr_scheduler.StepLR`)."""
    del epochs
    return lr * float(gamma ** (epoch // step_size))


@SCHEDULERS.register
def multistep(lr: float, epoch: float, epochs: int, *, milestones: list[PositiveInt], gamma: PositiveFloat) -> float:
    """Times gamma at each milestone (`torch.optim.lr_scheduler.MultiStepLR`)."""
    del epochs
    return lr * float(gamma ** sum(epoch >= milestone for milestone in milestones))


@SCHEDULERS.register
def exponential(lr: float, epoch: float, epochs: int, *, gamma: PositiveFloat) -> float:
    """Times gamma after every epoch (`torch.optim.lr_scheduler.ExponentialLR`)."""
    del epochs
    return lr * float(gamma**epoch)


@SCHEDULERS.register
def cosine(
    lr: float, epoch: float, epochs: int, *, t_max: Annotated[int, Field(ge=1)] | None, eta_min: NonNegativeFloat
) -> float:
    """Half a cosine from lr to eta_min over t_max epochs, or over all of them [Loshchilov & Hutter 2017].

    As `torch.optim.lr_scheduler.CosineAnnealingLR`.
    """
    return eta_min + (lr - eta_min) * (1 + math.cos(math.pi * epoch / (t_max or epochs))) / 2
