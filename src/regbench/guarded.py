"""Open files that others may have left: nothing that blocks or never ends is read, no link is written through."""

import errno
import os
import stat
from pathlib import Path

# What a file that stands in the wrong place raises; anything else may pass, and what cannot be read now is not lost.
ODD = (errno.EINVAL, errno.EFBIG, errno.EISDIR, errno.ELOOP, errno.ENXIO)
_MOST_BYTES = 64 * 2**20  # of a file that is read whole: a hundred times what regbench writes

# Opening a pipe does not wait for its other end. Windows lacks some of these, and links that anyone may make.
_GUARDED = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NONBLOCK", "O_BINARY"))


def read_bounded(path: Path, most: int = _MOST_BYTES) -> bytes:
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


def check_regular(path: Path, most: int = _MOST_BYTES) -> None:
    """Raise unless a file that another library opens by its name is a regular one.

    Raises:
        OSError: it is missing, is no regular file, or has more than `most` bytes.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    if status.st_size > most:
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
