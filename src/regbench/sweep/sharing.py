"""Two processes, or two machines, on one sweep: one of them trains a run, and both wait for all runs."""

import time
from collections import Counter
from collections.abc import Callable, Sequence

from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.records.locks import is_locked, lock_fault
from regbench.text import plural

_SECONDS = 0.5  # between looks at the runs that others train
_TRIES = 3  # at a run that others left undone, or that refuses to begin


def share(runs: Sequence[Run], train: Callable[[Sequence[Run]], object]) -> None:
    """Train the runs, if any; then wait for those that another process trains, and train what it leaves undone.

    Nothing is waited for once the time of the sweep is over.
    """
    if not runs:
        return
    tries: Counter[int] = Counter()
    told = False
    train(runs)
    while not runs[0].is_late and (
        rest := [place for place, run in enumerate(runs) if tries[place] < _TRIES and not _settled(run)]
    ):
        free = [place for place in rest if not is_locked(runs[place].path)]
        tries.update(free)
        tries.update({place: _TRIES for place in free if lock_fault(runs[place].path)})  # which would repeat
        if undone := [runs[place] for place in free if tries[place] <= _TRIES and not _settled(runs[place])]:
            train(undone)
        elif not told and not free:
            told = True
            waiting = plural(len(rest), "run")
            Reporter(runs[0].config.runtime.progress).say(f"waits for {waiting} that another process is training")
        if not free:
            time.sleep(_SECONDS)


def _settled(run: Run) -> bool:
    """Whether the run has ended. A run that failed is trained again by the next start, not by this one."""
    status = run.status()
    return (status.finished or status.pruned or status.state == "failed") and not is_locked(run.path)
