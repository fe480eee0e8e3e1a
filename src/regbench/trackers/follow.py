"""`python -m regbench.trackers.follow KIND FOLDER…`: tell a tracker what is new of runs until standard input ends."""

import os
import sys
import threading
from pathlib import Path

from regbench.trackers.export import export, store
from regbench.trackers.store import Store

_SECONDS = 10  # between two looks


def main(kind: str, *folders: str) -> None:
    """Look again and again, and once more at the end: it ends with the process that holds the other end."""
    if hasattr(os, "nice"):
        os.nice(10)  # the training comes first
    over = threading.Event()
    threading.Thread(target=_wait, args=[over], daemon=True).start()
    opened = store(kind, None)
    while not over.wait(_SECONDS):
        _look(opened, folders)
    _look(opened, folders)


def _wait(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


def _look(opened: Store, folders: tuple[str, ...]) -> None:
    export([path for path in map(Path, folders) if path.is_dir()], opened)


if __name__ == "__main__":
    main(*sys.argv[1:])
