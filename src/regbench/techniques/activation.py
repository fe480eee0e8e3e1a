"""Activation functions: element-wise modules."""

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import nn

from regbench.config.registry import Option, Registry

ACTIVATIONS: Registry[Callable[..., nn.Module]] = Registry("activation")


@ACTIVATIONS.register
def relu() -> nn.Module:
    """max(0, x) [Nair & Hinton 2010] (`torch.nn.ReLU`).

    Use it as the default of deep networks: cheap, and without a slope that vanishes for x > 0.
    """
    return nn.ReLU()


@ACTIVATIONS.register
def leaky_relu(*, negative_slope: NonNegativeFloat) -> nn.Module:
    """x where x > 0, else negative_slope · x [Maas 2013] (`torch.nn.LeakyReLU`).

    Use it where relu leaves many units dead, that is, at 0 for every image.
    """
    return nn.LeakyReLU(negative_slope)


@ACTIVATIONS.register
def sigmoid() -> nn.Module:
    """1 / (1 + exp(−x)) (`torch.nn.Sigmoid`).

    Use it to see gradients vanish in deep networks, and after `init=rbm`, whose units are sigmoid too.
    """
    return nn.Sigmoid()


@ACTIVATIONS.register
def tanh() -> nn.Module:
    """(exp(2x) − 1) / (exp(2x) + 1) (`torch.nn.Tanh`).

    Use it for shallow networks whose features should be centred and bounded; it saturates as sigmoid does.
    """
    return nn.Tanh()


@ACTIVATIONS.register
def elu(*, alpha: NonNegativeFloat) -> nn.Module:
    """x where x > 0, else alpha · (exp(x) − 1) [Clevert 2016] (`torch.nn.ELU`).

    Use it where the mean of relu's features, always positive, slows learning and no norm removes it.
    """
    return nn.ELU(alpha)


@ACTIVATIONS.register
def selu() -> nn.Module:
    """1.0507 · x where x > 0, else 1.0507 · 1.6733 · (exp(x) − 1) [Klambauer 2017] (`torch.nn.SELU`).

    Use it for deep dense networks without a norm, with `init=lecun`: features then keep mean 0 and variance 1.
    """
    return nn.SELU()


@ACTIVATIONS.register
def gelu(*, approximate: Literal["none", "tanh"]) -> nn.Module:
    """x · Φ(x), Φ the normal distribution function [Hendrycks & Gimpel 2016] (`torch.nn.GELU`).

    With approximate=tanh ½x (1 + tanh(√(2/π) (x + 0.044715 x³))).

    Use it where a smooth relu is wanted, as in transformers.
    """
    return nn.GELU(approximate)


@ACTIVATIONS.register
def silu() -> nn.Module:
    """x / (1 + exp(−x)), also known as swish [Elfwing 2018] (`torch.nn.SiLU`).

    Use it where a smooth relu is wanted; close to gelu and cheaper.
    """
    return nn.SiLU()


@ACTIVATIONS.register
def identity() -> nn.Module:
    """x: the network stays linear, however deep (`torch.nn.Identity`).

    Use it as the control that shows what the nonlinearity is worth.
    """
    return nn.Identity()


def activation_gain(activation: Option) -> float:
    """The factor that keeps variance through an activation (`torch.nn.init.calculate_gain`).

    Where torch knows none (elu, gelu, silu): 1 / √E[f(z)²] for a standard normal z. With it the variance of a layer's
    outputs equals that of the layer before [He 2015, section 2.2]; for relu the same rule gives torch's √2.
    """
    name = "linear" if activation.name == "identity" else activation.name
    try:
        return float(nn.init.calculate_gain(name, activation.args.get("negative_slope")))  # type: ignore[arg-type]
    except ValueError:
        return _variance_gain(ACTIVATIONS[activation.name](**activation.args))


def _variance_gain(function: nn.Module) -> float:
    """1 / √E[f(z)²], z standard normal: a sum over a fine grid, exact to about seven digits."""
    z = torch.linspace(-10, 10, 20_001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2)
    return float((density.sum() / (density * function(z).square()).sum()).sqrt())
