"""The commands beside train: parse, call, print."""

import sys
from pathlib import Path
from typing import Any, Literal

import click

from regbench.errors import INTERRUPTED, MISTAKE, UserError
from regbench.housekeeping import ls, rm


class Commands(click.Group):
    """A click group whose mistakes are one line on stderr, exit code 2, like those of train."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command and leave with its exit code."""
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.Abort:
            sys.exit(INTERRUPTED)
        except (click.ClickException, UserError) as error:
            message = error.format_message() if isinstance(error, click.ClickException) else str(error)
            click.echo(f"error: {' '.join(message.split())}", err=True)
            sys.exit(MISTAKE)
        sys.exit(code or 0)


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="regbench", prog_name="regbench", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Which training technique helps, by how much, and is the difference real?"""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


# cli.py hands train to Hydra before click sees it; here it is only listed.
main.add_command(click.Command("train", help="Train one run, or with -m a sweep: see regbench train --help."))
main.add_command(ls)
main.add_command(rm)


@main.command()
@click.argument("dirs", nargs=-1)
@click.option(
    "--by",
    multiple=True,
    metavar="KEY",
    help="Group by norm, optimizer.lr, seed, …: several with spaces or commas.  [default: what differs, seed aside]",
)
@click.option(
    "--metric",
    default="test_acc",
    show_default=True,
    metavar="NAME",
    help="test_, val_ or train_ with acc or loss, or epoch, or seconds.",
)
@click.option(
    "--select",
    type=click.Choice(["best_val", "last"]),
    default="best_val",
    show_default=True,
    help="Whose figures: the epoch's with the best validation loss, or the last epoch's.",
)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), metavar="FILE", help="Write the table as CSV too.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "csv", "md", "latex", "json"]),
    default="table",
    show_default=True,
    help="How to print the table.",
)
def summary(
    dirs: tuple[str, ...],
    by: tuple[str, ...],
    metric: str,
    select: Literal["best_val", "last"],
    csv_file: Path | None,
    output: str,
) -> None:
    """Compare the runs below DIRS (default: runs).

    For each group: n, the mean with its 95 % t interval, best and worst. Diverged, failed and unfinished runs are
    counted, never averaged.
    """
    from rich.console import Console

    from regbench import render
    from regbench.runs import load
    from regbench.summary import compare

    more = tuple(name for name in dirs if by and not Path(name).is_dir())  # --by norm init
    keys = [key.strip() for given in (*by, *more) for key in given.split(",") if key.strip()]
    places = [name for name in dirs if name not in more]
    table = compare(load(places or ("runs",)), keys, metric, select)
    if csv_file:
        _write(csv_file, render.to_csv(table))
    if output == "table":
        render.table(table, Console(highlight=False))
    else:
        click.echo(render.FORMATS[output](table), nl=False)


def _write(path: Path, text: str) -> None:
    from regbench.rundir import write_atomically

    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UserError(f"--csv {path}: is not a regular file, which could be replaced")
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise UserError(f"--csv {path}: cannot be written: {error.strerror}") from None
