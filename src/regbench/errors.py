"""Mistakes that the user can correct: one line names the key, the value, what is allowed or what is meant."""

import errno
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NoReturn

from regbench.suggestions import suggestion

FAILED, MISTAKE, INTERRUPTED, CLOSED_PIPE = 1, 2, 130, 141  # exit codes; those of a shell for a signal are 128 + signal
_MOST_NAMES = 10
_NO_MEMORY = ("failed to map segment", "Cannot allocate memory")  # of the dynamic linker, when a library is too large


class UserError(Exception):
    """A mistake that the user can correct: shown as one line on stderr, with exit code 2 and without a traceback."""


class RefusedRunsError(UserError):
    """Some runs of a sweep are refused, all for one reason."""

    def __init__(self, reason: Exception, which: str) -> None:
        """`which` is a sentence that says which runs."""
        super().__init__(f"{reason}. {which}")
        self.reason, self.which = reason, which


class UnknownKeyError(UserError):
    """A key that there is not."""

    def __init__(self, key: str, option: str | None, allowed: Iterable[str]) -> None:
        """`option` is what is chosen on the key's axis, if it has one; `allowed` are the names beside the key."""
        self.key, self.option, self.allowed = key, option, sorted(allowed)
        axis, _, leaf = key.rpartition(".")
        place = f"{axis}={option}" if option else f"'{axis}'" if axis else "the config"
        super().__init__(f"{key}: {no_such('key', leaf, place, self.allowed)}")


def not_installed(what: str, extra: str) -> UserError:
    """Name the command that installs the packages of an extra into the environment that runs now."""
    from importlib.metadata import requires  # takes as long to import as the rest

    needed = [line.partition(";") for line in requires("regbench") or []]
    packages = [name.strip() for name, _, marker in needed if f"extra == '{extra}'" in marker.replace('"', "'")]
    return missing(what, packages)


def missing(what: str, packages: Sequence[str]) -> UserError:
    """Name the command that installs packages into the environment that runs now."""
    command = shlex.join([sys.executable, "-m", "pip", "install", *packages])
    return UserError(f"{what} is not installed. Install it with: {command}")


def no_such(noun: str, given: str, place: str, allowed: Iterable[str]) -> str:
    """Write `no option 'bacth' in 'norm'. Did you mean 'batch'?`, or what is allowed if nothing is near."""
    names = sorted(allowed)
    return f"no {noun} '{given}' in {place}.{nearest(given, names) or f' Allowed: {listed(names)}'}"


def no_key(given: str, allowed: Iterable[str]) -> str:
    """Say that no run has such a key; a key with a value is a condition."""
    if "=" in given:
        return f"takes keys without values. To choose runs: --where '{given}'"
    return no_such("key", given, "the runs", allowed)


def nearest(given: str, names: Iterable[str]) -> str:
    """Write ` Did you mean 'batch'?`, or nothing if no name is near."""
    match = suggestion(given, names)
    return f" Did you mean '{match}'?" if match else ""


def listed(names: Sequence[str], most: int = _MOST_NAMES) -> str:
    """Write names with commas, no more than `most`: `a, b, …, j and 5 more`."""
    more = len(names) - most
    shown = ", ".join(names[:most] if more > 0 else names)
    return f"{shown} and {more} more" if more > 0 else shown or "nothing"


def leave(message: str, code: int = MISTAKE) -> NoReturn:
    """Write what is wrong to stderr, in one line, and leave with an exit code."""
    with suppress(OSError, AttributeError):  # it is closed, or the disk behind it is full: the code says it
        sys.stderr.write(one_line("error", message))
        sys.stderr.flush()
    sys.exit(code)


def leave_for(error: OSError) -> NoReturn:
    """Leave as a file cannot be read or written: with one line; in silence if the reader of the output has gone."""
    if error.filename is None:
        _drop_output()
    if isinstance(error, BrokenPipeError):  # `regbench ls | head`: the reader has what it wants
        sys.exit(CLOSED_PIPE)
    code = MISTAKE if error.errno == errno.ENAMETOOLONG else FAILED  # the name is the user's
    leave(f"{error.filename or 'standard output'}: {error.strerror or error}", code)


def _drop_output() -> None:
    """Write what is left in the buffer nowhere: Python would complain about it when it ends."""
    if sys.stdout is None:  # closed from the beginning
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def leave_without_memory(error: Exception) -> None:
    """Leave with one line if a process may not have the memory that it needs; any other error is a bug."""
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in _NO_MEMORY):
        leave(f"this process may not have as much memory as it needs: {str(error) or 'allocation failed'}", FAILED)


def one_line(kind: str, text: object) -> str:
    """Write `error: what is wrong` in one line, even if the text has several; a character that hides is shown."""
    words = (word for word in str(text).replace("\n", " ").replace("\t", " ").split(" ") if word)
    return f"{kind}: {visible(' '.join(words))}\n"


def visible(text: str) -> str:
    r"""Write a character that cannot be seen as its code: `norm=batch\r`, `norm=batch\xa0`."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
