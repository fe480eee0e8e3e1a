"""Keep which test images a run classified correctly: one bit each. Reading the file executes nothing."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from regbench.guarded import check_regular
from regbench.records.files import CORRECT
from regbench.records.metrics import SELECTIONS
from regbench.records.rows import Rights


@dataclass(frozen=True)
class Correct:
    """The bits of a run for both selections: eight images to a byte, the first one highest.

    `images` is their number, `test_set` the fingerprint of the images.
    """

    images: int
    test_set: str
    bits: Mapping[str, NDArray[np.uint8]]

    def of(self, select: str) -> Rights:
        """Tell for each test image whether it was classified correctly."""
        return np.unpackbits(self.bits[select], count=self.images).view(np.bool_)


def fingerprint(*parts: NDArray[Any]) -> str:
    """Compute what tells test sets apart: CRC-32 of images and labels. It is no proof against forgery."""
    code = 0
    for part in parts:
        code = zlib.crc32(np.ascontiguousarray(part).data, code)
    return f"{code:08x}"


def encoded(rights: Mapping[str, Rights], test_set: str) -> bytes:
    """Make the file of a run: safetensors with `last` and `best_val` packed; their length and test set in its header.

    The header gets one text: safetensors does not keep the order of several, so equal runs would differ in their files.
    """
    (images,) = {len(bits) for bits in rights.values()}
    return save({name: np.packbits(bits) for name, bits in rights.items()}, {"images": f"{images} {test_set}"})


def read(run: Path) -> Correct | None:
    """Read what a run's directory holds; None for a run of an older version, and where the file is damaged."""
    try:
        check_regular(run / CORRECT)
        with safe_open(run / CORRECT, "numpy") as file:
            images, test_set = file.metadata()["images"].split()
            found = Correct(int(images), test_set, {name: file.get_tensor(name) for name in SELECTIONS})
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError):  # numpy lacks some types
        return None
    size = -(-found.images // 8)
    fits = all(bits.dtype == np.uint8 and bits.shape == (size,) for bits in found.bits.values())
    return found if fits and found.images > 0 else None
