"""How far a sweep is, read from what its runs write to disk, whichever engine trains them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.sweep.costs import Costs
from regbench.sweep.observed_run import DONE, ObservedRun
from regbench.sweep.wording import distinguishing


class Standing:
    """The runs of a sweep as they were at the last look: counts, time left, the best so far."""

    def __init__(self, total: int) -> None:
        """`total`: the runs there will be; some may not be known yet."""
        self._total = total
        self._unfit = 0
        self._shared: set[str] | None = None  # overrides that all runs have, and that tell none from another
        self._here: tuple[list[ObservedRun], Reporter] | None = None
        self.workers = ""  # how those of an engine stand, in its words
        self.has_news = False  # of the workers
        self.runs: list[ObservedRun] = []
        self.units: list[list[ObservedRun]] = []  # runs that train together

    def add(self, runs: Sequence[Run], pending: Sequence[Run]) -> None:
        """Add runs of the sweep; the pending ones of them are left to train."""
        waiting = set(map(id, pending))
        for run in runs:
            self._shared = set(run.overrides) if self._shared is None else self._shared & set(run.overrides)
            self.runs.append(ObservedRun(run, id(run) in waiting))

    def leave_out(self) -> None:
        """Count a run as done that is not trained, because its values do not fit one another."""
        self._unfit += 1

    def follow(self, units: Sequence[Sequence[Run]]) -> None:
        """Name the runs that train together."""
        self.units = [self._observed(unit) for unit in units]

    def train_here(self, unit: Sequence[Run], reporter: Reporter) -> None:
        """Name the runs that train in this process; the reporter knows how far their epoch is."""
        self._here = self._observed(unit), reporter

    def _observed(self, unit: Sequence[Run]) -> list[ObservedRun]:
        members = set(map(id, unit))
        return [observed for observed in self.runs if id(observed.run) in members]

    def look(self) -> Iterator[ObservedRun]:
        """Look at one directory after another; yield each run that has ended since the last look."""
        return (observed for observed in list(self.runs) if observed.look())

    def counts(self) -> str:
        """`3 of 12 done, 1 failed, 2 training, Slurm job 17: 2 running, 6 pending (Resources)`."""
        states = Counter(observed.state for observed in self.runs)
        done = sum(states[state] for state in DONE) + self._unfit
        training = [f"{states['running']} training"] * bool(states["running"])
        workers = [self.workers] * bool(self.workers)
        return ", ".join([f"{done} of {self._total} done", f"{states['failed']} failed", *training, *workers])

    def time_left(self, seconds: float) -> str:
        """`0:00:42 left`, by the speed of each shape in the seconds since the sweep began; empty before an epoch."""
        costs = Costs(self.runs)
        begun = sum(costs.of_epoch(observed) for observed in self._training_here(self.runs)) * self._fraction
        trained = begun + sum(costs.of_epoch(observed) * (observed.trained - observed.before) for observed in self.runs)
        left = sum(costs.of_epoch(observed) * observed.left for observed in self.runs) - begun
        if self.runs:  # runs that are not known yet will be like those that are
            unknown = self._total - self._unfit - len(self.runs)
            whole = sum(costs.of_epoch(observed) * observed.run.config.epochs for observed in self.runs)
            left += unknown * whole / len(self.runs)
        rest = seconds * left / trained if trained else 0
        return f"{timedelta(seconds=round(rest))} left" if rest > 0 else ""

    def part_done(self, runs: Sequence[ObservedRun]) -> float:
        """Compute which part of the runs' epochs is done, from 0 to 1."""
        epochs = sum(observed.run.config.epochs for observed in runs)
        return 1 - (sum(observed.left for observed in runs) - self._part_of_epochs(runs)) / max(epochs, 1)

    def _part_of_epochs(self, runs: Sequence[ObservedRun]) -> float:
        """Add up the parts of epochs that are not over, as far as this process knows of them."""
        return self._fraction * len(self._training_here(runs))

    @property
    def _fraction(self) -> float:
        """The part of the present epoch that is over, of the runs that train in this process."""
        return self._here[1].fraction if self._here else 0.0

    def _training_here(self, runs: Sequence[ObservedRun]) -> list[ObservedRun]:
        members = set(runs)
        here = self._here[0] if self._here else []
        return [observed for observed in here if observed.state == "running" and observed in members]

    def name(self, runs: Sequence[ObservedRun]) -> str:
        """Write the overrides that tell the runs from the others of the sweep."""
        return distinguishing([observed.run.overrides for observed in runs], self._shared or ())

    def best(self) -> str:
        """Name the best completed run by validation; by the test only if a run has no validation images."""
        completed = [(observed.result["best_val"], observed) for observed in self.runs if observed.result]
        for key, name in (("val_acc", "validation"), ("test_acc", "test")):
            if completed and all(figures[key] is not None for figures, _ in completed):
                figures, best = max(completed, key=lambda pair: pair[0][key])
                return f"best {name} accuracy so far: {figures[key] * 100:.2f} %  {self.name([best])}"
        return ""
