"""Keep which class a run gives to each test image, beside the right one. Reading the file executes nothing."""

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
from regbench.records.files import PREDICTED
from regbench.records.metrics import SELECTIONS
from regbench.records.rows import Classes, Rights

_LABELS = "labels"
_IMAGES = "images"  # the one text of the header: safetensors does not keep the order of several


@dataclass(frozen=True)
class Answers:
    """What test images there are: their fingerprint, and the right class of each."""

    test_set: str
    labels: Classes


@dataclass(frozen=True)
class Predictions:
    """The class that a run gives to each test image, for both selections."""

    answers: Answers
    classes: Mapping[str, Classes]

    @property
    def images(self) -> int:
        """The number of test images."""
        return len(self.answers.labels)

    @property
    def test_set(self) -> str:
        """The fingerprint of the test images."""
        return self.answers.test_set

    def of(self, select: str) -> Rights:
        """Tell for each test image whether it was classified correctly."""
        return np.equal(self.classes[select], self.answers.labels)


def fingerprint(*parts: NDArray[Any]) -> str:
    """Compute what tells test sets apart: CRC-32 of images and labels. It is no proof against forgery."""
    code = 0
    for part in parts:
        code = zlib.crc32(np.ascontiguousarray(part).data, code)
    return f"{code:08x}"


def answers(images: NDArray[Any], labels: NDArray[Any]) -> Answers:
    """Describe a test set: images and labels as they are in memory."""
    return Answers(fingerprint(images, labels), labels)


def encoded(classes: Mapping[str, Classes], known: Answers) -> bytes:
    """Make the file of a run: safetensors with `last`, `best_val` and `labels`, a byte for each image.

    More than 256 classes take two bytes.
    """
    tensors = {**classes, _LABELS: known.labels}
    size = np.min_scalar_type(max(int(tensor.max()) for tensor in tensors.values()))
    return save(
        {name: np.ascontiguousarray(tensor, size) for name, tensor in tensors.items()}, {_IMAGES: known.test_set}
    )


def read(run: Path) -> Predictions | None:
    """Read what a run's directory holds; None for a run of an older version, and where the file is damaged."""
    try:
        check_regular(run / PREDICTED)
        with safe_open(run / PREDICTED, "numpy") as file:
            known = Answers(str(file.metadata()[_IMAGES]), file.get_tensor(_LABELS))
            found = Predictions(known, {name: file.get_tensor(name) for name in SELECTIONS})
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError):  # numpy lacks some types
        return None
    tensors = [known.labels, *found.classes.values()]
    fits = all(tensor.dtype in (np.uint8, np.uint16) and tensor.shape == (found.images,) for tensor in tensors)
    return found if fits and found.images > 0 else None
