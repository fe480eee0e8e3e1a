"""Train seeds in rounds until each row is decided: judged after each round by verdicts that are valid at any number."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hydra.plugins.launcher import Launcher

from regbench.analysis.corrections import Correction
from regbench.errors import UserError
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.records.metrics import METRICS
from regbench.sweep.job import Job
from regbench.sweep.plan import Plan, plan
from regbench.sweep.rows import METRIC, Rows, words_of
from regbench.sweep.run import compare, count_ended, leave_if_failed, resumable, show_end, train
from regbench.sweep.watch import Watch
from regbench.text import plural

FIRST = 6  # seeds of the first round: fewer decide nothing
_MORE = 4  # seeds of each later round: few, to stop early, and several, to train together
_CORRECTION: Correction = "holm"


@dataclass(frozen=True)
class Goal:
    """When to stop.

    Attributes:
        baseline: what rows are compared with; None: what the sweep's own table is compared with.
        margin: differences smaller than this do not matter, in percentage points.
        max_seeds: the most seeds of a row.
    """

    baseline: str | None = None
    margin: float | None = None
    max_seeds: int = 50

    def check(self) -> None:
        """Raise UserError unless it can be reached."""
        if self.max_seeds < FIRST:
            raise UserError(f"--max-seeds {self.max_seeds}: must be at least {FIRST}: fewer seeds decide nothing")
        if self.margin is not None and not self.margin > 0:
            raise UserError(f"--margin {self.margin:g}: must be above 0")


class Rounds:
    """A sweep that trains a few seeds of every row, then more seeds of those that are undecided, and of the baseline.

    What a round trains depends on the figures of the earlier ones only: stopped and started again, it ends the same.
    """

    def __init__(
        self, launcher: Launcher, first: Iterable[Job], more: Callable[[Sequence[int]], Iterable[Job]], goal: Goal
    ) -> None:
        """Check the first round, and that there is something to compare.

        Args:
            launcher: trains.
            first: the jobs of the first round.
            more: composes the jobs of these seeds.
            goal: when to stop.

        Raises:
            UserError: something in one of the jobs does not fit, or there is no such baseline.
        """
        goal.check()
        self._launcher, self._more, self._goal = launcher, more, goal
        self._first = plan(first)
        self._rows = Rows(self._first.runs)
        self._label, self._baseline = self._rows.baselines(goal.baseline)
        self._reporter = Reporter(self._first.runs[0].config.runtime.progress)
        self._runs: list[Run] = []
        self._pending: list[Run] = []

    def run(self) -> None:
        """Train; show the table, and what it took. Leaves with exit code 1 if a run failed."""
        start = time.monotonic()
        with resumable(lambda: f"{count_ended(self._runs)} of {plural(len(self._runs), 'run')} so far"):
            self.train()
        self._show(time.monotonic() - start)
        leave_if_failed(self._pending, "run", self._reporter)

    def train(self) -> list[Run]:
        """Train round after round; return the runs of all of them."""
        planned: Plan | None = self._first
        while planned:
            self._train(planned)
            planned = self._next(planned)
        return self._runs

    def _train(self, planned: Plan) -> None:
        seeds = sorted({run.config.seed for run in planned.runs})
        self._reporter.say(f"Seeds {_span(seeds)}: {planned}", "bold")
        self._runs += planned.runs
        self._pending += planned.pending
        with Watch(self._reporter, len(planned.runs)) as watch:
            train(self._launcher, planned.runs, planned.pending, watch)

    def _next(self, planned: Plan) -> Plan | None:
        """Plan the next round; None if all rows are decided, a run failed, or there are as many seeds as allowed."""
        undecided = self._undecided()
        done = len({run.config.seed for run in self._runs})
        self._reporter.say(self._standing(undecided, done))
        failed = any(not run.status().finished for run in planned.runs)
        number = min(max(_MORE, FIRST - done), self._goal.max_seeds - done)
        if failed or not undecided or number < 1:
            return None
        first = max(run.config.seed for run in self._runs) + 1
        wanted = {self._rows.words[place] for row in undecided for place in (row, self._partner(row))}
        jobs = self._more(range(first, first + number))
        return plan(job for job in jobs if words_of(job.overrides) in wanted)

    def _partner(self, row: int) -> int:
        base = self._baseline[row]
        return row if base is None else base

    def _undecided(self) -> list[int]:
        """List the rows with a baseline and without a verdict."""
        from regbench.analysis import verdict  # scipy.stats and statsmodels take their time

        metric = METRICS[METRIC]
        margin = None if self._goal.margin is None else self._goal.margin / metric.scale
        outcomes = self._rows.outcomes(self._runs)
        found = verdict.compared(outcomes, self._baseline, metric, margin, _CORRECTION, anytime=True)
        return [row for row, comparison in enumerate(found) if comparison.verdict == "undecided"]

    def _standing(self, undecided: Sequence[int], seeds: int) -> str:
        rows = sum(base not in (None, row) for row, base in enumerate(self._baseline))
        if not undecided:
            return f"  {plural(rows, 'row')} decided"
        names = self._rows.names(undecided)
        return f"  {rows - len(undecided)} of {plural(rows, 'row')} decided, undecided after {seeds} seeds: {names}"

    def _show(self, seconds: float) -> None:
        """Show the table of all runs with the same verdicts, and what it took."""
        from regbench.analysis.table import Against

        goal = self._goal
        compare(self._runs, self._reporter, self._rows.keys, Against([self._label], goal.margin, _CORRECTION, True))
        whole = len(self._rows.words) * goal.max_seeds
        self._reporter.say(f"\n{plural(len(self._runs), 'run')} in place of {whole} with {goal.max_seeds} seeds each")
        margin = [] if goal.margin is None else ["--margin", f"{goal.margin:g}"]
        options = ["--baseline", self._label, *margin, "--anytime"]
        show_end(self._runs, len(self._pending), seconds, self._reporter, options)


def _span(seeds: Sequence[int]) -> str:
    """Write `0 to 5`, or the seeds themselves."""
    in_line = len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]} to {seeds[-1]}" if in_line else ", ".join(map(str, seeds))
