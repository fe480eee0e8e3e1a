"""The dense layer, by the fastest matrix product that torch has for it on this processor."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Torch gives float32 products on x86 to MKL, which leaves AVX-512 unused on AMD's processors; oneDNN, in torch as well,
# does not. Measured on 2 cores of an EPYC (Zen 5), batch 100: 784 to 256 took 99 us instead of 204, 256 to 256 52
# instead of 73, 256 to 10 15 instead of 9. So: on AMD with AVX-512, from this many weights on.
WORTHWHILE = 2**14


class Linear(nn.Linear):
    """`torch.nn.Linear` to the rounding of float32, on any device and in any precision."""

    def forward(self, features: Tensor) -> Tensor:
        """Features [samples, in] to [samples, out]."""
        suits = features.device.type == "cpu" and features.dtype == torch.float32 and features.dim() == 2
        if suits and self.weight.numel() >= WORTHWHILE and onednn_is_faster():
            result: Tensor = OneDnnLinear.apply(features, self.weight, self.bias)
            return result
        return super().forward(features)


@cache
def onednn_is_faster() -> bool:
    """By the kind of processor, not by a timing: the same machine has to come to the same bits every time."""
    try:
        amd = "AuthenticAMD" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return (
        amd and torch.backends.cpu.get_cpu_capability() == "AVX512" and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


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


def product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Left · rightᵀ + bias."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return result
