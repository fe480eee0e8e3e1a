"""The data sets that torchvision knows where to get, kept as the gzipped files they are published as."""

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

CLASSES = {"fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}
PATIENCE = 30  # seconds to wait for a silent server; urllib by itself waits forever
FAILURES = (OSError, RuntimeError, HTTPException)  # no network, no space; a file that is not the expected one


def source(name: str) -> Any:
    """Torchvision's class, which lists a data set's files, their md5 digests and where to get them."""
    from torchvision import datasets  # 1.5 s, which data=mnist need not pay

    return getattr(datasets, CLASSES[name])


def read(name: str, cache: Path) -> Images:
    """The data set from its files in the cache, whose digests are checked every time.

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
        except FAILURES as error:
            raise UserError(_by_hand(name, dataset, folder, error)) from None
    return idx.read(lambda file: (folder / file).read_bytes())


def _download(dataset: Any, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"), _patient_and_tidy():
        for file, md5 in dataset.resources:
            _from_any(dataset.mirrors, file, md5, folder)


def _from_any(mirrors: list[str], file: str, md5: str, folder: Path) -> None:
    """Download one file, unless it is there and whole, from the first mirror that has it.

    Not by torchvision's class, which unpacks a second copy beside it and from then on trusts that copy unchecked.
    """
    from torchvision.datasets.utils import download_url

    for mirror in mirrors:
        try:
            download_url(mirror + file, folder, file, md5)
        except FAILURES:
            if mirror == mirrors[-1]:
                raise
        else:
            return


@contextmanager
def _patient_and_tidy() -> Iterator[None]:
    """Give up on a silent server, and keep torchvision's moving percentages to terminals."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        with redirect_stderr(sys.stderr if sys.stderr.isatty() else StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(before)


def _by_hand(name: str, dataset: Any, folder: Path, error: Exception) -> str:
    """What failed, and how to do without a network."""
    files = ", ".join(file for file, _ in dataset.resources)
    reason = " ".join(str(getattr(error, "reason", error)).split())
    return f"data={name}: cannot download ({reason}). By hand: put {files} from {dataset.mirrors[0]} into {folder}"
