"""Looks at the runs of a sweep again and again while they train, and shows how far they are."""

import _thread
import signal
import threading
import time
from collections.abc import Sequence

from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.sweep.screen import Lines, choose_screen
from regbench.sweep.standing import Standing

SECONDS_BETWEEN_LOOKS = 0.5
_SHARE = 0.02  # of the time, at most, for looking: with many runs, or over a slow network, looks are rarer


class Watch:
    """Shows how far a sweep is, inside a `with` block.

    If the reader of the output goes away, as in `| head -1`, the sweep stops as a single run does: as by Ctrl-C, and
    rich's SystemExit leaves the block (only at its end if interrupts are ignored, as in a script's background job).
    Any other error in looking costs a warning and what would have been shown, never the sweep.
    """

    def __init__(self, reporter: Reporter, total: int) -> None:
        """`total`: the runs there will be; some may not be known yet."""
        self._reporter, self._standing = reporter, Standing(total)
        self._screen: Lines | None = None
        self._over = threading.Event()
        self._gone: BaseException | None = None  # what writing raised when there was no reader any more
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> "Watch":
        if self._reporter.mode != "off":
            self._screen = choose_screen(self._reporter, self._standing)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._over.set()
            if self._thread.is_alive():
                self._thread.join()
        finally:
            if self._screen:
                self._screen.stop()
            if self._gone:  # in place of the interrupt that it caused
                raise self._gone

    def add(self, runs: Sequence[Run], pending: Sequence[Run]) -> None:
        """Watch more runs of the sweep; the pending ones of them are left to train."""
        if self._reporter.mode != "off":
            self._standing.add(runs, pending)

    def leave_out(self) -> None:
        """Count a run as done that is not trained, because its values do not fit one another."""
        self._standing.leave_out()

    def follow(self, units: Sequence[Sequence[Run]]) -> None:
        """Show a bar for each unit, the runs that train together."""
        self._standing.follow(units)

    def tell(self, workers: str, is_news: bool) -> None:
        """Show how the workers stand: beside the counts, and at once if it is news."""
        self._standing.workers = workers
        self._standing.has_news |= is_news

    def reporter(self, unit: Sequence[Run]) -> Reporter:
        """Return what a unit that trains in this process reports to: its bar moves within epochs, too."""
        reporter = Reporter("off")
        self._standing.train_here(unit, reporter)
        return reporter

    def _look_on(self) -> None:
        assert self._screen
        pause = 0.0
        try:
            while not self._over.wait(pause):
                start = time.monotonic()
                self._screen.show(self._standing.look())
                pause = max(SECONDS_BETWEEN_LOOKS, (time.monotonic() - start) / _SHARE)
            self._screen.show(self._standing.look())
        except (SystemExit, BrokenPipeError) as error:
            self._gone = error
            if not self._over.is_set():
                _interrupt()
        except Exception as error:
            self._screen.stop()
            self._reporter.warn(
                f"progress is not shown from here, the sweep continues ({type(error).__name__}: {error})"
            )


def _interrupt() -> None:
    """Do to the main thread what Ctrl-C does, whatever it waits for."""
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main:
        signal.pthread_kill(main, signal.SIGINT)
    else:
        _thread.interrupt_main()
