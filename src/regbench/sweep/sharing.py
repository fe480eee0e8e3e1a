"""Two processes, or two machines, on one sweep: each run is trained by one, and both wait for all."""

import time
from collections import Counter
from collections.abc import Callable, Sequence

from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.records.run_json import is_locked
from regbench.text import plural

SECONDS = 0.5  # between looks at the runs that others have
TRIES = 3  # at a run that others left undone, or that refuses to begin


def share(runs: Sequence[Run], train: Callable[[Sequence[Run]], None]) -> None:
    """Train the runs; then wait for those that another process has, and train what it leaves undone."""
    tries: Counter[int] = Counter()
    said = False
    train(runs)
    while rest := [place for place, run in enumerate(runs) if tries[place] < TRIES and not _settled(run)]:
        free = [place for place in rest if not _in_use(runs[place])]
        tries.update(free)
        if undone := [runs[place] for place in free if not _settled(runs[place])]:
            train(undone)
        elif not said and not free:
            said = True
            some = plural(len(rest), "run")
            Reporter(runs[0].config.runtime.progress).say(f"waits for {some} that another process is training")
        if not free:
            time.sleep(SECONDS)


def _in_use(run: Run) -> bool:
    return is_locked(run.path)


def _settled(run: Run) -> bool:
    """Whether it has come to an end: a run that fails is tried again by the next start, not by this one."""
    status = run.status()
    return (status.finished or status.pruned or status.state == "failed") and not is_locked(run.path)
