"""Look at the lock of a run: who holds it, and why it cannot be taken. Makes no file."""

import errno
from pathlib import Path

from filelock import FileLock, Timeout

from regbench.records.files import LOCK

_NO_LOCKS = (errno.EOPNOTSUPP, errno.ENOLCK)


def is_locked(path: Path) -> bool:
    """Tell whether another process holds the lock of the run. Makes no file.

    Where the lock cannot be opened or taken it is not held, as far as can be known: `lock_fault` says why.
    """
    return isinstance(_refusal(path), Timeout)


def lock_fault(path: Path) -> str | None:
    """Say why the lock of a run cannot be taken by anyone here; None where it can, or another process holds it."""
    refusal = _refusal(path)
    return None if refusal is None or isinstance(refusal, Timeout) else cannot_lock(path, refusal)


def cannot_lock(path: Path, error: OSError) -> str:
    """Describe a lock that cannot be taken for another reason than that it is held."""
    cure = ": the file system has no locks. Name a folder on another by runtime.dir" if error.errno in _NO_LOCKS else ""
    return f"{path / LOCK} cannot be locked: {error.strerror}{cure}"


def _refusal(path: Path) -> OSError | None:
    """Try to lock a run for a moment; return what prevents it: a Timeout if another process holds the lock."""
    try:
        if (path / LOCK).exists():  # a folder cannot be locked either
            with FileLock(path / LOCK, blocking=False):
                return None
    except OSError as error:  # Timeout is one
        return error
    return None
