"""Progress of a whole sweep, whoever trains it: read from what its runs write to disk, which all engines share."""

import _thread
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.sweep.observed_run import DONE, Followed
from regbench.sweep.plan import telling

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live


SECONDS = 0.5  # between looks
SHARE = 0.02  # of the time, at most, goes into looking: with many runs, or over a slow network, it is done less often
QUIET = 60.0  # seconds without a line, after which one says how far it is
BESIDE_STACKS = 4  # lines of the terminal that are not for stacks


class Watch:
    """Shows how far a sweep is, inside a `with` block: bars on a terminal, elsewhere a line for each run that ends.

    A reader of the output that goes, as in `| head -1`, stops the sweep as it stops a single run: as Ctrl-C would, and
    rich's SystemExit leaves the block (if interrupts are ignored, as in a script's background job, only at its end).
    Any other error of the looking costs a warning and what would have been shown, never the sweep.
    """

    def __init__(self, reporter: Reporter, total: int) -> None:
        """`total`: the runs there will be, of which some may not be known yet."""
        self._reporter, self._total = reporter, total
        self._unfit = 0
        self._runs: list[Followed] = []
        self._shared: set[str] | None = None  # overrides that all runs have, and that tell none from another
        self._units: list[list[Followed]] = []
        self._here: tuple[list[Followed], Reporter] | None = None
        self._over = threading.Event()
        self._gone: BaseException | None = None  # what writing raised when nobody read any more
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._live: Live | None = None
        self._began = self._said = time.monotonic()

    def __enter__(self) -> "Watch":
        if self._reporter.mode != "off":
            self._live = self._terminal()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        try:
            if self._thread.is_alive():
                self._thread.join()
        finally:
            if self._live:
                self._live.stop()
            if self._gone:  # in place of the interrupt that it caused
                raise self._gone

    def add(self, runs: Sequence[Run], pending: Sequence[Run]) -> None:
        """Runs of the sweep, and those of them that are to be trained."""
        waiting = set(map(id, pending))
        for run in runs if self._reporter.mode != "off" else ():
            own = set(run.overrides)
            self._shared = own if self._shared is None else self._shared & own
            self._runs.append(Followed(run, id(run) in waiting))

    def leave_out(self) -> None:
        """One run fewer than there were to be is trained: its values do not fit one another."""
        self._unfit += 1

    def follow(self, units: Sequence[Sequence[Run]]) -> None:
        """The runs that train together: each unit has a bar."""
        self._units = [self._of(unit) for unit in units]

    def reporter(self, unit: Sequence[Run]) -> Reporter:
        """Who is to be told of a unit that trains in this process: the bar moves within its epochs, too."""
        self._here = self._of(unit), Reporter("off")
        return self._here[1]

    def _of(self, unit: Sequence[Run]) -> list[Followed]:
        mine = set(map(id, unit))
        return [each for each in self._runs if id(each.run) in mine]

    def _look_on(self) -> None:
        pause = 0.0
        try:
            while not self._over.wait(pause):
                pause = self._look()
            self._look()
        except (SystemExit, BrokenPipeError) as error:
            self._gone = error
            if not self._over.is_set():
                _interrupt()
        except Exception as error:
            if self._live:
                self._live.stop()
            self._reporter.warn(f"progress is not shown from here, the sweep goes on ({type(error).__name__}: {error})")

    def _look(self) -> float:
        """Look at all runs and show what is new; the seconds until the next look."""
        start = time.monotonic()
        for each in list(self._runs):
            if each.look() and (not self._live or each.state == "failed"):
                self._say(f"{', '.join([*self._counts(), *self._left()])}  {self._name([each])}  {each.end()}")
        if self._live:
            self._live.update(self._screen(), refresh=True)
        elif start - self._said > QUIET:
            self._say(", ".join([*self._counts(), *self._left()]))
        return max(SECONDS, (time.monotonic() - start) / SHARE)

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        self._reporter.say(text)

    def _counts(self) -> list[str]:
        """`3 of 12 done`, `1 failed`, `2 training`."""
        states = Counter(each.state for each in self._runs)
        running = [f"{states['running']} training"] * bool(states["running"])
        done = sum(states[state] for state in DONE) + self._unfit
        return [f"{done} of {self._total} done", f"{states['failed']} failed", *running]

    def _left(self) -> list[str]:
        """`0:00:42 left`, by the epochs that were trained since the sweep began; nothing before the first."""
        begun = self._within(self._runs)
        trained = begun + sum(each.trained - each.before for each in self._runs)
        left = sum(each.left for each in self._runs) - begun
        if self._runs:  # those to come will be like those that are known
            to_come = self._total - self._unfit - len(self._runs)
            left += to_come * sum(each.run.config.epochs for each in self._runs) / len(self._runs)
        seconds = (time.monotonic() - self._began) * left / trained if trained else 0
        return [f"{timedelta(seconds=round(seconds))} left"] * (seconds > 0)

    def _within(self, unit: Sequence[Followed]) -> float:
        """Epochs' worth of work of the epochs that are not over, as far as this process knows of them."""
        if self._here is None:
            return 0.0
        (mine, reporter), among = self._here, set(unit)
        return reporter.fraction * sum(each.state == "running" for each in mine if each in among)

    def _part(self, unit: Sequence[Followed]) -> float:
        """How much of the work of so many runs is done."""
        epochs = sum(each.run.config.epochs for each in unit)
        return 1 - (sum(each.left for each in unit) - self._within(unit)) / max(epochs, 1)

    def _name(self, unit: Sequence[Followed]) -> str:
        """What tells the runs from the others of the sweep."""
        return telling([each.run.overrides for each in unit], self._shared or ())

    def _best(self) -> str:
        """Of the completed runs: validation chooses; only where one has no validation images, the test."""
        done = [each for each in self._runs if each.state == "completed"]
        for key, name in (("val_acc", "validation"), ("test_acc", "test")):
            figures = [(each.record["result"]["best_val"][key], each) for each in done]
            if figures and all(figure is not None for figure, _ in figures):
                figure, best = max(figures, key=lambda pair: pair[0])
                return f"best {name} accuracy so far: {figure * 100:.2f} %  {self._name([best])}"
        return ""

    def _terminal(self) -> "Live | None":
        from rich.live import Live

        console = self._reporter.console
        if self._reporter.mode != "bar" or not console.is_terminal:
            return None
        live = Live(console=console, transient=True, auto_refresh=False, redirect_stderr=sys.stderr.isatty())
        live.start()
        return live

    def _screen(self) -> "Group":
        """A bar for the whole sweep, one for each stack that trains; the best so far."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        running = [unit for unit in self._units if any(each.state == "running" for each in unit)]
        room = max(self._reporter.console.height - BESIDE_STACKS, 1)
        rows = [(", ".join(self._counts()), self._runs, "".join(self._left()))]
        rows += [(self._name(unit), unit, _epoch(unit)) for unit in running[:room]]
        bars = Table.grid(padding=(0, 2, 0, 0), expand=True)
        for ratio in (3, 1):
            bars.add_column(ratio=ratio, no_wrap=True, overflow="ellipsis")
        bars.add_column(justify="right", no_wrap=True)
        for text, unit, right in rows:
            bars.add_row(Text(text), ProgressBar(1.0, self._part(unit)), right)
        if len(running) > room:
            bars.add_row(f"and {len(running) - room} more")
        # A last line that fills the terminal would be followed by the ^C of Ctrl-C on another one.
        return Group(bars, Text(self._best(), style="bold", no_wrap=True, overflow="ellipsis"))


def _interrupt() -> None:
    """As Ctrl-C for the main thread, whatever it waits for."""
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main:
        signal.pthread_kill(main, signal.SIGINT)
    else:
        _thread.interrupt_main()


def _epoch(unit: Sequence[Followed]) -> str:
    """The epoch that a stack is in: its runs go in step, but for those that another process or half of it trains."""
    least = min(each.trained for each in unit if each.state == "running")
    return f"epoch {min(least + 1, unit[0].run.config.epochs)}/{unit[0].run.config.epochs}"
