"""The data sets that torchvision can download, kept as the gzipped files that are published."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from http.client import HTTPException
from io import StringIO
from pathlib import Path
from typing import Any

from filelock import FileLock

from regbench.data import idx
from regbench.errors import UserError
from regbench.images import Images

_CLASSES = {"fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}
_PATIENCE = 30  # seconds to wait for a silent server; urllib by itself waits forever
_FAILURES = (OSError, RuntimeError, HTTPException)  # no network, no space; a file that is not the expected one


def source(name: str) -> Any:
    """Torchvision's class, which lists a data set's files, their md5 digests and where to get them."""
    from torchvision import datasets  # 1.5 s, which data=mnist need not pay

    return getattr(datasets, _CLASSES[name])


def has(name: str) -> bool:
    """Whether a data set is one that can be downloaded."""
    return name in _CLASSES


def is_kept(name: str, cache: Path) -> bool:
    """Whether the cache has all files of a data set. Their digests are checked when they are read."""
    dataset = source(name)
    return all((cache / dataset.__name__ / "raw" / file).is_file() for file, _ in dataset.resources)


def read(name: str, cache: Path) -> Images:
    """Read a data set from its files in the cache, and check their digests every time.

    Only what is missing or damaged is downloaded, by one process at a time; files put there by hand serve as well.

    Raises:
        UserError: a file cannot be downloaded or kept.
    """
    from torchvision.datasets.utils import check_integrity

    dataset = source(name)
    folder: Path = cache / dataset.__name__ / "raw"
    if not all(check_integrity(folder / file, md5) for file, md5 in dataset.resources):
        sys.stderr.write(f"downloading {name} to {folder}\n")
        try:
            _download(dataset, folder)
        except _FAILURES as error:
            raise UserError(_by_hand(name, dataset, folder, error)) from None
    return idx.read(lambda file: (folder / file).read_bytes())


def _download(dataset: Any, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"), _patient_and_tidy():
        for file, md5 in dataset.resources:
            _from_any(dataset.mirrors, file, md5, folder)


def _from_any(mirrors: list[str], file: str, md5: str, folder: Path) -> None:
    """Download one file, unless it is there and whole, from the first mirror that has it.

    Torchvision's class is not used: it unpacks a second copy and later trusts that copy unchecked.
    """
    from torchvision.datasets.utils import download_url

    for mirror in mirrors:
        try:
            download_url(mirror + file, folder, file, md5)
        except _FAILURES:
            if mirror == mirrors[-1]:
                raise
        else:
            return


@contextmanager
def _patient_and_tidy() -> Iterator[None]:
    """Give up on a silent server, and show torchvision's moving percentages on terminals only."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        with redirect_stderr(sys.stderr if sys.stderr.isatty() else StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(before)


def _by_hand(name: str, dataset: Any, folder: Path, error: Exception) -> str:
    """What failed, and what to do without a network."""
    files = ", ".join(file for file, _ in dataset.resources)
    reason = " ".join(str(getattr(error, "reason", error)).split())
    return f"data={name}: cannot download ({reason}). By hand: put {files} from {dataset.mirrors[0]} into {folder}"
