"""Normalization layers, made for the shape of one sample's features: (width,) or (channels, height, width)."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import PositiveFloat, PositiveInt
from torch import nn

from regbench.config.registry import Registry, Share
from regbench.errors import UserError

Shape = tuple[int, ...]
Position = Literal["pre", "post"]
_GROUPS = 8  # of group norm, where the width can be divided by it


class FeatureMapsNeededError(UserError):
    """The norm averages over height and width, which dense features lack."""


NORMS: Registry[Callable[..., nn.Module | None]] = Registry("norm")


@NORMS.register
def none(shape: Shape) -> None:
    """No normalization.

    Use it as the control, and for networks of few layers.
    """
    del shape


@NORMS.register
def batch(
    shape: Shape, *, eps: PositiveFloat, momentum: Share, affine: bool, bias: bool, track_running_stats: bool
) -> nn.Module:
    """(x − mean) / √(variance + eps) · γ + β, per feature or channel, over the batch [Ioffe & Szegedy 2015].

    Evaluation takes running means of both, running ← (1 − momentum) · running + momentum · batch, or, without
    `track_running_stats`, those of the images evaluated together (`torch.nn.BatchNorm1d`, `BatchNorm2d`).

    Use it first, in convolutional networks above all, unless batches are small (below about 16 images).
    """
    kind = nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d
    norm = kind(shape[0], eps=eps, momentum=momentum, affine=affine, track_running_stats=track_running_stats)
    return norm if bias else _without_shift(norm)


def _without_shift(norm: nn.Module) -> nn.Module:
    """The norm without its β, for which the classes of torch 2.9 have no argument."""
    norm.register_parameter("bias", None)
    return norm


@NORMS.register
def layer(shape: Shape, *, eps: PositiveFloat, affine: bool, bias: bool) -> nn.Module:
    """(x − mean) / √(variance + eps) · γ + β over all features of one sample [Ba 2016] (`torch.nn.LayerNorm`).

    Of a feature map all of C, H and W; γ and β are of its shape.

    Use it where batches are small, or where training and evaluation should compute the same.

    Raises:
        UserError: there is a single feature.
    """
    _check_several("layer", math.prod(shape), left="0")
    return nn.LayerNorm(shape, eps=eps, elementwise_affine=affine, bias=bias)


@NORMS.register
def rms(shape: Shape, *, eps: PositiveFloat, affine: bool) -> nn.Module:
    """x / √(mean of x² + eps) · γ over all features of one sample [Zhang & Sennrich 2019] (`torch.nn.RMSNorm`).

    Use it in place of layer norm where the means do not matter: one pass less over the features.

    Raises:
        UserError: there is a single feature.
    """
    _check_several("rms", math.prod(shape), left="its sign")
    return nn.RMSNorm(shape, eps=eps, elementwise_affine=affine)


@NORMS.register
def instance(
    shape: Shape, *, eps: PositiveFloat, momentum: Share, affine: bool, bias: bool, track_running_stats: bool
) -> nn.Module:
    """(x − mean) / √(variance + eps) · γ + β over H and W, per sample and channel [Ulyanov 2016].

    With `track_running_stats` evaluation takes running means of both, updated as batch norm's
    (`torch.nn.InstanceNorm2d`).

    Use it for the feature maps of a cnn where the contrast of a single image should not count.

    Raises:
        FeatureMapsNeededError: dense features have no H and W to average over.
        UserError: a feature map is a single pixel.
    """
    if len(shape) == 1:
        others = ", ".join(sorted(NORMS.keys() - {"instance"}))
        raise FeatureMapsNeededError(
            f"norm=instance: needs spatial dimensions, which dense layers lack. Allowed here: {others}"
        )
    _check_several("instance", math.prod(shape[1:]), left="0")
    norm = nn.InstanceNorm2d(
        shape[0], eps=eps, momentum=momentum, affine=affine, track_running_stats=track_running_stats
    )
    return norm if bias else _without_shift(norm)


@NORMS.register
def group(shape: Shape, *, groups: PositiveInt | None, eps: PositiveFloat, affine: bool, bias: bool) -> nn.Module:
    """(x − mean) / √(variance + eps) · γ + β over C · H · W / groups, per sample [Wu & He 2018] (`torch.nn.GroupNorm`).

    Use it for a cnn whose batches are too small for batch norm.

    Raises:
        UserError: the number of groups does not divide the width, or leaves single features to a group.
    """
    norm = nn.GroupNorm(_fitting_groups(groups, [shape]), shape[0], eps=eps, affine=affine)
    return norm if bias else _without_shift(norm)


def arranged(norm: nn.Module | None, activation: nn.Module, position: Position) -> dict[str, nn.Module]:
    """The norm before an activation f, pre: f(norm(Wx + b)) [Ioffe & Szegedy 2015]; or after, post: norm(f(Wx + b)).

    Use pre as published; post where the next layer should get standardized inputs, which those of relu never are.
    """
    if norm is None:
        return {"activation": activation}
    return {"norm": norm, "activation": activation} if position == "pre" else {"activation": activation, "norm": norm}


def _check_several(name: str, features: int, left: str) -> None:
    """Raise unless a mean is over several features; `left` is what the norm makes of a single one.

    Raises:
        UserError: it is over one.
    """
    if features < 2:
        raise UserError(f"norm={name}: averages over 1 feature, of which it leaves {left}: needs a layer of 2 or more")


def _fitting_groups(groups: int | None, shapes: Sequence[Shape]) -> int:
    """Return a number of groups that fits all layers of these shapes; null is the nearest to `_GROUPS` from below.

    Raises:
        UserError: it does not divide a width, or leaves single features to a group, which would all become 0.
    """
    units = math.gcd(*(shape[0] for shape in shapes))
    alone = [shape[0] for shape in shapes if math.prod(shape[1:]) == 1]
    allowed = [n for n in range(1, units + 1) if units % n == 0 and n not in alone]
    if not allowed:
        _check_several("group", 1, left="0")
    if groups in allowed:
        return groups
    if groups is None:
        return max(n for n in allowed if n <= _GROUPS)
    width = next((shape[0] for shape in shapes if shape[0] % groups), groups)
    nearest = min(allowed, key=lambda n: abs(n - groups))
    raise UserError(
        f"norm.groups={groups}: must divide the layer's width {width}, with 2 or more features to a group. "
        f"Nearest: {nearest}. Allowed: {', '.join(map(str, allowed))}"
    )


def check_groups(groups: int | None, shapes: Sequence[Shape]) -> None:
    """Raise an error that names what fits, unless a number of groups fits all layers of these shapes.

    Raises:
        UserError: it does not divide a width, or leaves single features to a group, which would all become 0.
    """
    if groups is not None and shapes:
        _fitting_groups(groups, shapes)
