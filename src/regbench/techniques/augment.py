"""Augmentation: each training image gets its own draw; whole batches change at once, on their device.

An option draws; `apply` changes images by the draws. One `apply` serves all options and knows no option's values, so
that it can take images of many runs together. Images are 28×28, their pixels raw: black is 0.
"""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import torch
from pydantic import AfterValidator, Field, PositiveFloat
from torch import Generator, Tensor
from torch.nn import functional as F

from regbench.config.registry import Option, Registry, Share
from regbench.images import SIDE, WHITE

_MARGIN = 2  # makes the side a power of two: grid_sample's places are exact: an unmoved image keeps all bits
_TURNS = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))  # cosine and sine of 0, 1, 2, 3 quarter turns


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    """The pair, if it is a range."""
    if pair[0] > pair[1]:
        raise ValueError("the greater first")
    return pair


_Range = Annotated[
    tuple[PositiveFloat, PositiveFloat],
    AfterValidator(_ascending),
    Field(title="two numbers above 0, the lesser first"),
]
_Area = Annotated[
    tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]],
    AfterValidator(_ascending),
    Field(title="two numbers in (0, 1], the lesser first"),
]
_Degrees = Annotated[float, Field(ge=0, le=180)]
_Shear = Annotated[float, Field(ge=0, lt=90)]


class Draws(NamedTuple):
    """The change of each image of a batch: pixels from elsewhere, then a rectangle of one value."""

    maps: Tensor  # [samples, 2, 3]: a pixel's (x, y, 1), seen from the centre, to the source of its value
    boxes: Tensor  # [samples, 4]: left, top, right and bottom; the last two are outside
    values: Tensor  # [samples]: what the rectangles are filled with


AUGMENTS: Registry[Callable[..., Draws]] = Registry("augment")


def draw(option: Option, samples: int, rng: Generator) -> Draws:
    """Draw a change for each image of a batch, on the generator's device."""
    return AUGMENTS[option.name](samples, rng, **option.args)


def together(draws: Sequence[Draws]) -> Draws:
    """Join the draws of several batches, in their order."""
    return Draws(*(torch.cat(parts) for parts in zip(*draws, strict=True)))


def apply(images: Tensor, draws: Draws) -> Tensor:
    """Change images, float32 [samples, 28, 28], by draws: bilinear between pixels, black beyond the borders."""
    places = torch.arange(SIDE, device=images.device, dtype=torch.float32)
    x, y = places - (SIDE - 1) / 2, (places - (SIDE - 1) / 2)[:, None]
    (a, b, c), (d, e, f) = (row[:, :, None, None] for row in draws.maps.permute(1, 2, 0))
    grid = torch.stack([a * x + b * y + c, d * x + e * y + f], -1) / (SIDE / 2 + _MARGIN)
    padded = F.pad(images, (_MARGIN,) * 4)[:, None]
    moved = F.grid_sample(padded, grid, "bilinear", "zeros", align_corners=False)[:, 0]
    left, top, right, bottom = draws.boxes.T[:, :, None, None]
    column, row = places, places[:, None]
    inside = (column >= left) & (column < right) & (row >= top) & (row < bottom)
    return torch.where(inside, draws.values[:, None, None], moved)


@AUGMENTS.register
def none(samples: int, rng: Generator) -> Draws:
    """Images as they are.

    Use it as the control.
    """
    return moving(torch.eye(2, 3, device=rng.device).expand(samples, 2, 3))


@AUGMENTS.register
def affine(samples: int, rng: Generator, *, degrees: _Degrees, translate: Share, scale: _Range, shear: _Shear) -> Draws:
    """Turned, shifted, scaled and slanted, each by a draw within its limits (`torchvision.transforms.RandomAffine`).

    Shifts need not be whole pixels.

    Use it first for digits, which stay readable after small turns and shifts; train longer than without.
    """
    angle, slant = (_uniform(samples, -limit, limit, rng).deg2rad() for limit in (degrees, shear))
    shift_x, shift_y = (_uniform(samples, -translate * SIDE, translate * SIDE, rng) for _ in range(2))
    return moving(affine_maps(angle, shift_x, shift_y, _uniform(samples, *scale, rng), slant))


def affine_maps(angle: Tensor, shift_x: Tensor, shift_y: Tensor, scale: Tensor, slant: Tensor) -> Tensor:
    """From each pixel back to its source: the inverse of turning (clockwise), slanting, scaling and shifting."""
    cos, sin, tan = angle.cos() / scale, angle.sin() / scale, slant.tan()
    a, b, d, e = cos - sin * tan, sin + cos * tan, -sin, cos
    return _rows([a, b, -(a * shift_x + b * shift_y)], [d, e, -(d * shift_x + e * shift_y)])


@AUGMENTS.register
def random_resized_crop(samples: int, rng: Generator, *, scale: _Area, ratio: _Range) -> Draws:
    """A part of the image, enlarged to all of it (`torchvision.transforms.RandomResizedCrop`).

    `scale` is the part's share of the area, `ratio` its width over its height. Its borders need not be whole pixels.

    Use it where objects differ in size and place, and a part of an object is enough to know it.
    """
    return moving(_draw_crops(samples, rng, scale, ratio))


def _draw_crops(samples: int, rng: Generator, scale: tuple[float, float], ratio: tuple[float, float]) -> Tensor:
    """Draw the maps of crops anywhere in the image."""
    width, height = _sides(samples, rng, scale, ratio)
    left, top = (_uniform(samples, 0, 1, rng) * (SIDE - side) for side in (width, height))
    return crop_maps(width, height, left, top)


