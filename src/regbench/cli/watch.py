"""The command that follows a sweep while it trains: watch."""

import click

from regbench.analysis.corrections import Correction
from regbench.cli import options
from regbench.cli.options import Command, split
from regbench.records.metrics import Selection


@click.command(cls=Command)
@options.dirs
@options.by
@click.option("--metric", default="test_acc", show_default=True, metavar="NAME", help="As in summary.")
@options.select
@options.where
@options.baseline
@options.margin
@options.anytime
@options.correction
@options.sort
@click.option("--every", type=click.FloatRange(min=0.1), default=2.0, metavar="S", show_default=True, help="Seconds.")
@click.option("--once", is_flag=True, help="Look once.")
def watch(
    dirs: tuple[str, ...],
    by: tuple[str, ...],
    metric: str,
    select: Selection,
    where: tuple[str, ...],
    baseline: tuple[str, ...],
    margin: float | None,
    anytime: bool,
    correction: Correction,
    sort: str | None,
    every: float,
    once: bool,
) -> None:
    """Follow runs while they train, from any machine.

    The machine must see the folders DIRS (default: runs). Redraws the table of a summary on a terminal; elsewhere
    prints a line when something changed, and the table in the end. Ends when no run trains any more, or by Ctrl-C. p in
    a table that you look at again and again is only valid with --anytime.
    """
    from regbench.analysis.question import Question
    from regbench.console import console
    from regbench.records.frame import load
    from regbench.records.listing import listing
    from regbench.records.names import paths_of
    from regbench.tables import live

    roots = paths_of(dirs)
    against = options.against(baseline, margin, correction, anytime)

    def look() -> live.Look:
        question = Question(load(roots), split(by), (), [metric], select, where, (), against, sort)
        return live.look(listing(roots).only(where=where), question)

    if once:
        live.show(look(), console())
    else:
        live.follow(look, console(), every)
