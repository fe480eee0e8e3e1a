"""Hand the arguments to `train`, which Hydra reads, or to a click command. Each is imported only when it is called."""

import atexit
import gc
import io
import os
import sys
from pathlib import Path

from regbench.errors import INTERRUPTED, leave, leave_for, leave_without_memory

_LAST_STREAM = 2  # the standard error

atexit.register(gc.freeze)  # what is left at the end is not searched for cycles: 1 s of CPU time with torch


def main() -> None:
    """Run the `regbench` command and leave with its exit code."""
    _take_the_numbers_of_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a plain ASCII pipe has no ±
    try:
        try:
            _check_folder()
            _command(sys.argv[1:])
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except OSError as error:
        leave_for(error)
    except (MemoryError, ImportError) as error:
        leave_without_memory(error)
        raise
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _take_the_numbers_of_closed_streams() -> None:
    """Have no file of a run get the number of a closed stream: what C++ prints, as a warning, would go into it."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= _LAST_STREAM:
        os.set_inheritable(number, True)
    os.close(number)


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
