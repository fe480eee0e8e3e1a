"""Hand the arguments to `train`, which Hydra reads, or to a click command. Each is imported only when it is called."""

import atexit
import errno
import gc
import io
import os
import sys
from pathlib import Path

from regbench.errors import CLOSED_PIPE, FAILED, INTERRUPTED, MISTAKE, leave, leave_without_memory

atexit.register(gc.freeze)  # what is left at the end is not searched for cycles: 1 s of CPU time with torch


def main() -> None:
    """Run the `regbench` command and leave with its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a plain ASCII pipe has no ±
    try:
        try:
            _check_folder()
            _command(sys.argv[1:])
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except BrokenPipeError:  # `regbench ls | head`: the reader has what it wants
        _drop_output()
        sys.exit(CLOSED_PIPE)
    except OSError as error:
        _drop_output()
        code = MISTAKE if error.errno == errno.ENAMETOOLONG else FAILED  # the name is the user's
        leave(f"{error.filename or 'standard output'}: {error.strerror or error}", code)
    except (MemoryError, ImportError) as error:
        leave_without_memory(error)
        raise
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _check_folder() -> None:
    """Leave if the current folder has been removed: nothing can be read or written in it."""
    try:
        Path.cwd()
    except FileNotFoundError:
        leave("the current folder does not exist any more: cd to another one")


def _command(words: list[str]) -> None:
    if words[:1] == ["help"] and words[1:2] == ["train"]:
        words = ["train", "--help"]
    if words[:1] == ["_complete"]:  # of the scripts that `regbench completion` prints
        from regbench.cli.complete import respond

        respond(words[1:])
    elif words[:1] == ["train"] and "--version" not in words:
        from regbench.cli.train import train

        train(words[1:])
    else:
        from regbench.cli.group import main as commands

        commands(["--version"] if words[:1] == ["train"] else words)


def _drop_output() -> None:
    """Write what is left in the buffer nowhere: Python would complain about it when it ends."""
    if sys.stdout is None:  # closed from the beginning
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
