"""The table of a sweep while it trains: redrawn on a terminal, a line for each change elsewhere."""

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from regbench.analysis.question import Question
from regbench.analysis.table import Table
from regbench.errors import UserError
from regbench.records.files import METRICS, RUN
from regbench.records.listing import Entry, Listing
from regbench.tables import terminal
from regbench.tables.run_list import footer

_QUIET = 120.0  # seconds: a run whose files are younger may train on a machine whose locks are not seen here
_PATIENCE = 3  # looks without a run that trains, after which none will: between stacks there may be none for a moment
_ENDED = "No run trains any more."


@dataclass(frozen=True)
class Look:
    """How far the runs are: their comparison, or why there is none yet."""

    progress: str
    table: Table | None
    reason: str
    training: int
    queued: int  # runs that a sweep has left to begin


def look(runs: Listing, question: Question) -> Look:
    """Compare the runs that are completed, and count those that train."""
    training = sum(map(trains, runs.entries))
    queued = sum(len(sweep.runs) for sweep in runs.sweeps if sweep.is_alive)
    try:
        table, reason = question.table(), ""
    except UserError as error:
        table, reason = None, str(error)
    return Look(_progress(runs, training), table, reason, training, queued)


def trains(entry: Entry) -> bool:
    """Tell whether a process trains a run: it holds the lock, or has written to the run a moment ago."""
    return entry.status == "running" or (entry.status == "killed" and _age(entry.path) < _QUIET)


def _age(run: Path) -> float:
    moments = [path.stat().st_mtime for name in (METRICS, RUN) if (path := run / name).exists()]
    return time.time() - max(moments, default=0.0)


def _progress(runs: Listing, training: int) -> str:
    """Write `18 runs: 10 completed, 8 running; 44 of 54 epochs, 8 train`."""
    counts, *unreadable = footer(runs)
    done = sum(int(entry.values["trained"] or 0) for entry in runs.entries)
    planned = sum(int(entry.values.get("epochs") or 0) for entry in runs.entries)
    return "; ".join([f"{counts}; {done:,} of {planned:,} epochs, {training} in training", *unreadable])


def show(look: Look, console: Console) -> None:
    """Print one look: the progress, then the table."""
    console.print(Text(look.progress), style="bold", soft_wrap=True)
    if look.table:
        console.print()
        terminal.table(look.table, console)
    else:
        console.print(Text(look.reason), soft_wrap=True)


def follow(take: Callable[[], Look], console: Console, seconds: float) -> None:
    """Look again and again, until no run trains any more or the user interrupts."""
    looks = _looks(take, seconds)
    try:
        if console.is_terminal and not console.is_dumb_terminal:
            _redraw(looks, console)
        else:
            _report(looks, console)
        console.print(_ENDED)
    except KeyboardInterrupt:  # the way to leave: no failure
        pass


def _looks(take: Callable[[], Look], seconds: float) -> Iterator[Look]:
    idle = 0
    while True:
        look = take()
        yield look
        idle = 0 if look.training or look.queued else idle + 1
        if idle == _PATIENCE:
            return
        time.sleep(seconds)


def _redraw(looks: Iterator[Look], console: Console) -> None:
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as screen:
        for found in looks:
            page = Console(file=io.StringIO(), width=console.width, highlight=False)
            with page.capture() as captured:
                show(found, page)
            screen.update(Text(captured.get().rstrip()), refresh=True)


def _report(looks: Iterator[Look], console: Console) -> None:
    last: Look | None = None
    for found in looks:
        if last is None or found.progress != last.progress:
            console.print(Text(found.progress), soft_wrap=True)
        last = found
    if last:
        show(last, console)
