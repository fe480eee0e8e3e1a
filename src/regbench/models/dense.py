"""The dense layer, of one run or of a stack, by the fastest matrix product that torch has for it on this processor."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Torch gives float32 products on x86 to MKL, which leaves AVX-512 unused on AMD's processors; oneDNN, in torch as well,
# does not. That is worth having from Zen 5 on (family 26), whose units are 512 bits wide. On 2 cores, batch 100:
#   Zen 5: 784 to 256 took 99 us instead of 204, 256 to 256 52 instead of 73, 256 to 10 15 instead of 9;
#   Zen 4: 208 us instead of 204, and the calls from Python made an epoch of the mlp 1.1 times as long.
# So: on such a processor, from this many weights on.
WORTHWHILE = 2**14
WIDE = 26
CPUINFO = Path("/proc/cpuinfo")


class Linear(nn.Linear):
    """`torch.nn.Linear` to the rounding of float32, on any device and in any precision."""

    def forward(self, features: Tensor) -> Tensor:
        """Features [samples, in] to [samples, out]."""
        if features.dim() == 2 and suits_onednn(features, self.weight):
            result: Tensor = OneDnnLinear.apply(features, self.weight, self.bias)
            return result
        return super().forward(features)


def stacked(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """K runs' dense layers: features [K, samples, in], weight [K, out, in], bias [K, out] to [K, samples, out]."""
    if suits_onednn(features, weight[0]):
        one_by_one: Tensor = OneDnnStack.apply(features, weight, bias)
        return one_by_one
    if torch.is_autocast_enabled(features.device.type):
        return torch.baddbmm(bias.unsqueeze(1), features, weight.mT)
    result: Tensor = StackedLinear.apply(features, weight, bias)
    return result


def suits_onednn(features: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN is to compute the products of one run's layer."""
    fits = features.device.type == "cpu" and features.dtype == torch.float32 and weight.numel() >= WORTHWHILE
    return fits and onednn_is_faster() and not torch.is_autocast_enabled("cpu")


@cache
def onednn_is_faster() -> bool:
    """By the kind of processor, not by a timing: the same machine has to come to the same bits every time."""
    try:
        facts = CPUINFO.read_text()
    except OSError:
        return False
    family = re.search(r"^cpu family\s*: (\d+)", facts, re.MULTILINE)
    wide = "AuthenticAMD" in facts and family is not None and int(family[1]) >= WIDE
    known = hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return wide and torch.backends.cpu.get_cpu_capability() == "AVX512" and known


class OneDnnLinear(torch.autograd.Function):
    """features · weightᵀ + bias, the three products of forward and backward by oneDNN."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Features [samples, in], weight [out, in], bias [out]: [samples, out]."""
        ctx.save_for_backward(features, weight)
        return product(features, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """Gradients for features (unless they are the images), weight and bias."""
        features, weight = ctx.saved_tensors
        below = product(gradient, weight.t()) if ctx.needs_input_grad[0] else None
        return below, product(gradient.t(), features.t()), gradient.sum(0)


class OneDnnStack(torch.autograd.Function):
    """`OneDnnLinear` of each run, in one node of the graph: Python's part of a step is what lanes wait for."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Features [K, samples, in], weight [K, out, in], bias [K, out]: [K, samples, out]."""
        ctx.save_for_backward(features, weight)
        return products(features, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """Gradients for features (unless they are the images), weight and bias."""
        features, weight = ctx.saved_tensors
        below = products(gradient, weight.mT) if ctx.needs_input_grad[0] else None
        return below, products(gradient.mT, features.mT), gradient.sum(1)


def products(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Left · rightᵀ + bias of each run, each put into its place while it is in the cache."""
    found = left.new_empty(left.shape[0], left.shape[1], right.shape[1])
    biases = [None] * len(found) if bias is None else bias.unbind()
    for place, one, other, added in zip(found.unbind(), left.unbind(), right.unbind(), biases, strict=True):
        place.copy_(product(one, other, added))
    return found


def product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Left · rightᵀ + bias."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return result


class StackedLinear(torch.autograd.Function):
    """features · weightᵀ + bias of each run, batched.

    Torch's own backward of `baddbmm` gives the weights' gradient transposed, and then copies it: a tenth of a step.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Features [K, samples, in], weight [K, out, in], bias [K, out]: [K, samples, out]."""
        ctx.save_for_backward(features, weight)
        return torch.baddbmm(bias.unsqueeze(1), features, weight.mT)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """Gradients for features (unless they are the images), weight and bias."""
        features, weight = ctx.saved_tensors
        below = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        return below, torch.bmm(gradient.mT, features), gradient.sum(1)
