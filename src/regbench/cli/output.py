"""Where a command's table goes: to the terminal, into a file, or to the standard output in a format."""

import io
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regbench.console import console
from regbench.errors import UserError, no_such
from regbench.tables.choices import ENDINGS
from regbench.text import first_of

if TYPE_CHECKING:
    from rich.console import Console

    from regbench.records.frame import Runs

_FILE_WIDTH = 120  # of a table in a file
_STANDARD = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")  # names of the standard output
CLOSED = "standard output is closed: nothing can be printed. To write a file, add --output FILE"
_Writers = Mapping[str, Callable[[], str | bytes]]  # by format
Show = Callable[["Console"], None]  # prints the table


def warn_of_unreadable(runs: "Runs") -> None:
    """Say on stderr which runs could not be read, where what is shown has no place for it."""
    if runs.unreadable:
        said = f"warning: {len(runs.unreadable)} unreadable: {first_of(runs.unreadable)}"
        console(stderr=True).print(said, style="yellow", markup=False, soft_wrap=True)


def is_standard(path: Path | None) -> bool:
    """Tell whether a path means the standard output."""
    return str(path) in _STANDARD


def format_of(output: str | None, file: Path | None, formats: "list[str]") -> str:
    """Return the format that is asked for, or that the file's ending says.

    Raises:
        UserError: the ending says none of the formats, or another than the one that is asked for.
    """
    if file is None or is_standard(file):
        return output or "table"
    ending = file.suffix.removeprefix(".").lower()
    known = {name: format for name, format in ENDINGS.items() if format in formats}
    if output is None and ending not in known:
        reason = no_such("format", ending, "the endings of files", known) if ending else "the name has no ending"
        raise UserError(f"--output {file}: {reason}{'' if reason.endswith('?') else '.'} Or name it by --format")
    if output and ENDINGS.get(ending, output) != output:
        raise UserError(f"--output {file}: the ending means {ENDINGS[ending]}, and --format {output} another format")
    return output or known[ending]


def check_decimal_comma(wanted: bool, csv_file: Path | None, output: str | None, file: Path | None) -> None:
    """Raise UserError if decimal commas are wanted where there is no CSV."""
    if wanted and not csv_file and output != "csv" and not (file and file.suffix.lower() == ".csv"):
        raise UserError("--decimal-comma: is for CSV: add --csv FILE or --format csv")


def print_table(show: Show, writers: _Writers, output: str | None, file: Path | None) -> None:
    """Print a table in a format, or write it into a file.

    Args:
        show: prints the table for people.
        writers: makes the content of each other format.
        output: the format; None: what the file's ending says, or a table.
        file: where to write; None or `-`: the standard output.

    Raises:
        UserError: the format is not text and there is no file, the file cannot be written, or its ending is unknown.
    """
    chosen = format_of(output, file, ["table", *writers])
    if (file is None or is_standard(file)) and sys.stdout is None:
        raise UserError(CLOSED)
    if chosen == "table" and (file is None or is_standard(file)):
        show(console())
        return
    content = _as_in_a_terminal(show) if chosen == "table" else writers[chosen]()
    if file and not is_standard(file):
        write_file("--output", file, content if isinstance(content, bytes) else content.encode())
    elif isinstance(content, str):
        click.echo(content, nl=False)
    else:
        raise UserError(f"{chosen} is binary: add --output FILE")


def _as_in_a_terminal(show: Show) -> str:
    from rich.console import Console

    page = Console(file=io.StringIO(), width=_FILE_WIDTH, highlight=False)
    with page.capture() as captured:
        show(page)
    return captured.get()


def write_csv(path: Path, text: str) -> None:
    """Write the CSV of --csv: into a file, or to the standard output.

    Raises:
        UserError: the file cannot be written, or the standard output is closed.
    """
    if is_standard(path) and sys.stdout is None:
        raise UserError(CLOSED)
    if is_standard(path):
        click.echo(text, nl=False)
        sys.stdout.flush()
    else:
        write_file("--csv", path, text.encode())


def write_file(option: str, path: Path, content: bytes) -> None:
    """Write a file whole or not at all; a pipe or a device is written to.

    Raises:
        UserError: the path is a directory or a link to a file, or cannot be written; `option` names it in the message.
    """
    from regbench.records.files import write_atomically

    try:
        if _is_stream(path):
            path.write_bytes(content)
        elif path.is_symlink() or (path.exists() and not path.is_file()):
            raise UserError(f"{option} {path}: is not a regular file, which could be replaced")
        else:
            write_atomically(path, content)
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written: {error.strerror}") from None


def _is_stream(path: Path) -> bool:
    """Tell whether the path is a pipe or a device, as `>(gzip > t.csv.gz)` of a shell and /dev/stderr are."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)
