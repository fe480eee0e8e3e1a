"""The commands on many runs: summary, effects."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click

from regbench.analysis.corrections import Correction
from regbench.cli import options
from regbench.cli.options import Command, split
from regbench.cli.output import check_decimal_comma, is_standard, print_table, warn_of_unreadable, write_csv
from regbench.errors import UserError, no_such
from regbench.records.metrics import Selection
from regbench.tables.choices import SHOWN, SUMMARY_FORMATS

if TYPE_CHECKING:
    from regbench.analysis.curves import Curves
    from regbench.analysis.table import Against
    from regbench.records.frame import Runs
    from regbench.records.metrics import Metric


@click.command(cls=Command)
@options.dirs
@options.by
@click.option("--cols", multiple=True, metavar="KEY", help="Spread these keys across columns (pivot table).")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    default=["test_acc"],
    show_default=True,
    metavar="NAME",
    help="test_, val_ or train_ with acc or loss, or epoch, or seconds; any other of metrics.csv with its direction: "
    "weight_norm:lower. Several stand side by side.",
)
@options.select
@options.where
@options.status
@options.baseline
@options.margin
@options.anytime
@options.correction
@click.option(
    "--test-noise",
    is_flag=True,
    help="Add the uncertainty from the finite test set: its interval, with --baseline McNemar's test.",
)
@options.tune
@options.shrink
@options.searched
@click.option("--show", multiple=True, metavar="COLUMN", help=f"More columns: {', '.join(SHOWN)}.")
@options.sort
@click.option("--spark", is_flag=True, help="Draw each row's mean curve beside its name: of the metric, or val_acc.")
@click.option("--explain", is_flag=True, help="Say below the table what everything in it means; files always do.")
@options.csv_file
@options.decimal_comma
@options.output_format(*SUMMARY_FORMATS, "parquet")
@options.output_file
def summary(
    dirs: tuple[str, ...],
    by: tuple[str, ...],
    cols: tuple[str, ...],
    metrics: tuple[str, ...],
    select: Selection,
    where: tuple[str, ...],
    statuses: tuple[str, ...],
    baseline: tuple[str, ...],
    margin: float | None,
    anytime: bool,
    correction: Correction,
    test_noise: bool,
    tune: tuple[str, ...],
    searched: bool,
    shrink: bool,
    show: tuple[str, ...],
    sort: str | None,
    spark: bool,
    explain: bool,
    csv_file: Path | None,
    decimal_comma: bool,
    output: str | None,
    file: Path | None,
) -> None:
    """Compare the runs below DIRS (default: runs).

    For each group: n, the mean with its 95 % t interval, best and worst. Diverged, failed and unfinished runs are
    counted, never averaged. With --baseline: the difference by seed, exact sign-flip test, corrected p, verdict.
    """
    from regbench.analysis.summary import compare
    from regbench.records.frame import load
    from regbench.records.names import paths_of
    from regbench.tables import formats, terminal

    more = _columns(show)
    if spark and tune:
        raise UserError(
            "--spark: a row may have other tuned values at each seed, and has no one curve. Leave out --tune"
        )
    check_decimal_comma(decimal_comma, csv_file, output, file)
    against = options.against(baseline, margin, correction, anytime)
    runs = load(paths_of(dirs))
    tables = [
        compare(
            runs,
            split(by),
            metric,
            select,
            columns=split(cols),
            against=against,
            where=where,
            sort=sort,
            test_noise=test_noise,
            statuses=statuses,
            tune=split(tune),
            shrink=shrink,
            searched=searched,
        )
        for metric in dict.fromkeys(split(metrics))
    ]
    to_csv = partial(formats.to_csv, tables, more, decimal_comma=decimal_comma)
    if csv_file:
        write_csv(csv_file, to_csv())
    if not is_standard(csv_file):
        writers = _writers(formats, tables, more)
        writers |= {"csv": to_csv, "parquet": partial(formats.to_parquet, tables, more)}
        everything = explain or file is not None
        curves = _curves(runs, by, cols, tables[0].metric, select, where, statuses, against) if spark else None
        show_table = partial(terminal.table, tables, more=more, explain=everything, curves=curves)
        print_table(show_table, writers, output, file)


def _curves(
    runs: "Runs",
    by: tuple[str, ...],
    cols: tuple[str, ...],
    metric: "Metric",
    select: Selection,
    where: tuple[str, ...],
    statuses: tuple[str, ...],
    against: "Against | None",
) -> "Curves":
    """Average the epochs of each row: the metric, or the validation accuracy for a figure of the test images.

    Raises:
        UserError: the table is a pivot, or no run has epochs.
    """
    from regbench.analysis.curves import curves
    from regbench.analysis.question import Question

    if cols:
        raise UserError("--spark: a pivot has no room for curves. Leave out --cols, or use regbench plot curves")
    name = metric.name if metric.per_epoch and not metric.name.startswith("test_") else "val_acc"
    return curves(Question(runs, split(by), (), [name], select, where, statuses, against))


def _writers(module: ModuleType, *arguments: object) -> dict[str, Callable[[], str | bytes]]:
    """Return what makes the content of each format: the functions of a module with their arguments."""
    return {name: partial(getattr(module, function), *arguments) for name, function in SUMMARY_FORMATS.items()}


def _columns(show: tuple[str, ...]) -> list[str]:
    names = split(show)
    for name in names:
        if name not in SHOWN:
            raise UserError(f"--show {name}: {no_such('column', name, 'the summary', SHOWN)}")
    return names


@click.command(cls=Command)
@options.dirs
@click.option("--by", multiple=True, metavar="KEY", help="The knobs.  [default: keys that differ, seed aside]")
@click.option("--metric", default="test_acc", show_default=True, metavar="NAME", help="As in summary.")
@options.select
@options.where
@options.status
@options.searched
@click.option(
    "--sort", metavar="COLUMN", help="By effect, df, share, F, p; -COLUMN reverses.  [default: greatest share first]"
)
@options.csv_file
@options.decimal_comma
@options.output_format(*SUMMARY_FORMATS)
@options.output_file
def effects(
    dirs: tuple[str, ...],
    by: tuple[str, ...],
    metric: str,
    select: Selection,
    where: tuple[str, ...],
    statuses: tuple[str, ...],
    searched: bool,
    sort: str | None,
    csv_file: Path | None,
    decimal_comma: bool,
    output: str | None,
    file: Path | None,
) -> None:
    """Show which knob matters in a factorial sweep.

    DIRS hold its runs (default: runs). Main effects and two-way interactions by analysis of variance, the seed as
    block. regbench plot effects draws it.
    """
    from regbench.analysis.effects import effects as effects_of
    from regbench.records.frame import load
    from regbench.records.names import paths_of
    from regbench.tables import effects as tables
    from regbench.tables import terminal

    check_decimal_comma(decimal_comma, csv_file, output, file)
    runs = load(paths_of(dirs))
    variance = effects_of(runs, split(by), metric, select, where, statuses, searched)
    ordered = tables.in_order(variance, sort) if sort else variance
    to_csv = partial(tables.to_csv, ordered, decimal_comma=decimal_comma)
    if csv_file:
        write_csv(csv_file, to_csv())
    if not is_standard(csv_file):
        writers = _writers(tables, ordered) | {"csv": to_csv}
        print_table(lambda c: terminal.show(tables.cells(ordered), ordered.notes, c), writers, output, file)
    warn_of_unreadable(runs)
