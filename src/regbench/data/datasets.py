"""The data sets by name, each read once per process."""

import hashlib
from collections.abc import Callable
from functools import cache as once
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

from regbench.config.registry import Option, Registry
from regbench.data import download, idx
from regbench.data import image_folder as folder
from regbench.data.unpacked import MNIST_SHA256, embedded
from regbench.images import Images

CLASSES = 10  # of every data set but an image_folder

DATASETS: Registry[Callable[..., Images]] = Registry("data")


@DATASETS.register
def mnist(cache: Path) -> Images:
    """Handwritten digits, in the package itself [LeCun 1998].

    Use it first: there is nothing to download; good networks differ by tenths of a percent, so take several seeds.

    Raises:
        UserError: a file of the package is damaged.
    """
    del cache
    return idx.read(embedded)


@DATASETS.register
def fashion_mnist(cache: Path) -> Images:
    """Photographs of clothes, downloaded once [Xiao 2017] (`torchvision.datasets.FashionMNIST`).

    Use it where MNIST is too easy to tell techniques apart.

    Raises:
        UserError: not in the cache, and the download fails.
    """
    return download.read("fashion_mnist", cache)


@DATASETS.register
def kmnist(cache: Path) -> Images:
    """Cursive Japanese characters, downloaded once [Clanuwat 2018] (`torchvision.datasets.KMNIST`).

    Use it to see whether what holds for digits holds for other handwriting.

    Raises:
        UserError: not in the cache, and the download fails.
    """
    return download.read("kmnist", cache)


@DATASETS.register
def image_folder(cache: Path, *, path: Annotated[str, Field(min_length=1)]) -> Images:
    """Images of your own in `path`/train/CLASS/ and `path`/test/CLASS/ (`torchvision.datasets.ImageFolder`).

    Resized to 28×28 grey; the model gets as many outputs as there are classes.

    Use it for images that can be told apart at 28×28 pixels without colour.

    Raises:
        UserError: not such a folder; a file that is no image.
    """
    del cache
    return folder.read(path)


def digest(name: str, path: str | None = None) -> str:
    """Sha256 over the digests that a data set's files must have; only an image_folder's needs the files."""
    if path is not None:
        return folder.digest(path)
    known = MNIST_SHA256.values() if name == "mnist" else [md5 for _, md5 in download.source(name).resources]
    return hashlib.sha256("".join(known).encode()).hexdigest()


def is_here(name: str, cache: Path) -> bool:
    """Whether a data set needs no download."""
    return download.is_kept(name, cache) if download.has(name) else True


def class_count(option: Option) -> int:
    """The number of classes to tell apart.

    Raises:
        UserError: the folder of an image_folder does not fit.
    """
    path = option.args.get("path")
    return CLASSES if path is None else len(folder.listed(path)["train"].classes)


@once
def load(name: str, cache: Path, path: str | None = None) -> Images:
    """A data set in main memory, read at the first call of the process.

    Raises:
        UserError: its files are damaged, or cannot be downloaded.
    """
    return DATASETS[name](cache) if path is None else DATASETS[name](cache, path=path)


@once
def load_on(device: torch.device, name: str, cache: Path, path: str | None = None) -> Images:
    """A data set on a device: one copy for all runs of the process."""
    return Images(*(tensor.to(device) for tensor in vars(load(name, cache, path)).values()))
