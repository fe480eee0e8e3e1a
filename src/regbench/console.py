"""The consoles that regbench writes to."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console(stderr: bool = False) -> "Console":
    """Make a console for the standard output or error; with NO_COLOR it writes no bold or dim text either."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, color_system=None if os.environ.get("NO_COLOR") else "auto")


@contextmanager
def meanwhile(text: str, as_line: bool = False) -> Iterator[None]:
    """Show on a terminal what a block of some seconds does; nothing is left of it.

    `as_line`: without a terminal, print it as a line of the standard output.
    """
    shown = sys.stderr is not None and sys.stderr.isatty()
    if as_line and not shown and sys.stdout is not None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    if shown:
        sys.stderr.write(text)
        sys.stderr.flush()
    try:
        yield
    finally:
        if shown:
            sys.stderr.write(f"\r{' ' * len(text)}\r")
            sys.stderr.flush()
