"""A user's own images: a folder with train/ and test/, each with a folder of images per class."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from regbench.config.location import user_path
from regbench.errors import UserError
from regbench.guarded import check_regular
from regbench.images import Images
from regbench.text import file_name

_MOST_BYTES = 2**30  # of an image
_PARTS = ("train", "test")
_READING = " 2"  # pixels of the same file that another version read otherwise are other data
SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # torchvision's
_NOT_THE_USERS = ("__MACOSX", "@eaDir")  # folders that systems leave beside images


@dataclass(frozen=True)
class _Part:
    """The classes of train/ or test/ in alphabetical order, and its files, each with the place of its class."""

    root: Path
    classes: list[str]
    files: list[tuple[str, int]]

    def relative(self, name: str) -> str:
        """Return a file's path below train/ or test/."""
        return Path(name).relative_to(self.root).as_posix()


def read(path: str) -> Images:
    """Read all images, resized to 28×28 grey; a label is the place of the folder in alphabetical order.

    Raises:
        UserError: not such a folder; a file that is no image; images that all look alike.
    """
    from regbench.data import picture  # Pillow takes a tenth of a second to import

    parts = listed(path)
    try:
        pictures = [picture.read(name) for part in parts.values() for name, _ in part.files]
    except UserError as error:
        raise UserError(f"data.path={file_name(path)}: {error}") from None
    images = np.split(picture.as_bytes(pictures), [len(parts["train"].files)])
    tensors = []
    for (name, part), of_part in zip(parts.items(), images, strict=True):
        _check_that_they_differ(path, name, of_part)
        tensors += [torch.from_numpy(of_part.copy()), torch.tensor([label for _, label in part.files])]
    return Images(*tensors)


def _check_that_they_differ(path: str, part: str, images: NDArray[np.uint8]) -> None:
    if (images == images[0]).all():
        raise UserError(f"data.path={file_name(path)}: all {len(images)} images in {part} are the same picture")


@once
def listed(path: str) -> dict[str, _Part]:
    """The files of train/ and test/ and their classes, in the order of `torchvision.datasets.ImageFolder`.

    Hidden files and folders are skipped, and what file systems leave beside images.

    Raises:
        UserError: a folder that is missing or has no images; other classes in test/ than in train/, or only one.
    """
    root = user_path("data.path", path)
    try:
        parts = {name: _part(root / name) for name in _PARTS}
    except UserError as error:
        raise UserError(f"data.path={file_name(path)}: {error}") from None
    train, test = (set(part.classes) for part in parts.values())
    if train != test:
        raise UserError(
            f"data.path={file_name(path)}: train and test must have the same classes: {_some(train ^ test)} in one only"
        )
    if len(train) < 2:
        raise UserError(f"data.path={file_name(path)}: must have 2 classes or more: only {_some(train)}")
    return parts


def _part(root: Path) -> _Part:
    """List train/ or test/.

    Raises:
        UserError: it is missing or cannot be read; it has no classes, or one without images.
    """
    if not root.is_dir():
        raise UserError(f"must hold train and test, with a folder per class: no {file_name(root)}")
    try:
        classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and _is_the_users(entry.name))
        files = [(name, label) for label, folder in enumerate(classes) for name in _images(root / folder)]
    except OSError as error:
        raise UserError(f"{file_name(error.filename)}: {error.strerror}") from None
    if not classes:
        raise UserError(f"no class folder in {file_name(root)}: put the images of each class into a folder there")
    if empty := set(range(len(classes))) - {label for _, label in files}:
        names = _some({f"{root.name}/{classes[label]}" for label in empty})
        raise UserError(f"no images in {names}: must hold {', '.join(SUFFIXES)} files")
    return _Part(root, classes, files)


def _images(folder: Path) -> Iterator[str]:
    """Find the images of a class, in folders of any depth.

    Raises:
        OSError: a folder cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

    inside = len(folder.parts)
    for place, _, names in sorted(os.walk(folder, onerror=fail, followlinks=True)):
        if all(map(_is_the_users, Path(place).parts[inside:])):
            for name in sorted(names):
                if name.lower().endswith(SUFFIXES) and _is_the_users(name):
                    yield f"{place}{os.sep}{name}"


def _is_the_users(name: str) -> bool:
    return not name.startswith(".") and name not in _NOT_THE_USERS


@once
def digest(path: str) -> str:
    """Sha256 over the names and contents of all images, and over how those are read that are not plain.

    Raises:
        UserError: as `listed`; a file cannot be read.
    """
    from regbench.data import picture

    whole = hashlib.sha256()
    for name, part in listed(path).items():
        for file, _ in part.files:
            content = _content(path, file)  # first: it refuses a pipe, which would block
            reading = "" if picture.is_plain(file) else _READING
            whole.update(os.fsencode(f"{name}/{part.relative(file)} {content}{reading}\n"))
    return whole.hexdigest()


def _content(path: str, name: str) -> str:
    try:
        check_regular(Path(name), _MOST_BYTES)  # a pipe would block
        with Path(name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"data.path={file_name(path)}: {file_name(name)}: {error.strerror}") from None


def _some(names: set[str]) -> str:
    return ", ".join(map(file_name, sorted(names)[:5])) + (", …" if len(names) > 5 else "")
