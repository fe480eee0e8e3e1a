"""Normalization layers, made for the shape of one sample's features: (width,) or (channels, height, width)."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from regbench.errors import UserError
from regbench.techniques.registry import Registry

Shape = tuple[int, ...]
Share = Annotated[float, Field(ge=0, le=1)]


class FeatureMapsNeededError(UserError):
    """The norm averages over height and width, which dense features lack."""


NORMS: Registry[Callable[..., nn.Module]] = Registry("norm")


@NORMS.register
def none(shape: Shape) -> nn.Module:
    """No normalization."""
    del shape
    return nn.Identity()


@NORMS.register
def batch(shape: Shape, *, eps: PositiveFloat, momentum: Share, affine: bool) -> nn.Module:
    """Per feature, or per channel, over the batch [Ioffe & Szegedy 2015] (`torch.nn.BatchNorm1d`, `2d`)."""
    layer = nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d
    return layer(shape[0], eps=eps, momentum=momentum, affine=affine)


@NORMS.register
def layer(shape: Shape, *, eps: PositiveFloat, affine: bool) -> nn.Module:
    """Over all features of one sample [Ba 2016] (`torch.nn.LayerNorm`): C, H and W of a feature map."""
    return nn.LayerNorm(shape, eps=eps, elementwise_affine=affine)


@NORMS.register
def instance(shape: Shape, *, eps: PositiveFloat, affine: bool) -> nn.Module:
    """Over H and W, per sample and channel [Ulyanov 2016] (`torch.nn.InstanceNorm2d`).

    Raises:
        FeatureMapsNeededError: dense features have no H and W to average over.
    """
    if len(shape) == 1:
        raise FeatureMapsNeededError(
            "norm=instance: needs spatial dimensions, which dense layers lack. Allowed here: batch, group, layer, none"
        )
    return nn.InstanceNorm2d(shape[0], eps=eps, affine=affine)


@NORMS.register
def group(shape: Shape, *, groups: PositiveInt, eps: PositiveFloat, affine: bool) -> nn.Module:
    """Over C · H · W / groups, per sample [Wu & He 2018] (`torch.nn.GroupNorm`).

    Raises:
        UserError: the number of groups does not divide the width.
    """
    width = shape[0]
    if width % groups:
        allowed = [n for n in range(1, width + 1) if width % n == 0]
        nearest = min(allowed, key=lambda n: abs(n - groups))
        raise UserError(
            f"norm.groups={groups}: must divide the layer's width {width}. "
            f"Nearest: {nearest}. Allowed: {', '.join(map(str, allowed))}"
        )
    return nn.GroupNorm(groups, width, eps=eps, affine=affine)
