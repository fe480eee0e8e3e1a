"""Gradient clipping, between backward and step."""

from collections.abc import Sequence

import torch
from torch import Tensor

_Limit = float | Tensor | None  # a scalar tensor where the runs of a stack differ

_EPS = 1e-6  # as in torch: a gradient of 0 stays 0


def clip(
    gradients: Sequence[Tensor], norm_type: float, clip_norm: _Limit, clip_value: _Limit
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Limit each gradient element to ±clip_value, then the p-norm of the whole gradient to clip_norm.

    g · min(1, clip_norm / ‖g‖ₚ) [Pascanu 2013], as `torch.nn.utils.clip_grad_norm_` and `clip_grad_value_` do in place.

    Use it where single batches spoil training: high learning rates, deep networks without a norm.

    Return the gradients, the norm before clipping and whether anything was clipped, the last two as scalars on the
    device: no synchronization.
    """
    clipped = list(gradients)
    norm = left = total_norm(clipped, norm_type)
    changed = torch.zeros_like(norm, dtype=torch.bool)
    if clip_value is not None:
        changed = total_norm(clipped, torch.inf) > clip_value
        limit = torch.as_tensor(clip_value, dtype=norm.dtype, device=norm.device)
        clipped = [gradient.clamp(-limit, limit) for gradient in clipped]
        left = total_norm(clipped, norm_type)
    if clip_norm is not None:
        changed = changed | (left > clip_norm)
        limit = torch.as_tensor(clip_norm, dtype=norm.dtype, device=norm.device)
        factor = torch.where(limit.isinf(), 1.0, (limit / (left + _EPS)).clamp(max=1.0))  # inf / inf is no number
        clipped = [gradient * factor for gradient in clipped]
    return clipped, norm, changed


def total_norm(tensors: Sequence[Tensor], norm_type: float) -> Tensor:
    """The p-norm of all elements together, a scalar.

    Row by row first: a norm over everything is summed in another order on another number of threads.
    """
    rows = [
        torch.linalg.vector_norm(tensor.flatten(1), norm_type, dim=1) if tensor.dim() > 1 else tensor
        for tensor in tensors
    ]
    norm: Tensor = torch.linalg.vector_norm(torch.cat(rows), norm_type)
    return norm
