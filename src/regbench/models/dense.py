"""The dense layer, of one run or of a stack, by the fastest matrix product that torch has for it on this processor."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Torch gives float32 products on x86 to MKL, which leaves AVX-512 unused on AMD's processors; oneDNN, in torch as well,
# does not. This pays from Zen 5 on (family 26), whose units are 512 bits wide. On 2 cores, batch 100:
#   Zen 5: 784 to 256 took 99 us instead of 204, 256 to 256 52 instead of 73, 256 to 10 15 instead of 9;
#   Zen 4: 208 us instead of 204, and the calls from Python made an epoch of the mlp 1.1 times as long.
# So oneDNN computes on such a processor, for layers of at least this many weights.
_WORTHWHILE = 2**14
_WIDE = 26
CPUINFO = Path("/proc/cpuinfo")


class Linear(nn.Linear):
    """`torch.nn.Linear` to the rounding of float32, on any device and in any precision."""

    def forward(self, features: Tensor) -> Tensor:
        """Features [samples, in] to [samples, out]."""
        if features.dim() == 2 and _suits_onednn(features, self.weight):
            result: Tensor = _OneDnnLinear.apply(features, self.weight, self.bias)
            return result
        return super().forward(features)


def stacked(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """K runs' dense layers: features [K, samples, in], weight [K, out, in], bias [K, out] to [K, samples, out]."""
    if _suits_onednn(features, weight[0]):
        separate: Tensor = _OneDnnStack.apply(features, weight, bias)
        return separate
    if torch.is_autocast_enabled(features.device.type):
        return torch.baddbmm(bias.unsqueeze(1), features, weight.mT)
    result: Tensor = _StackedLinear.apply(features, weight, bias)
    return result


def _suits_onednn(features: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN computes the products of one run's layer."""
    fits = features.device.type == "cpu" and features.dtype == torch.float32 and weight.numel() >= _WORTHWHILE
    return fits and onednn_is_faster() and not torch.is_autocast_enabled("cpu")


@cache
def onednn_is_faster() -> bool:
    """Decide by the kind of processor, not by a timing: a machine must compute the same bits every time."""
    try:
        facts = CPUINFO.read_text()
    except OSError:
        return False
    family = re.search(r"^cpu family\s*: (\d+)", facts, re.MULTILINE)
    wide = "AuthenticAMD" in facts and family is not None and int(family[1]) >= _WIDE
    known = hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return wide and torch.backends.cpu.get_cpu_capability() == "AVX512" and known


class _OneDnnLinear(torch.autograd.Function):
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


class _OneDnnStack(torch.autograd.Function):
    """`_OneDnnLinear` for each run, in one node of the graph: lanes wait for Python's part of a step."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Features [K, samples, in], weight [K, out, in], bias [K, out]: [K, samples, out]."""
        ctx.save_for_backward(features, weight)
        return _products(features, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """Gradients for features (unless they are the images), weight and bias."""
        features, weight = ctx.saved_tensors
        below = _products(gradient, weight.mT) if ctx.needs_input_grad[0] else None
        return below, _products(gradient.mT, features.mT), gradient.sum(1)


def _products(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Left · rightᵀ + bias for each run, copied to its place while it is in the cache."""
    results = left.new_empty(left.shape[0], left.shape[1], right.shape[1])
    biases = [None] * len(results) if bias is None else bias.unbind()
    for result, a, b, added in zip(results.unbind(), left.unbind(), right.unbind(), biases, strict=True):
        result.copy_(product(a, b, added))
    return results


def product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Left · rightᵀ + bias."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return result


class _StackedLinear(torch.autograd.Function):
    """features · weightᵀ + bias of each run, batched.

    Torch's backward of `baddbmm` computes the weights' gradient transposed and copies it: a tenth of a step.
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
