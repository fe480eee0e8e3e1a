"""Gradient clipping, between backward and step."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_


def clip(
    parameters: Sequence[Tensor], norm_type: float, max_norm: float | None, max_value: float | None
) -> tuple[Tensor, Tensor]:
    """Limit each gradient element to ±max_value, then the p-norm of the whole gradient to max_norm, in place.

    g · min(1, max_norm / ‖g‖ₚ) [Pascanu 2013] (`torch.nn.utils.clip_grad_norm_`, `clip_grad_value_`).

    Use it where single batches throw training off course: high learning rates, deep networks without a norm.

    Returns the norm before clipping and whether anything was clipped, both as scalars on the device: no
    synchronization. With both limits off nothing is changed.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = total_norm(gradients, norm_type)
    clipped = torch.zeros((), dtype=torch.bool, device=norm.device)
    left = norm
    if max_value is not None:
        clipped = total_norm(gradients, torch.inf) > max_value
        clip_grad_value_(parameters, max_value)
        left = total_norm(gradients, norm_type)
    if max_norm is not None:
        clipped = clipped | (left > max_norm)
        clip_grads_with_norm_(parameters, max_norm, left)
    return norm, clipped


def total_norm(tensors: Sequence[Tensor], norm_type: float) -> Tensor:
    """The p-norm of all elements together, a scalar.

    `torch.nn.utils.get_total_norm` gives the same; its grouping by device takes longer than the norms of a small model.
    """
    norms = torch.stack([torch.linalg.vector_norm(tensor, norm_type) for tensor in tensors])
    norm: Tensor = torch.linalg.vector_norm(norms, norm_type)
    return norm
