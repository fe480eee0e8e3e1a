"""The commands beside train: parse, call, print."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from regbench.errors import UserError

if TYPE_CHECKING:
    from regbench.analysis.table import Table


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


@click.command(cls=Spreading)
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
    from regbench.analysis.summary import compare
    from regbench.analysis.table import Against
    from regbench.records.frame import load
    from regbench.tables import formats

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

    from regbench.tables import formats, terminal

    if output == "parquet":
        if file is None:
            raise UserError("--format parquet: is no text, and needs --output FILE")
        _write("--output", file, formats.to_parquet(table))
    elif output == "table" and file:
        console = Console(file=io.StringIO(), width=120, highlight=False)
        with console.capture() as captured:
            terminal.table(table, console)
        _write("--output", file, captured.get().encode())
    elif output == "table":
        terminal.table(table, Console(highlight=False))
    elif file:
        _write("--output", file, formats.FORMATS[output](table).encode())
    else:
        click.echo(formats.FORMATS[output](table), nl=False)


def _write(option: str, path: Path, content: bytes) -> None:
    from regbench.records.files import write_atomically

    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UserError(f"{option} {path}: is not a regular file, which could be replaced")
    try:
        write_atomically(path, content)
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written: {error.strerror}") from None


@click.command(cls=Spreading)
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

    from regbench.analysis.effects import effects as effects_of
    from regbench.figures.effects import plot as draw
    from regbench.records.frame import load
    from regbench.tables import terminal
    from regbench.tables.effects import cells

    found = effects_of(load(dirs or ("runs",)), _split(by), metric, select, where)
    if csv_file:
        _write("--csv", csv_file, pd.DataFrame(found.terms).to_csv(index=False).encode())
    if plot:
        draw(found, plot)
    terminal.laid_out(cells(found), found.notes, Console(highlight=False))
