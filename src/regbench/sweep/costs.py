"""What an epoch of each run costs, to say how much of a sweep is left: unlike models take unlike time."""

from collections.abc import Sequence
from functools import cached_property
from statistics import fmean

from regbench.sweep.observed_run import ObservedRun


def _work(observed: ObservedRun) -> float:
    from regbench.sweep.speed import work  # with torch

    return work(observed.run.config)


class Costs:
    """Seconds of an epoch: as the runs of its shape took, or else the work of an epoch at the pace of the others."""

    def __init__(self, runs: Sequence[ObservedRun]) -> None:
        self._runs = runs
        seconds: dict[str, list[float]] = {}
        for observed in runs:
            if observed.seconds:
                seconds.setdefault(observed.shape, []).append(observed.seconds)
        self._of_shape = {shape: fmean(measured) for shape, measured in seconds.items()}

    def of_epoch(self, observed: ObservedRun) -> float:
        """Return the cost of an epoch of a run, in seconds once any run has trained one."""
        if seconds := self._of_shape.get(observed.shape):
            return seconds
        return self._pace * _work(observed)

    @cached_property
    def _pace(self) -> float:
        """The seconds of a unit of work in the runs that have trained; 1 before."""
        measured = [observed for observed in self._runs if observed.seconds]
        works = sum(_work(observed) for observed in measured)
        return sum(observed.seconds for observed in measured) / works if works else 1.0
