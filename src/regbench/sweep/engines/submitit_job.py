"""What a job of submitit does, on its node."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import submitit

from regbench.sweep.engines.units import Unit
from regbench.sweep.engines.workers import work

_SECONDS = 0.5  # between looks at the parent
_STOPPED = "its job was preempted or out of time"


class Job:
    """Trains a unit. Slurm queues the job again if it is preempted or out of time; then it resumes."""

    def __call__(self, unit: Unit, folder: str, parent: int | None) -> None:
        """Train a unit; if there is a parent, die with it."""
        if parent:
            threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
        with _leaving_before_the_end():
            work(unit, folder)

    def checkpoint(self, *arguments: Any) -> Any:
        """Return what Slurm queues again."""
        return submitit.helpers.DelayedSubmission(self, *arguments)


@contextmanager
def _leaving_before_the_end() -> Iterator[None]:
    """Have the signal before a job's end stop its runs as Ctrl-C does. What submitit raises would fail them.

    Raises:
        TimeoutError: the job is not queued again.
    """
    number = getattr(signal, f"SIG{submitit.JobEnvironment.USR_SIG}")
    theirs = signal.getsignal(number)

    def leave(number: int, frame: Any) -> None:
        assert callable(theirs)
        try:
            theirs(number, frame)
        except (SystemExit, submitit.core.utils.UncompletedJobError) as error:
            raise SystemExit(_STOPPED) from error

    if callable(theirs):
        signal.signal(number, leave)
    try:
        yield
    except SystemExit as leaving:
        if isinstance(leaving.__cause__, submitit.core.utils.UncompletedJobError):
            raise TimeoutError("it was out of time more often than hydra.launcher.max_num_timeout allows") from None
        raise


def _die_with(parent: int) -> None:
    while _is_alive(parent):
        time.sleep(_SECONDS)
    os._exit(1)


def _is_alive(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except ProcessLookupError:
        return False
    except OSError:  # no /proc, or a process of someone else
        return True
