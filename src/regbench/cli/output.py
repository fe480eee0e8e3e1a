"""Where a command's table goes: to the terminal, or into a file."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regbench.errors import UserError
from regbench.tables.choices import SUMMARY_FORMATS

if TYPE_CHECKING:
    from regbench.analysis.table import Table

_FILE_WIDTH = 120  # of a table in a file


def print_table(table: "Table", output: str, file: Path | None) -> None:
    """Print a table in a format, or write it into a file.

    Raises:
        UserError: the format is not text and there is no file, or the file cannot be written.
    """
    from rich.console import Console

    from regbench.tables import terminal

    if output == "table" and file is None:
        terminal.table(table, Console(highlight=False))
        return
    content = _content(table, output)
    if file:
        write_file("--output", file, content if isinstance(content, bytes) else content.encode())
    elif isinstance(content, str):
        click.echo(content, nl=False)
    else:
        raise UserError(f"--format {output}: is not text, and needs --output FILE")


def _content(table: "Table", output: str) -> str | bytes:
    from regbench.tables import formats

    if output == "parquet":
        return formats.to_parquet(table)
    if output == "table":
        return _as_in_a_terminal(table)
    text: str = getattr(formats, SUMMARY_FORMATS[output])(table)
    return text


def _as_in_a_terminal(table: "Table") -> str:
    from rich.console import Console

    from regbench.tables import terminal

    console = Console(file=io.StringIO(), width=_FILE_WIDTH, highlight=False)
    with console.capture() as captured:
        terminal.table(table, console)
    return captured.get()


def write_file(option: str, path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        UserError: the path is not a regular file, or cannot be written; `option` names it in the message.
    """
    from regbench.records.files import write_atomically

    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UserError(f"{option} {path}: is not a regular file, which could be replaced")
    try:
        write_atomically(path, content)
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written: {error.strerror}") from None
