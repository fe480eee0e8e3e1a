"""One picture file as 28×28 grey pixels: upright, on a white background, with all of its bits."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from regbench.errors import UserError
from regbench.guarded import check_regular
from regbench.images import SIDE, WHITE
from regbench.text import file_name

_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP")  # Pillow opens others by other programs: EPS by Ghostscript
_MOST_BYTES = 2**30
_BILINEAR = Image.Resampling.BILINEAR  # antialiased, as torchvision resizes
_DEPTHS = (8, 10, 12, 14, 16, 24, 31, 32)  # bits of a pixel in files with more than 8 bits
_WHITE_16 = 2**16 - 1


@dataclass(frozen=True)
class Picture:
    """Grey pixels [28, 28]: uint8, or float32 from a file with more than 8 bits, whose largest pixel is `largest`."""

    pixels: NDArray[Any]
    largest: float | None = None  # None: 8 bits
    floating: bool = False  # whether the file holds fractions


def read(name: str) -> Picture:
    """Read a file, turn it upright as its EXIF tag says, put it on white where it is transparent, and resize it.

    Raises:
        UserError: the file is no image, a damaged or a too large one, or nothing of it is left on white.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            check_regular(Path(name), _MOST_BYTES)  # a pipe would block
            with Image.open(name, formats=_FORMATS) as image:
                picture = _picture(ImageOps.exif_transpose(image))
    except Exception as error:  # Pillow's formats raise ValueError, SyntaxError, struct.error and more
        raise UserError(f"{file_name(name)} cannot be read as an image: {_reason(error)}") from None
    for warning in caught:
        if not issubclass(warning.category, Image.DecompressionBombWarning):  # a large image is no mistake
            warnings.warn(f"{file_name(name)}: {warning.message}", stacklevel=2)
    return picture


def is_plain(name: str) -> bool:
    """Tell whether a file has 8 bits, no transparency and lies upright: the first versions read others otherwise.

    Of a file that cannot be read as an image, too: `read` says why.
    """
    try:
        with warnings.catch_warnings(), Image.open(name, formats=_FORMATS) as image:
            warnings.simplefilter("ignore")
            upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
            return upright and not image.has_transparency_data and not image.mode.startswith(("I", "F"))
    except Exception:
        return True


def _reason(error: Exception) -> str:
    """Say in one line what Pillow found."""
    if isinstance(error, UnidentifiedImageError):
        return "no format that is known, or damaged"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels: save it smaller"
    return " ".join(str(error).split()) or type(error).__name__


def _picture(image: Image.Image) -> Picture:
    if image.mode.startswith(("I", "F")):
        return _deep(image)
    grey = _on_white(image) if image.has_transparency_data else image.convert("L")
    return Picture(np.array(grey.resize((SIDE, SIDE), _BILINEAR)))


def _on_white(image: Image.Image) -> Image.Image:
    """Make a transparent image grey, on a white background.

    Raises:
        ValueError: what can be seen is white too.
    """
    layers = image.convert("RGBA")
    grey = Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("L")
    if _varies(layers.getchannel("A")) and not _varies(grey):
        raise ValueError("it is white on a transparent background, which is read as white: save it on a dark one")
    return grey


def _varies(image: Image.Image) -> bool:
    darkest, brightest = image.getextrema()
    return darkest != brightest


def _deep(image: Image.Image) -> Picture:
    """Keep the numbers of a file with more than 8 bits: what is white is known when all files are read.

    Raises:
        ValueError: a pixel is below 0 or no finite number.
    """
    pixels = np.array(image, dtype=np.float32)
    if isinstance(clear := image.info.get("transparency"), int):
        pixels[pixels == clear] = _WHITE_16
    if not (np.isfinite(pixels).all() and pixels.min() >= 0):
        raise ValueError(f"pixels must be finite and from 0 up: {pixels.min():g} to {pixels.max():g}")
    small = Image.fromarray(pixels).resize((SIDE, SIDE), _BILINEAR)
    return Picture(np.array(small), float(pixels.max()), floating=image.mode == "F")


def white_level(floating: bool, largest: float) -> float:
    """Find the number of a white pixel: 1 for fractions, else the largest of the fewest bits that hold all pixels.

    Cameras and scanners keep 10, 12 or 14 bits in files of 16, and other programs 8 or 16 bits in files of 32.
    """
    if floating and largest <= 1:
        return 1.0
    return float(next((2**bits - 1 for bits in _DEPTHS if largest <= 2**bits - 1), largest))


def as_bytes(pictures: list[Picture]) -> NDArray[np.uint8]:
    """Scale all pictures of a data set to [n, 28, 28] from 0 to 255: one white level for each kind of deep files."""
    levels = {}
    for floating in (False, True):
        largest = [p.largest for p in pictures if p.largest is not None and p.floating == floating]
        levels[floating] = white_level(floating, max(largest, default=0.0))
    return np.stack([p.pixels if p.largest is None else _scaled(p.pixels, levels[p.floating]) for p in pictures])


def _scaled(pixels: NDArray[Any], white: float) -> NDArray[np.uint8]:
    return np.rint(pixels * (WHITE / white)).clip(0, WHITE).astype(np.uint8)
