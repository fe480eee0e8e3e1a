"""Gradient clipping, between backward and step."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm


def clip(
    parameters: Sequence[Tensor], norm_type: float, max_norm: float | None, max_value: float | None
) -> tuple[Tensor, Tensor]:
    """Limit each gradient element to ±max_value, then the p-norm of the whole gradient to max_norm, in place.

    Returns the norm before clipping and whether anything was clipped, both as scalars on the device: no
    synchronization. With both limits off nothing is changed.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = get_total_norm(gradients, norm_type)
    clipped = torch.zeros((), dtype=torch.bool, device=norm.device)
    left = norm
    if max_value is not None:
        clipped = get_total_norm(gradients, torch.inf) > max_value
        clip_grad_value_(parameters, max_value)
        left = get_total_norm(gradients, norm_type)
    if max_norm is not None:
        clipped = clipped | (left > max_norm)
        clip_grads_with_norm_(parameters, max_norm, left)
    return norm, clipped
