"""Classify image files with the network of a run."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from regbench.data.image_folder import SUFFIXES
from regbench.errors import UserError
from regbench.experiment.trained import Trained
from regbench.images import WHITE
from regbench.tables.answers import Answer

Invert = Literal["auto", "yes", "no"]
_AT_ONCE = 1000  # images


def predict(model: Trained, names: Sequence[str], invert: Invert = "auto") -> list[Answer]:
    """Classify image files, and those in folders, each resized to 28×28 grey.

    Args:
        model: the network.
        names: files and folders.
        invert: whether pixels change from dark on light to light on dark, as the images of MNIST are; `auto`: those
            whose border is more light than dark.

    Raises:
        UserError: there is no such file, one is no image, or a folder holds none.
    """
    from regbench.data import picture

    files = [file for name in names for file in _files(Path(name))]
    pixels = picture.as_bytes([picture.read(file) for file in files])
    turned = np.array([invert == "yes" or (invert == "auto" and _is_light(image)) for image in pixels])
    seen = np.where(turned[:, None, None], WHITE - pixels, pixels).astype(np.uint8)
    shares = torch.cat([model(part).double().softmax(1) for part in torch.from_numpy(seen).split(_AT_ONCE)])
    rows = zip(files, shares, turned, seen, strict=True)
    return [Answer(file, _ranking(share, model.classes), bool(light), image) for file, share, light, image in rows]


def _files(path: Path) -> Iterator[str]:
    """Find the images of a folder, in those below it too; a file is itself."""
    if not path.is_dir():
        yield str(path)
        return
    found = [
        os.fspath(file)
        for file in sorted(path.rglob("*"))
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    ]
    if not found:
        raise UserError(f"{path}: holds no images: {', '.join(SUFFIXES)}")
    yield from found


def _is_light(image: NDArray[Any]) -> bool:
    """Tell whether the border of an image is more light than dark: it shows the background."""
    border = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
    return float(np.median(border)) > WHITE / 2


def _ranking(shares: torch.Tensor, classes: Sequence[str]) -> list[tuple[str, float]]:
    order = shares.argsort(descending=True).tolist()
    return [(classes[place], float(shares[place])) for place in order]
