"""The commands beside train: parse, call, print."""

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from regbench.errors import FAILED, INTERRUPTED, MISTAKE, UserError
from regbench.housekeeping import ls, rm

if TYPE_CHECKING:
    from regbench.summary import Table


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


class Spreading(click.Command):
    """A command whose options for keys take what follows them: `--rows norm init --cols seed`."""

    spread = ("--by", "--rows", "--cols")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each further value, which is anything but an option or a directory."""
        spread: list[str] = []
        option, first = "", False
        for word in args:
            if word.startswith("-"):
                option, first = (word if word in self.spread else ""), True
            elif option and not first:
                option = "" if Path(word).is_dir() else option
                spread += [option] if option else []
            else:
                first = False
            spread.append(word)
        return super().parse_args(ctx, spread)


@main.command(cls=Spreading)
@click.argument("dirs", nargs=-1)
@click.option(
    "--by",
    "--rows",
    "by",
    multiple=True,
    metavar="KEY",
    help="Group by norm, optimizer.lr, seed, …: several with spaces or commas.  [default: what differs, seed aside]",
)
@click.option("--cols", multiple=True, metavar="KEY", help="Keys whose values stand across: a pivot.")
@click.option(
    "--metric",
    default="test_acc",
    show_default=True,
    metavar="NAME",
    help="test_, val_ or train_ with acc or loss, or epoch, or seconds; any other of metrics.csv with its direction: "
    "weight_norm:lower.",
)
@click.option(
    "--select",
    type=click.Choice(["best_val", "last"]),
    default="best_val",
    show_default=True,
    help="Whose figures: the epoch's with the best validation loss, or the last epoch's.",
)
@click.option(
    "--where",
    metavar="CONDITION",
    help="Only some runs: \"optimizer.lr<0.01 and norm!='none'\". Keys, status, study and figures; accuracies are "
    "fractions.",
)
@click.option(
    "--baseline",
    multiple=True,
    metavar="KEY=VALUE",
    help="Compare each row with the one that differs from it in this: norm=none. Several with commas.",
)
@click.option(
    "--margin",
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    help="Differences smaller than this do not matter, in percentage points for accuracies: tests equivalence.",
)
@click.option(
    "--correction",
    type=click.Choice(["holm", "bh", "none"]),
    default="holm",
    show_default=True,
    help="For many comparisons: Holm, Benjamini-Hochberg, none.",
)
@click.option(
    "--test-noise",
    is_flag=True,
    help="Add what other test images might say: the interval of the test set, with --baseline McNemar's test.",
)
@click.option(
    "--sort",
    metavar="COLUMN",
    help="By a key, or by n, mean, best, worst, diff, p, won, verdict; -COLUMN the other way.  [default: best first]",
)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), metavar="FILE", help="Write the table as CSV too.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "csv", "md", "latex", "json", "html", "parquet"]),
    default="table",
    show_default=True,
    help="How to print the table. csv, json and parquet have full precision and a row for each cell of a pivot.",
)
@click.option("--output", "-o", "file", type=click.Path(path_type=Path), metavar="FILE", help="Print into a file.")
def summary(
    dirs: tuple[str, ...],
    by: tuple[str, ...],
    cols: tuple[str, ...],
    metric: str,
    select: Literal["best_val", "last"],
    where: str | None,
    baseline: tuple[str, ...],
    margin: float | None,
    correction: Literal["holm", "bh", "none"],
    test_noise: bool,
    sort: str | None,
    csv_file: Path | None,
    output: str,
    file: Path | None,
) -> None:
    """Compare the runs below DIRS (default: runs).

    For each group: n, the mean with its 95 % t interval, best and worst. Diverged, failed and unfinished runs are
    counted, never averaged. With --baseline: the difference by seed, exact sign-flip test, corrected p, verdict.
    """
    from regbench import formats
    from regbench.runs import load
    from regbench.summary import Against, compare

    if margin is not None and not baseline:
        raise UserError(f"--margin {margin:g}: needs a --baseline to be equivalent to")
    table = compare(
        load(dirs or ("runs",)),
        _split(by),
        metric,
        select,
        columns=_split(cols),
        against=Against(baseline, margin, correction) if baseline else None,
        where=where,
        sort=sort,
        test_noise=test_noise,
    )
    if csv_file:
        _write("--csv", csv_file, formats.to_csv(table).encode())
    _print(table, output, file)


def _split(texts: tuple[str, ...]) -> list[str]:
    return [key.strip() for text in texts for key in text.split(",") if key.strip()]


def _print(table: "Table", output: str, file: Path | None) -> None:
    from rich.console import Console

    from regbench import formats, render

    if output == "parquet":
        if file is None:
            raise UserError("--format parquet: is no text, and needs --output FILE")
        _write("--output", file, formats.to_parquet(table))
    elif output == "table" and file:
        console = Console(file=io.StringIO(), width=120, highlight=False)
        with console.capture() as captured:
            render.table(table, console)
        _write("--output", file, captured.get().encode())
    elif output == "table":
        render.table(table, Console(highlight=False))
    elif file:
        _write("--output", file, formats.FORMATS[output](table).encode())
    else:
        click.echo(formats.FORMATS[output](table), nl=False)


def _write(option: str, path: Path, content: bytes) -> None:
    from regbench.rundir import write_atomically

    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UserError(f"{option} {path}: is not a regular file, which could be replaced")
    try:
        write_atomically(path, content)
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written: {error.strerror}") from None


@main.command(cls=Spreading)
@click.argument("dirs", nargs=-1)
@click.option("--by", multiple=True, metavar="KEY", help="The knobs.  [default: keys that differ, seed aside]")
@click.option("--metric", default="test_acc", show_default=True, metavar="NAME", help="As of summary.")
@click.option("--select", type=click.Choice(["best_val", "last"]), default="best_val", show_default=True)
@click.option("--where", metavar="CONDITION", help="Only some runs, as of summary.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the shares: PNG, SVG or PDF.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), metavar="FILE", help="Write the table as CSV too.")
def effects(
    dirs: tuple[str, ...],
    by: tuple[str, ...],
    metric: str,
    select: Literal["best_val", "last"],
    where: str | None,
    plot: Path | None,
    csv_file: Path | None,
) -> None:
    """Which knob matters in the factorial sweep below DIRS (default: runs).

    Main effects and two-way interactions by analysis of variance, the seed as block.
    """
    import pandas as pd
    from rich.console import Console

    from regbench import effects as analysis
    from regbench import render
    from regbench.runs import load

    found = analysis.effects(load(dirs or ("runs",)), _split(by), metric, select, where)
    if csv_file:
        _write("--csv", csv_file, pd.DataFrame(found.terms).to_csv(index=False).encode())
    if plot:
        analysis.plot(found, plot)
    render.laid_out(analysis.cells(found), found.notes, Console(highlight=False))


@main.command()
@click.argument("words", nargs=-1, required=True, metavar="KEY=VALUE... [DIRS]...")
def explain(words: tuple[str, ...]) -> None:
    """The runs behind a cell, norm=batch init=xavier: their directories, commands, versions."""
    from regbench.explain import behind
    from regbench.runs import load
    from regbench.verdict import spec

    dirs = [word for word in words if "=" not in word]
    for line in behind(load(dirs or ("runs",)), spec([word for word in words if "=" in word])):
        click.echo(line)


@main.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
def diff(first: Path, second: Path) -> None:
    """What two runs differ in: config, versions, figures."""
    from rich.console import Console

    from regbench import render
    from regbench.explain import difference

    config, figures = difference(first, second)
    console = Console(highlight=False)
    render.laid_out(config, () if config.rows else ("No key differs.",), console)
    render.laid_out(figures, (), console)


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
def reproduce(run: Path) -> None:
    """Train RUN again elsewhere, and say whether it comes to the same numbers: exit code 1 if not."""
    from regbench.progress import Reporter
    from regbench.reproduce import reproduce as again

    outcome = again(run, Reporter("plain"))
    images = f", {outcome.flipped:,} of {outcome.images:,} test images classified otherwise" if outcome.images else ""
    click.echo(f"{outcome.verdict}: {outcome.figures} figures compared{images}")
    if outcome.first:
        limit = f"largest relative difference {outcome.largest:.2g} (limit {outcome.limit:g})"
        click.echo(f"first at {outcome.first}; {limit}")
    if outcome.verdict == "different":
        sys.exit(FAILED)
