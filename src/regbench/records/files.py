"""The files of a run directory: names, states, and how they are read and written."""

import errno
import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

FORMAT = 1
RUN, CONFIG, METRICS, LOG = "run.json", "config.yaml", "metrics.csv", "train.log"
LAYERS, PRETRAIN = "layers.csv", "pretrain.csv"
TEMPORARY = ".{}.tmp"
CHECKPOINT, MODEL, CORRECT, LOCK = "checkpoint.pt", "model.safetensors", "correct.safetensors", ".lock"
EARLIER = "checkpoint.before.pt"  # the checkpoint before, for a run whose last one is damaged
MOST_BYTES = 64 * 2**20  # of a file that is read whole: a hundred times what regbench writes

Status = Literal["running", "completed", "diverged", "interrupted", "failed"]
# The status in run.json, and `killed` for a running one whose process is gone: the same command resumes that run.
State = Literal["completed", "diverged", "running", "interrupted", "killed", "failed"]
STATES: tuple[State, ...] = get_args(State)
FINAL: tuple[Status, ...] = ("completed", "diverged")
# How the error of a run begins that its search gave up; its status is interrupted.
PRUNED_ERROR = "pruned by the search"

# Opening a pipe does not wait for its other end. Windows lacks some of these, and links that anyone may make.
_GUARDED = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NONBLOCK", "O_BINARY"))


def read_bounded(path: Path, most: int = MOST_BYTES) -> bytes:
    """Read a regular file that others may have left: a pipe would block, a device never ends.

    Raises:
        OSError: it cannot be read, is no regular file, or has more than `most` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | _GUARDED)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"has more than {most:,} bytes", str(path))
    return content


def check_regular(path: Path, most: int = MOST_BYTES) -> None:
    """Raise unless a file that another library opens by its name is a regular one.

    Raises:
        OSError: it is missing, is no regular file, or has more than `most` bytes.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    if found.st_size > most:
        raise OSError(errno.EFBIG, f"has more than {most:,} bytes", str(path))


def append(path: Path, content: bytes) -> None:
    """Append to a regular file, which is made if there is none; a link is not followed.

    Raises:
        OSError: it cannot be written, is a link, or is no regular file.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | _GUARDED
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "is a link, which is not followed", str(path)) from None
        raise
    with os.fdopen(descriptor, "ab") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        file.write(content)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file so that a reader, a crash or a power cut sees all of the old content or all of the new."""
    temporary = path.with_name(TEMPORARY.format(path.name))
    try:
        temporary.unlink(missing_ok=True)  # of a process that was killed, or a link to elsewhere
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # so that a full disk has room again for the record of it
        raise
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    with suppress(OSError):  # not every system can sync a directory
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