def crop_maps(width: Tensor, height: Tensor, left: Tensor, top: Tensor) -> Tensor:
    """From each pixel of the enlarged part to the whole image."""
    zero = torch.zeros_like(width)
    return _rows([width / SIDE, zero, left + width / 2 - SIDE / 2], [zero, height / SIDE, top + height / 2 - SIDE / 2])


@AUGMENTS.register
def flip_rotate(samples: int, rng: Generator, *, flip: Share, quarter_turn: Share) -> Draws:
    """Mirrored left to right, and turned by one to three quarters, each with its probability.

    Use it where a mirror image means the same, as with clothes; it turns digits into other signs.
    """
    return moving(_draw_flips(samples, rng, flip, quarter_turn))


def _draw_flips(samples: int, rng: Generator, flip: float, quarter_turn: float) -> Tensor:
    """Draw the maps of mirror images and quarter turns."""
    mirrored = _happens(samples, flip, rng)
    quarters = torch.randint(1, 4, (samples,), generator=rng, device=rng.device)
    return flip_maps(mirrored, torch.where(_happens(samples, quarter_turn, rng), quarters, 0))


def flip_maps(mirrored: Tensor, quarters: Tensor) -> Tensor:
    """From each pixel to the one of the same image before it was mirrored and then turned."""
    sign = torch.where(mirrored, -1.0, 1.0)
    cos, sin = torch.tensor(_TURNS, device=mirrored.device)[quarters].T
    zero = torch.zeros_like(sign)
    return _rows([sign * cos, -sign * sin, zero], [sin, cos, zero])


@AUGMENTS.register
def erasing(samples: int, rng: Generator, *, p: Share, scale: _Area, ratio: _Range, value: Share) -> Draws:
    """A rectangle of one grey, with a probability p [Zhong 2020] (`torchvision.transforms.RandomErasing`).

    `scale` is its share of the area, `ratio` its width over its height, `value` from black (0) to white (1).

    Use it where the network should not rely on a single part of the image.
    """
    return none(samples, rng)._replace(
        boxes=_erased_boxes(samples, rng, p, scale, ratio),
        values=torch.full((samples,), value * WHITE, device=rng.device),
    )


def _erased_boxes(
    samples: int, rng: Generator, p: float, scale: tuple[float, float], ratio: tuple[float, float]
) -> Tensor:
    """Rectangles of whole pixels anywhere in the image; empty where nothing is erased."""
    width, height = (side.round() for side in _sides(samples, rng, scale, ratio))
    left, top = ((_uniform(samples, 0, 1, rng) * (SIDE - side + 1)).floor() for side in (width, height))
    return torch.stack([left, top, left + width, top + height], 1) * _happens(samples, p, rng)[:, None]


@AUGMENTS.register
def custom(
    samples: int,
    rng: Generator,
    *,
    flip: Share,
    quarter_turn: Share,
    degrees: _Degrees,
    translate: Share,
    scale: _Range,
    shear: _Shear,
    resize: Annotated[int, Field(ge=SIDE)],
    crop_scale: _Area,
    crop_ratio: _Range,
    erase_p: Share,
    erase_scale: _Area,
    erase_ratio: _Range,
    erase_value: Share,
) -> Draws:
    """All of these in order: flip_rotate, affine, enlarged to `resize` pixels and cut to the centre, cropped, erased.

    Use it to combine several, or to set what the others leave out.
    """
    flips = _draw_flips(samples, rng, flip, quarter_turn)
    moves = affine(samples, rng, degrees=degrees, translate=translate, scale=scale, shear=shear).maps
    enlarged = torch.eye(2, 3, device=rng.device).expand(samples, 2, 3) * (SIDE / resize)
    crops = _draw_crops(samples, rng, crop_scale, crop_ratio)
    erased = erasing(samples, rng, p=erase_p, scale=erase_scale, ratio=erase_ratio, value=erase_value)
    return erased._replace(maps=chained(chained(chained(flips, moves), enlarged), crops))


def chained(outer: Tensor, inner: Tensor) -> Tensor:
    """Chain maps, [samples, 2, 3] each: first the inner, then the outer.

    A product of matrices is not used: its precision depends on the device's settings.
    """
    turned = (outer[:, :, :2, None] * inner[:, None]).sum(2)
    return turned + F.pad(outer[:, :, 2:], (2, 0))


def moving(maps: Tensor) -> Draws:
    """Draws that erase nothing."""
    return Draws(maps, maps.new_zeros(len(maps), 4), maps.new_zeros(len(maps)))


def _rows(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """Maps [samples, 2, 3] from their elements [samples]."""
    return torch.stack([*first, *second], 1).view(-1, 2, 3)


def _sides(
    samples: int, rng: Generator, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Widths and heights, at most the image's, of rectangles with drawn shares of its area and log-uniform ratios."""
    area = _uniform(samples, *scale, rng) * SIDE**2
    aspect = _uniform(samples, math.log(ratio[0]), math.log(ratio[1]), rng).exp()
    return (area * aspect).sqrt().clamp(max=SIDE), (area / aspect).sqrt().clamp(max=SIDE)


def _uniform(samples: int, low: float, high: float, rng: Generator) -> Tensor:
    """A number in [low, high) for each sample."""
    return torch.rand(samples, generator=rng, device=rng.device) * (high - low) + low


def _happens(samples: int, p: float, rng: Generator) -> Tensor:
    """Draw for each sample whether it happens, with probability p."""
    return torch.rand(samples, generator=rng, device=rng.device) < p
