"""Penalties added to the loss."""

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor, nn

from regbench.techniques.layers import weighted_layers
from regbench.techniques.registry import Option, Registry

REGULARIZERS: Registry[Callable[..., Tensor]] = Registry("regularizer")


@REGULARIZERS.register
def none(weight: Tensor) -> Tensor:
    """No penalty."""
    return weight.new_zeros(())


@REGULARIZERS.register
def l1(weight: Tensor) -> Tensor:
    """Σ|w|."""
    return weight.abs().sum()


@REGULARIZERS.register
def l2(weight: Tensor, *, half: bool) -> Tensor:
    """Σ w², or half of it: with plain SGD that half is the optimizer's `weight_decay`."""
    return weight.square().sum() * (0.5 if half else 1.0)


@REGULARIZERS.register
def elastic_net(weight: Tensor, *, alpha: Annotated[float, Field(ge=0, le=1)], half: bool) -> Tensor:
    """α Σ|w| + (1 − α) Σ w², the squares halved on request [Zou & Hastie 2005]."""
    return alpha * l1(weight) + (1 - alpha) * l2(weight, half=half)


@REGULARIZERS.shared
def penalty(model: nn.Module, option: Option, *, strength: NonNegativeFloat, on: Literal["weights", "all"]) -> Tensor:
    """Strength λ times the option's sum over a model's weights, or over all parameters: a scalar.

    Weights are the matrices and filters of dense and convolutional layers: no biases, no norm parameters.
    """
    chosen = model.parameters() if on == "all" else (layer.weight for layer in weighted_layers(model))
    terms = {key: value for key, value in option.args.items() if key not in ("strength", "on")}
    return strength * torch.stack([REGULARIZERS[option.name](weight, **terms) for weight in chosen]).sum()
