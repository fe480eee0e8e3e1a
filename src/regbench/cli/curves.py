"""The command that draws learning curves in the terminal: curves."""

import click

from regbench.cli import options
from regbench.cli.options import Command, split
from regbench.cli.output import warn_of_unreadable
from regbench.records.metrics import Selection


@click.command(cls=Command)
@options.dirs
@options.by
@click.option("--cols", multiple=True, metavar="KEY", help="A chart for each value of these keys.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Any column of metrics.csv, or several.  [default: val_acc]",
)
@options.select
@options.where
@options.status
@options.x
def curves(
    dirs: tuple[str, ...],
    by: tuple[str, ...],
    cols: tuple[str, ...],
    metrics: tuple[str, ...],
    select: Selection,
    where: tuple[str, ...],
    statuses: tuple[str, ...],
    x: str,
) -> None:
    """Draw mean learning curves in the terminal.

    DIRS hold the runs (default: runs). The mean over the runs of a row, epoch by epoch; n at the last one. regbench
    plot curves draws them with their band.
    """
    from regbench.analysis.curves import curves as curves_of
    from regbench.analysis.question import Question
    from regbench.console import console
    from regbench.records.frame import load
    from regbench.records.names import paths_of
    from regbench.tables import chart

    question = Question(
        load(paths_of(dirs)),
        split(by),
        split(cols),
        split(metrics),
        select,
        where,
        statuses,
    )
    chart.show(curves_of(question, x=x), console())  # type: ignore[arg-type]
    warn_of_unreadable(question.runs)
