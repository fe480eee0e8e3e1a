"""Remove run directories: whole or not at all, and never one that a process is training."""

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from regbench.errors import UserError
from regbench.records import queued
from regbench.records.files import CONFIG, LOCK, RUN, TEMPORARY
from regbench.records.listing import Entry, Listing, listing
from regbench.records.locks import is_locked
from regbench.records.run_dir import WRITTEN
from regbench.records.run_json import content_of
from regbench.text import file_name

_FILES = (*WRITTEN, CONFIG, LOCK)
_OURS = {*_FILES, *map(TEMPORARY.format, _FILES)}
_REMOVED = ".removed-{}-{}"  # the name of a run directory while its files are removed: no sweep finds it


def chosen(paths: Sequence[Path], statuses: Sequence[str], where: Sequence[str]) -> Listing:
    """Choose the runs to remove: those in the directories of runs and studies, and with a filter those below any other.

    Raises:
        UserError: a directory does not exist, or is neither a run nor a study while there is no filter; a wrong filter.
    """
    runs = listing(paths)
    if not (statuses or where):
        for path in paths:
            _check_named(path, runs)
    return runs.only(statuses, where)


def _check_named(path: Path, listing: Listing) -> None:
    """Raise UserError unless the path is a run or a study, which holds runs and nothing else."""
    below = [entry.path for entry in listing.entries if path in (entry.path, *entry.path.parents)]
    for name, reason in listing.unreadable.items():
        if path in Path(name).parents:
            raise UserError(f"{name} {reason}: regbench removes only what it can read")
    if not below:
        raise UserError(f"{path}: is neither a run nor a folder of runs")
    if any(path not in (run, run.parent) for run in below):
        raise UserError(
            f"{path} is a folder of studies, not a study or a run. "
            "Choose some runs with --status or --where, or name the studies"
        )


def size(entries: Iterable[Entry]) -> int:
    """Add up the sizes of their files, in bytes."""
    return sum(_size(entry.path) for entry in entries)


def _size(path: Path) -> int:
    try:
        with os.scandir(path) as found:
            return sum(file.stat(follow_symlinks=False).st_size for file in found)
    except OSError:
        return 0


def to_stay(entry: Entry, roots: Sequence[Path] = ()) -> str | None:
    """Say why a run would be left by `remove`, as far as can be seen without its lock; None for one that would go."""
    try:
        reason = _linked(entry.path, roots) or _reason_to_stay(entry)
    except OSError as error:
        return error.strerror or str(error)
    return reason or ("a process is training it" if is_locked(entry.path) else None)


def remove(entry: Entry, roots: Sequence[Path] = ()) -> str | None:
    """Remove a run's directory, found below `roots`. Returns None, or the reason why it is left as it was."""
    path = entry.path
    if reason := _linked(path, roots):
        return reason
    if not (path / RUN).is_file():  # the lock would make the directory again
        return None
    try:
        with FileLock(path / LOCK, blocking=False):
            reason = _reason_to_stay(entry)
            if reason is None:
                renamed = path.with_name(_REMOVED.format(path.name, os.getpid()))
                path.rename(renamed)  # under the lock: a process that comes now finds no run, and begins another
                (renamed / RUN).unlink()  # first, so that what is left of an interrupted removal is no run either
                shutil.rmtree(renamed)
            return reason
    except Timeout:
        return "a process is training it"
    except FileNotFoundError:  # someone else has removed it
        return None
    except OSError as error:
        return error.strerror or str(error)


def _linked(path: Path, roots: Sequence[Path]) -> str | None:
    """Say that a run is a link, or stands behind one: its files are elsewhere, where nobody asked to remove any.

    The folder of all runs may be a link, a study or a run may not.
    """
    if path.is_symlink():
        return "is a link"
    below = [folder for folder in path.parents if any(root in folder.parents for root in roots)]
    link = next((folder for folder in (path.parent, *below) if folder.is_symlink()), None)
    return f"is behind a link: {link}. Name the folder that it leads to" if link else None


def remove_empty_studies(entries: Iterable[Entry]) -> None:
    """Remove the folders in which the removed runs were, if nothing else is in them."""
    for folder in dict.fromkeys(entry.path.parent for entry in entries):
        queued.remove_dead(folder)
        with suppress(OSError):  # it holds something, or is the current folder
            folder.rmdir()


def _reason_to_stay(entry: Entry) -> str | None:
    """Look again under the lock: the run may have changed since it was listed."""
    if hash(content_of(entry.path)) != entry.content:
        return "changed meanwhile"
    if any(inner.is_dir() and not inner.is_symlink() for inner in entry.path.iterdir()):
        return "holds other folders"
    others = (name for name in sorted(os.listdir(entry.path)) if name not in _OURS)  # noqa: PTH208 - names that are no text
    other = next(others, None)
    return f"holds {file_name(other)}, which regbench has not written" if other else None
