"""The commands on the list of runs: ls, rm."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regbench.cli import options
from regbench.cli.options import Command, split
from regbench.cli.output import CLOSED, format_of, is_standard, write_csv, write_file
from regbench.errors import FAILED, UserError, one_line
from regbench.tables.choices import RUN_LIST_FORMATS
from regbench.text import file_name, plural

if TYPE_CHECKING:
    from regbench.records.listing import Entry, Listing


@click.command(cls=Command)
@options.dirs
@options.where
@options.status
@click.option(
    "--by",
    multiple=True,
    metavar="KEY",
    help="Columns, several with commas.  [default: what differs, the seed]",
)
@click.option("--show", multiple=True, metavar="KEY", help="Another column: seconds, error, path, val_loss, …")
@click.option("--sort", metavar="KEY", help="By age, status, test_acc, seed, …; -KEY reverses.  [default: by path]")
@click.option("--reverse", is_flag=True, help="Reverse the order.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N.")
@click.option("--studies", is_flag=True, help="A line for each study instead of each run.")
@options.csv_file
@options.output_format(*RUN_LIST_FORMATS)
@options.output_file
def ls(
    dirs: tuple[str, ...],
    where: tuple[str, ...],
    statuses: tuple[str, ...],
    by: tuple[str, ...],
    show: tuple[str, ...],
    sort: str | None,
    reverse: bool,
    limit: int | None,
    studies: bool,
    csv_file: Path | None,
    output: str | None,
    file: Path | None,
) -> None:
    """List runs: status, age, epochs, accuracy, what differs.

    DIRS hold them (default: runs). The last column names a run for the other commands. A run is `killed` if its process
    is gone, by kill -9 or a power cut: repeat its command to resume it, as for an interrupted run. csv and json hold
    every value.
    """
    from regbench.records.listing import listing
    from regbench.records.names import paths_of
    from regbench.tables import run_list, study_list

    runs = listing(paths_of(dirs)).only(statuses, where).by(sort or "path", reverse)
    warn_of_absent(runs)
    writer = study_list if studies else run_list
    first = runs if studies else runs.first(limit)
    if csv_file:
        write_csv(csv_file, writer.to_csv(first))
    if is_standard(csv_file):
        return
    chosen, room = format_of(output, file, ["table", *RUN_LIST_FORMATS]), None if file else _room()
    if chosen != "table":
        text = getattr(writer, RUN_LIST_FORMATS[chosen])(first)
    elif studies:
        text = study_list.to_table(runs, room, limit)
    else:
        text = run_list.to_table(runs, split(show), split(by), paint=_paint, room=room, limit=limit)
    put(text, file)


def warn_of_absent(runs: "Listing") -> None:
    """Say on stderr which values a condition asks for that no run has: a list with few runs does not show a typo."""
    for reason in runs.absent:
        click.echo(one_line("warning", reason), err=True, nl=False)


def put(text: str, file: Path | None) -> None:
    """Print text, or write it into a file.

    Raises:
        UserError: standard output is closed, or the file cannot be written.
    """
    if (file is None or is_standard(file)) and sys.stdout is None:
        raise UserError(CLOSED)
    if file is None or is_standard(file):
        click.echo(text, nl=False)
    else:
        write_file("--output", file, click.unstyle(text).encode())


@click.command(cls=Command)
@click.argument("paths", nargs=-1, metavar="[RUNS or DIRS]")
@options.where
@options.status
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed, and what would be left.")
@options.output_format("json")
def rm(
    paths: tuple[str, ...],
    where: tuple[str, ...],
    statuses: tuple[str, ...],
    yes: bool,
    dry_run: bool,
    output: str | None,
) -> None:
    """Remove runs, by name or filter.

    Name their directories or studies, or filter those below DIRS (default: runs).

    Shows them and asks first. Leaves alone a run that a process is training, one behind a link, one with files that
    regbench has not written, and anything that is not a run. A study's folder goes with its last run.
    """
    from regbench.records import removal
    from regbench.records.names import paths_of

    if not paths and not (statuses or where):
        raise UserError("rm needs run directories, or a filter: --status failed, or --where CONDITION")
    if output == "json" and not dry_run:
        raise UserError("rm --format json: says what would be removed: add --dry-run")
    roots = paths_of(paths)
    runs = removal.chosen(roots, statuses, where)
    if runs.absent and runs.entries:  # `norm != nnoe` holds for all of them
        raise UserError(runs.absent[0])
    warn_of_absent(runs)
    if output == "json":
        _print_json(_reasons(runs, roots))
    elif not runs.entries:
        click.echo("no such run: nothing removed")
    else:
        _remove_shown(runs, roots, yes=yes, dry_run=dry_run)


def _reasons(runs: "Listing", roots: Sequence[Path]) -> dict[Path, str | None]:
    """Say of each run why it would be left, None if it would be removed."""
    from regbench.records import removal

    return {entry.path: removal.to_stay(entry, roots) for entry in runs.entries}


def _print_json(reasons: Mapping[Path, str | None]) -> None:
    from regbench.tables import as_json

    left = {str(path): reason for path, reason in reasons.items() if reason}
    removed = [str(path) for path, reason in reasons.items() if not reason]
    click.echo(as_json.document("rm", {"remove": removed, "left": left}), nl=False)


def _remove_shown(runs: "Listing", roots: Sequence[Path], *, yes: bool, dry_run: bool) -> None:
    """Show the runs, ask, and remove them."""
    from regbench.records import removal
    from regbench.tables import run_list

    click.echo(run_list.to_table(runs, paint=_paint, room=_room()))
    size = f"{removal.size(runs.entries) / 1e6:,.1f} MB"
    if dry_run:
        _show_left(_reasons(runs, roots), "would be removed", size)
    elif yes or _agreed(f"Remove {plural(len(runs.entries), 'run')}, {size}?"):
        _remove(runs.entries, roots)
    else:
        click.echo("nothing removed")


def _agreed(question: str) -> bool:
    """Ask; without an answer the command ends.

    Raises:
        UserError: nobody can answer, because standard input or output cannot be used.
    """
    try:
        return click.confirm(question)
    except click.Abort:  # Ctrl-C, or standard input is at its end
        click.echo("\nnothing removed")
        raise
    except (OSError, RuntimeError) as error:  # the latter if one of them is closed
        reason = "is closed" if isinstance(error, RuntimeError) else f"cannot be used: {error.strerror}"
        raise UserError(
            f"rm: standard input or output {reason}, and nobody can answer. To remove without a question, add --yes"
        ) from None


def _remove(entries: "Sequence[Entry]", roots: Sequence[Path]) -> None:
    """Remove runs; name those that stay, and leave with exit code 1 if there are any."""
    from regbench.records import removal

    reasons = {entry.path: removal.remove(entry, roots) for entry in entries}
    removal.remove_empty_studies([entry for entry in entries if not reasons[entry.path]])
    if _show_left(reasons, "removed"):
        sys.exit(FAILED)


def _show_left(reasons: Mapping[Path, str | None], done: str, size: str = "") -> bool:
    """Count the runs without a reason to stay, and name the others; tell whether there are any."""
    left = {path: reason for path, reason in reasons.items() if reason}
    click.echo(f"{plural(len(reasons) - len(left), 'run')}{f', {size},' * bool(size)} {done}")
    for path, reason in left.items():
        click.echo(f"left: {file_name(path)}: {reason}", err=True)
    return bool(left)


def _paint(text: str, colour: str) -> str:
    """Colour text on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    plain = not colour or os.environ.get("NO_COLOR") or not _on_terminal()
    return text if plain else click.style(text, fg=colour)


def _room() -> int | None:
    """Return the width of the terminal; None in a pipe or a file."""
    return shutil.get_terminal_size().columns if _on_terminal() else None


def _on_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()  # None: it is closed
