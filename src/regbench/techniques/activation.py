"""Activation functions: element-wise modules."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field
from torch import nn

from regbench.techniques.registry import Registry

ACTIVATIONS: Registry[Callable[..., nn.Module]] = Registry("activation")


@ACTIVATIONS.register
def relu() -> nn.Module:
    """max(0, x) (`torch.nn.ReLU`)."""
    return nn.ReLU()


@ACTIVATIONS.register
def leaky_relu(*, negative_slope: Annotated[float, Field(ge=0)]) -> nn.Module:
    """x where x > 0, else negative_slope · x (`torch.nn.LeakyReLU`)."""
    return nn.LeakyReLU(negative_slope)


@ACTIVATIONS.register
def sigmoid() -> nn.Module:
    """1 / (1 + exp(−x)) (`torch.nn.Sigmoid`)."""
    return nn.Sigmoid()


@ACTIVATIONS.register
def tanh() -> nn.Module:
    """Tanh(x) (`torch.nn.Tanh`)."""
    return nn.Tanh()
