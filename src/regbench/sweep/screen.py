"""What a person sees of a sweep while it trains: bars on a terminal, lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from regbench.experiment.reporter import Reporter
from regbench.sweep.observed_run import ObservedRun
from regbench.sweep.standing import Standing

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

_QUIET = 60.0  # seconds without a line, after which one says how far the sweep is
_PERCENT = 7  # columns beside the bar of the sweep
_BESIDE_STACKS = 5  # lines of the terminal that are not for stacks


class Lines:
    """A line for each run that ends, and one after a long silence."""

    def __init__(self, reporter: Reporter, standing: Standing) -> None:
        self._reporter, self._standing = reporter, standing
        self._began = self._told = time.monotonic()

    def show(self, ended: Iterable[ObservedRun]) -> None:
        """Show the standing, with each run that has ended since it was last shown."""
        for observed in ended:
            self._say(f"{self._progress()}  {self._standing.name([observed])}  {observed.end()}")
        if self._standing.has_news or time.monotonic() - self._told > _QUIET:
            self._standing.has_news = False
            self._say(self._progress())

    def stop(self) -> None:
        """Leave the console as it was."""

    def _say(self, text: str) -> None:
        self._told = time.monotonic()
        self._reporter.say(text)

    def _progress(self) -> str:
        return ", ".join(filter(None, [self._standing.counts(), self._time_left()]))

    def _time_left(self) -> str:
        return self._standing.time_left(time.monotonic() - self._began)


class Bars(Lines):
    """A bar for the whole sweep, one for each stack that trains, the best so far; above them a line for a failure."""

    def __init__(self, reporter: Reporter, standing: Standing) -> None:
        from rich.live import Live

        super().__init__(reporter, standing)
        console, capture = reporter.console, sys.stderr.isatty()
        self._live = Live(console=console, transient=True, auto_refresh=False, redirect_stderr=capture)
        self._live.start()

    def show(self, ended: Iterable[ObservedRun]) -> None:
        """Draw the bars anew."""
        for observed in ended:
            if observed.state == "failed":
                self._say(f"{self._progress()}  {self._standing.name([observed])}  {observed.end()}")
        self._live.update(self._drawn(), refresh=True)

    def stop(self) -> None:
        """Take the bars away; the cursor comes back."""
        self._live.stop()

    def _drawn(self) -> "Group":
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        standing, width = self._standing, self._reporter.console.width
        training = [unit for unit in standing.units if any(observed.state == "running" for observed in unit)]
        room = max(self._reporter.console.height - _BESIDE_STACKS, 1)
        above, bars = Table.grid(expand=True), Table.grid(padding=(0, 2, 0, 0), expand=True)
        for table in (above, bars):
            table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        above.add_column(justify="right", no_wrap=True)
        above.add_row(Text(standing.counts()), f"{self._elapsed()} so far  {self._time_left()}".rstrip())
        bars.add_column(no_wrap=True)
        bars.add_column(justify="right", no_wrap=True)
        for unit in training[:room]:
            bars.add_row(Text(standing.name(unit)), self._bar(unit, width // 3), _epoch(unit))
        if len(training) > room:
            bars.add_row(f"and {len(training) - room} more")
        # After a last line that fills the terminal, the ^C of Ctrl-C would appear on a line below.
        best = Text(standing.best(), style="bold", no_wrap=True, overflow="ellipsis")
        return Group(above, self._bar(standing.runs, width - _PERCENT), bars, best)

    def _elapsed(self) -> timedelta:
        return timedelta(seconds=round(time.monotonic() - self._began))

    def _bar(self, runs: Sequence[ObservedRun], width: int) -> "Text":
        """Draw a bar whose full and empty parts differ without colour, and the part in percent."""
        from rich.text import Text

        part = self._standing.part_done(runs)
        full, empty = "#-" if self._reporter.console.options.ascii_only else "█░"
        done = int(part * width)
        bar = Text(full * done, style="green", no_wrap=True, overflow="crop")
        return bar.append(empty * (width - done), style="dim").append(f" {int(part * 100):>3} %", style="default")


def choose_screen(reporter: Reporter, standing: Standing) -> Lines:
    """Choose bars for a terminal, lines for anything else."""
    return (Bars if reporter.mode == "bar" and reporter.console.is_terminal else Lines)(reporter, standing)


def _epoch(unit: Sequence[ObservedRun]) -> str:
    """Name the epoch of a stack: its runs are in step, except those that another process or another half trains."""
    epochs = unit[0].run.config.epochs
    least = min(observed.trained for observed in unit if observed.state == "running")
    return f"epoch {min(least + 1, epochs)}/{epochs}"
