"""A user's own images: a folder with train/ and test/, each with a folder of images per class."""

import hashlib
from functools import cache as once
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from regbench.errors import UserError
from regbench.images import SIDE, Images

if TYPE_CHECKING:
    from PIL.Image import Image
    from torchvision.datasets import ImageFolder


_PARTS = ("train", "test")


def read(path: str) -> Images:
    """Read all images, resized to 28×28 grey; a label is the place of the folder in alphabetical order.

    Raises:
        UserError: not such a folder; a file that is no image.
    """
    (train_images, train_labels), (test_images, test_labels) = (_tensors(path, part) for part in listed(path).values())
    return Images(train_images, train_labels, test_images, test_labels)


@once
def listed(path: str) -> "dict[str, ImageFolder]":
    """The files of train/ and test/ and their classes, as `torchvision.datasets.ImageFolder` finds them.

    Raises:
        UserError: a folder that is missing or has no images; other classes in test/ than in train/, or only one.
    """
    from torchvision.datasets import ImageFolder

    root, folders = Path(path).expanduser(), {}
    for part in _PARTS:
        if not (root / part).is_dir():
            raise UserError(f"data.path={path}: must hold train and test, with a folder per class: no {root / part}")
        try:
            folders[part] = ImageFolder(str(root / part), loader=_grey)
        except (FileNotFoundError, OSError) as error:
            raise UserError(f"data.path={path}: {' '.join(str(error).split())}") from None
    train, test = (set(folders[part].classes) for part in _PARTS)
    if train != test:
        raise UserError(
            f"data.path={path}: train and test must have the same classes: {_some(train ^ test)} in one only"
        )
    if len(train) < 2:
        raise UserError(f"data.path={path}: must have 2 classes or more: only {_some(train)}")
    return folders


@once
def digest(path: str) -> str:
    """Sha256 over the names and contents of all images; raises what `listed` raises."""
    whole = hashlib.sha256()
    for part, files in listed(path).items():
        for name, _ in files.samples:
            with Path(name).open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{part}/{Path(name).relative_to(files.root).as_posix()} {content}\n".encode())
    return whole.hexdigest()


def _grey(name: str) -> "Image":
    from PIL import Image

    with Image.open(name) as image:
        return image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)  # as torchvision resizes: antialiased


def _tensors(path: str, files: "ImageFolder") -> tuple[Tensor, Tensor]:
    images = torch.empty(len(files.samples), SIDE, SIDE, dtype=torch.uint8)
    for image, (name, _) in zip(images, files.samples, strict=True):
        try:
            pixels: Any = np.asarray(files.loader(name))
        except OSError as error:
            raise UserError(f"data.path={path}: {name} cannot be read as an image: {error}") from None
        image.copy_(torch.from_numpy(pixels.copy()))
    return images, torch.tensor(files.targets)


def _some(names: set[str]) -> str:
    return ", ".join(sorted(names)[:5]) + (", …" if len(names) > 5 else "")
