"""How large a model is."""

from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import nn

from regbench.images import SIDE
from regbench.models.architectures import weight_count, with_memory

# Up to this many weights, an image goes through a real model to count its features: on torch's meta device its first
# layer takes 4 s of CPU time (AMD Zen 3), in which torch imports its compiler and sympy.
_MOST_REAL_WEIGHTS = 4_000_000


class Sizes(NamedTuple):
    """What a model makes of one image."""

    features: int  # numbers that all its layers together return
    products: int  # multiplications with weights


@lru_cache(1000)
def sizes(skeleton: nn.Sequential) -> Sizes:
    """Count what a model makes of an image, which goes through a copy of it."""
    device = "cpu" if weight_count(skeleton) <= _MOST_REAL_WEIGHTS else "meta"
    model, features, products = with_memory(skeleton, device), 0, 0

    def count(layer: nn.Module, _: Any, output: torch.Tensor) -> None:
        nonlocal features, products
        features += output[0].numel() * (not list(layer.children()))
        weight = getattr(layer, "weight", None)
        if weight is not None and weight.dim() > 1:
            products += output[0].numel() * weight[0].numel()

    for layer in model.modules():
        layer.register_forward_hook(count)
    with torch.no_grad():
        model.eval()(torch.empty(1, SIDE, SIDE, device=device))
    return Sizes(features, products)
