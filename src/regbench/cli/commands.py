"""The commands on many runs: summary, effects."""

from pathlib import Path

import click

from regbench.analysis.corrections import CORRECTIONS, Correction
from regbench.cli.output import print_table, write_file
from regbench.errors import UserError
from regbench.records.metrics import SELECTIONS, Selection
from regbench.tables.choices import SUMMARY_FORMATS

_SELECTION = click.Choice(sorted(SELECTIONS))


class _Spreading(click.Command):
    """A command whose options for keys take all values that follow: `--rows norm init --cols seed`."""

    spread = ("--by", "--rows", "--cols")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each further value: anything except an option or a directory."""
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


@click.command(cls=_Spreading)
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
    type=_SELECTION,
    default="best_val",
    show_default=True,
    help="The epoch whose figures count: that of the best validation loss, or the last.",
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
    type=click.Choice(CORRECTIONS),
    default="holm",
    show_default=True,
    help="For many comparisons: Holm, Benjamini-Hochberg, none.",
)
@click.option(
    "--test-noise",
    is_flag=True,
    help="Add the noise of the test images: the interval of the test set, with --baseline McNemar's test.",
)
@click.option(
    "--sort",
    metavar="COLUMN",
    help="By a key, or by n, mean, best, worst, diff, p, won, verdict; -COLUMN reverses.  [default: best first]",
)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), metavar="FILE", help="Write the table as CSV too.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", *SUMMARY_FORMATS, "parquet"]),
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
    select: Selection,
    where: str | None,
    baseline: tuple[str, ...],
    margin: float | None,
    correction: Correction,
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
    from regbench.tables.formats import to_csv

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
        write_file("--csv", csv_file, to_csv(table).encode())
    print_table(table, output, file)


def _split(texts: tuple[str, ...]) -> list[str]:
    return [key.strip() for text in texts for key in text.split(",") if key.strip()]


@click.command(cls=_Spreading)
@click.argument("dirs", nargs=-1)
@click.option("--by", multiple=True, metavar="KEY", help="The knobs.  [default: keys that differ, seed aside]")
@click.option("--metric", default="test_acc", show_default=True, metavar="NAME", help="As for summary.")
@click.option("--select", type=_SELECTION, default="best_val", show_default=True)
@click.option("--where", metavar="CONDITION", help="Only some runs, as for summary.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the shares: PNG, SVG or PDF.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), metavar="FILE", help="Write the table as CSV too.")
def effects(
    dirs: tuple[str, ...],
    by: tuple[str, ...],
    metric: str,
    select: Selection,
    where: str | None,
    plot: Path | None,
    csv_file: Path | None,
) -> None:
    """Which knob matters in the factorial sweep below DIRS (default: runs).

    Main effects and two-way interactions by analysis of variance, the seed as block.
    """
    from rich.console import Console

    from regbench.analysis.effects import effects as effects_of
    from regbench.figures.effects import plot as draw
    from regbench.records.frame import load
    from regbench.tables import terminal
    from regbench.tables.effects import cells, to_csv

    variance = effects_of(load(dirs or ("runs",)), _split(by), metric, select, where)
    if csv_file:
        write_file("--csv", csv_file, to_csv(variance).encode())
    if plot:
        draw(variance, plot)
    terminal.show(cells(variance), variance.notes, Console(highlight=False))
