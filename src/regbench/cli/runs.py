"""The commands on single runs: ls, rm, explain, diff, reproduce."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regbench.errors import FAILED, UserError
from regbench.records.files import STATES
from regbench.tables.choices import RUN_LIST_FORMATS
from regbench.text import plural

if TYPE_CHECKING:
    from regbench.records.listing import Entry

_status_option = click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(STATES),
    help="Only these; may be repeated.",
)
_where_option = click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="Only runs for which it holds: norm=batch, or 'optimizer.lr < 0.01 and norm != none'; may be repeated.",
)


@click.command()
@click.argument("dirs", nargs=-1)
@_status_option
@_where_option
@click.option("--sort", metavar="KEY", help="By age, status, test_acc, seed, optimizer.lr, …  [default: by path]")
@click.option("--reverse", is_flag=True, help="Reverse the order.")
@click.option("--show", multiple=True, metavar="KEY", help="Another column: several with commas.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", *RUN_LIST_FORMATS]),
    default="table",
    show_default=True,
    help="csv and json hold every value.",
)
def ls(
    dirs: tuple[str, ...],
    statuses: tuple[str, ...],
    where: tuple[str, ...],
    sort: str | None,
    reverse: bool,
    show: tuple[str, ...],
    output: str,
) -> None:
    """List the runs below DIRS (default: runs): status, age, epochs trained, test accuracy.

    A run is `killed` if its process is gone, by kill -9 or a power cut. Repeat its command to resume it, as for an
    interrupted run.
    """
    from regbench.records.listing import listing
    from regbench.tables import run_list

    runs = listing(dirs or ("runs",)).only(statuses, where).by(sort or "path", reverse)
    if output == "table":
        keys = [key.strip() for given in show for key in given.split(",") if key.strip()]
        click.echo(run_list.to_table(runs, keys, _paint, _room()), nl=False)
    else:
        click.echo(getattr(run_list, RUN_LIST_FORMATS[output])(runs), nl=False)


@click.command()
@click.argument("paths", nargs=-1, metavar="[RUNS or DIRS]")
@_status_option
@_where_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(paths: tuple[str, ...], statuses: tuple[str, ...], where: tuple[str, ...], yes: bool) -> None:
    """Remove runs: name their directories, or filter those below DIRS (default: runs).

    Shows them and asks first. Leaves alone a run that a process is training, and anything that is not a run.
    """
    from regbench.records import removal
    from regbench.tables import run_list

    if not paths and not (statuses or where):
        raise UserError("rm: name runs, or say which: --status failed, or --where CONDITION")
    runs = removal.chosen(paths or ("runs",), statuses, where)
    if not runs.entries:
        click.echo("no such run: nothing removed")
        return
    click.echo(run_list.to_table(runs, paint=_paint, room=_room()))
    size = f"{removal.size(runs.entries) / 1e6:,.1f} MB"
    if not yes and not click.confirm(f"Remove {plural(len(runs.entries), 'run')}, {size}?"):
        click.echo("nothing removed")
        return
    _remove(runs.entries)


def _remove(entries: "Sequence[Entry]") -> None:
    """Remove runs; name those that stay, and leave with exit code 1 if there are any."""
    from regbench.records import removal

    reasons = {entry.path: removal.remove(entry) for entry in entries}
    left = {path: reason for path, reason in reasons.items() if reason}
    click.echo(f"{plural(len(reasons) - len(left), 'run')} removed")
    for path, reason in left.items():
        click.echo(f"left: {path}: {reason}", err=True)
    if left:
        sys.exit(FAILED)


def _paint(text: str, colour: str) -> str:
    """Colour text on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    plain = not colour or os.environ.get("NO_COLOR") or not sys.stdout.isatty()
    return text if plain else click.style(text, fg=colour)


def _room() -> int | None:
    """Return the width of the terminal; None in a pipe or a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="KEY=VALUE... [DIRS]...")
def explain(words: tuple[str, ...]) -> None:
    """Show the runs behind a cell, norm=batch init=xavier: their directories, commands, versions."""
    from regbench.analysis.baseline import spec
    from regbench.records.frame import load
    from regbench.tables.explain import behind

    dirs = [word for word in words if "=" not in word]
    for line in behind(load(dirs or ("runs",)), spec([word for word in words if "=" in word])):
        click.echo(line)


@click.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
def diff(first: Path, second: Path) -> None:
    """Show how two runs differ: config, versions, figures."""
    from rich.console import Console

    from regbench.tables import terminal
    from regbench.tables.explain import difference

    config, figures = difference(first, second)
    console = Console(highlight=False)
    terminal.show(config, () if config.rows else ("No key differs.",), console)
    terminal.show(figures, (), console)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
def reproduce(run: Path) -> None:
    """Train RUN again elsewhere, and say whether it gives the same numbers: exit code 1 if not."""
    from regbench.experiment.reporter import Reporter
    from regbench.experiment.reproduce import reproduce as again

    outcome = again(run, Reporter("plain"))
    images = f", {outcome.flipped:,} of {outcome.images:,} test images classified differently" if outcome.images else ""
    click.echo(f"{outcome.verdict}: {outcome.figures} figures compared{images}")
    if outcome.first:
        limit = f"largest relative difference {outcome.largest:.2g} (limit {outcome.limit:g})"
        click.echo(f"first at {outcome.first}; {limit}")
    if outcome.verdict == "different":
        sys.exit(FAILED)
