"""Tell which test images a run classified correctly; older runs kept one bit each. Reading executes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from regbench.guarded import check_regular
from regbench.records import predictions
from regbench.records.files import CORRECT
from regbench.records.metrics import SELECTIONS
from regbench.records.rows import Rights


class Correct(Protocol):
    """Which test images a run classified correctly: `images` is their number, `test_set` their fingerprint."""

    @property
    def images(self) -> int:
        """The number of test images."""

    @property
    def test_set(self) -> str:
        """The fingerprint of the test images."""

    def of(self, select: str) -> Rights:
        """Tell for each test image whether it was classified correctly."""


@dataclass(frozen=True)
class _Bits:
    """The bits of an older run for both selections: eight images to a byte, the first one highest."""

    images: int
    test_set: str
    bits: Mapping[str, NDArray[np.uint8]]

    def of(self, select: str) -> Rights:
        """Tell for each test image whether it was classified correctly."""
        return np.unpackbits(self.bits[select], count=self.images).view(np.bool_)


def read(run: Path) -> Correct | None:
    """Read what a run's directory holds, in either form; None where there is nothing, and where it is damaged."""
    return predictions.read(run) or _read_bits(run)


def _read_bits(run: Path) -> _Bits | None:
    try:
        check_regular(run / CORRECT)
        with safe_open(run / CORRECT, "numpy") as file:
            images, test_set = file.metadata()["images"].split()
            found = _Bits(int(images), test_set, {name: file.get_tensor(name) for name in SELECTIONS})
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError):  # numpy lacks some types
        return None
    size = -(-found.images // 8)
    fits = all(bits.dtype == np.uint8 and bits.shape == (size,) for bits in found.bits.values())
    return found if fits and found.images > 0 else None
