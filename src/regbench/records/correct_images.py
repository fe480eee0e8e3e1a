"""Which test images a run classified rightly: a bit each, in a small file that executes nothing when it is read."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from regbench.records.files import CORRECT
from regbench.records.metrics import SELECTIONS

Rights = NDArray[np.bool_]


@dataclass(frozen=True)
class Correct:
    """A run's bits of both selections, eight images to a byte, the first one highest; how many, and of which set."""

    images: int
    test_set: str
    bits: Mapping[str, NDArray[np.uint8]]

    def of(self, select: str) -> Rights:
        """Of each test image whether it was classified rightly."""
        return np.unpackbits(self.bits[select], count=self.images).view(np.bool_)


def fingerprint(*parts: NDArray[Any]) -> str:
    """Tells test sets apart, by CRC-32 of their images and labels; it is no proof against forgery."""
    code = 0
    for part in parts:
        code = zlib.crc32(np.ascontiguousarray(part).data, code)
    return f"{code:08x}"


def encoded(rights: Mapping[str, Rights], test_set: str) -> bytes:
    """The file of a run: safetensors, `last` and `best_val` packed, their length and test set in its header.

    In one text of the header: of several safetensors does not keep the order, so that files would differ.
    """
    (images,) = {len(own) for own in rights.values()}
    return save({name: np.packbits(own) for name, own in rights.items()}, {"images": f"{images} {test_set}"})


def read(run: Path) -> Correct | None:
    """What a run's directory holds; None of an older version's run, and where the file is damaged."""
    try:
        with safe_open(run / CORRECT, "numpy") as file:
            images, test_set = file.metadata()["images"].split()
            found = Correct(int(images), test_set, {name: file.get_tensor(name) for name in SELECTIONS})
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError):  # of types that numpy lacks
        return None
    size = -(-found.images // 8)
    fits = all(own.dtype == np.uint8 and own.shape == (size,) for own in found.bits.values())
    return found if fits and found.images > 0 else None
