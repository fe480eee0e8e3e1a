"""The commands that look after runs/: ls, rm."""

import os
import shutil
import sys

import click

from regbench.errors import FAILED, UserError, plural

STATES = ("completed", "diverged", "running", "interrupted", "killed", "failed")

status_option = click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(STATES),
    help="Only these; may be repeated.",
)
where_option = click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="Only runs for which it holds: norm=batch, or 'optimizer.lr < 0.01 and norm != none'; may be repeated.",
)


@click.command()
@click.argument("dirs", nargs=-1)
@status_option
@where_option
@click.option("--sort", metavar="KEY", help="By age, status, test_acc, seed, optimizer.lr, …  [default: by path]")
@click.option("--reverse", is_flag=True, help="Turn the order round.")
@click.option("--show", multiple=True, metavar="KEY", help="Another column: several with commas.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "csv", "json"]),
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

    A run is `killed` if its process is gone, by kill -9 or a power cut: like an interrupted one it goes on by the
    command that began it.
    """
    from regbench import listed
    from regbench.listing import listing

    found = listing(dirs or ("runs",)).only(statuses, where).by(sort or "path", reverse)
    if output == "table":
        keys = [key.strip() for given in show for key in given.split(",") if key.strip()]
        click.echo(listed.to_table(found, keys, _paint, _room()), nl=False)
    else:
        click.echo({"csv": listed.to_csv, "json": listed.to_json}[output](found), nl=False)


@click.command()
@click.argument("paths", nargs=-1, metavar="[RUNS or DIRS]")
@status_option
@where_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(paths: tuple[str, ...], statuses: tuple[str, ...], where: tuple[str, ...], yes: bool) -> None:
    """Remove runs: those named by their directory, or with a filter those below DIRS (default: runs).

    Shows them and asks first. A run that a process is training is left alone, and so is anything that is no run.
    """
    from regbench import listed, removal

    if not paths and not (statuses or where):
        raise UserError("rm: name runs, or say which: --status failed, or --where CONDITION")
    found = removal.chosen(paths or ("runs",), statuses, where)
    if not found.entries:
        click.echo("no such run: nothing removed")
        return
    click.echo(listed.to_table(found, paint=_paint, room=_room()))
    runs = plural(len(found.entries), "run")
    if not yes and not click.confirm(f"Remove {runs}, {removal.size(found.entries) / 1e6:,.1f} MB?"):
        click.echo("nothing removed")
        return
    reasons = {entry.path: removal.remove(entry) for entry in found.entries}
    left = {path: reason for path, reason in reasons.items() if reason}
    click.echo(f"{plural(len(reasons) - len(left), 'run')} removed")
    for path, reason in left.items():
        click.echo(f"left: {path}: {reason}", err=True)
    if left:
        sys.exit(FAILED)


def _paint(text: str, colour: str) -> str:
    """In colour on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    plain = not colour or os.environ.get("NO_COLOR") or not sys.stdout.isatty()
    return text if plain else click.style(text, fg=colour)


def _room() -> int | None:
    """The width of the terminal; None in a pipe or a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
