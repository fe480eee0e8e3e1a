"""What Slurm's queue says of the jobs of a sweep: one squeue, now and then, for all of them."""

import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable

from regbench.text import plural

_SECONDS = 5.0  # between two looks, at least
_SHARE = 0.02  # of the time, at most, for looking: a busy controller is asked more rarely
_COMMAND_SECONDS = 60  # after which a command of Slurm is given up
_SHOWN = 3  # jobs by their ids
_NO_REASONS = ("None", "(null)")


def ask_squeue() -> str | None:
    """Return a line `17_3|PENDING|Priority` for each job of this user that has not ended; None without an answer."""
    return _answer("squeue", "--noheader", "--array", f"--user={os.getuid()}", "--format=%i|%T|%r")


class SlurmQueue:
    """The queue as it was at the last look."""

    def __init__(self, ask: Callable[[], str | None] = ask_squeue) -> None:
        """`ask` returns what squeue prints."""
        self._ask = ask
        self._jobs: dict[str, tuple[str, str]] | None = None  # state and reason by job; None: nobody knows
        self._next = 0.0
        self._absent: dict[str, float] = {}  # since when
        self._told: set[str] = set()

    def look(self, ids: Iterable[str], at_once: bool = False) -> bool:
        """Look for these jobs, unless it was done a moment ago and not `at_once`; return whether it was done."""
        start = time.monotonic()
        if not at_once and start < self._next:
            return False
        answer = self._ask()
        self._jobs = None if answer is None else dict(map(_read, answer.splitlines()))
        now = time.monotonic()
        self._next = now + max(_SECONDS, (now - start) / _SHARE)
        absent = {job for job in ids if self._jobs is not None and job not in self._jobs}
        self._absent = {job: self._absent.get(job, now) for job in absent}
        return True

    def has(self, job: str) -> bool:
        """Whether a job waits, runs, is ending, or is queued again."""
        return job in (self._jobs or {})

    def seconds_without(self, job: str) -> float | None:
        """Return how long the queue has had no such job; None: it has, or nobody knows."""
        return time.monotonic() - self._absent[job] if job in self._absent else None

    def standing(self, ids: Collection[str]) -> str:
        """Write `Slurm job 17: 2 running, 6 pending (Resources)`."""
        states = Counter(self._jobs[job][0].lower() for job in ids if self._jobs and job in self._jobs)
        if not states:
            return ""
        reasons = ", ".join(sorted(self._reasons(ids)))
        parts = [f"{number} {state}" for state, number in sorted(states.items(), key=lambda pair: pair[0] != "running")]
        why = f" ({reasons})" if reasons else ""
        return f"Slurm {_named(ids)}: {', '.join(parts)}{why}"

    def has_news(self, ids: Iterable[str]) -> bool:
        """Whether jobs wait for a reason that none had before."""
        new = self._reasons(ids) - self._told
        self._told |= new
        return bool(new)

    def _reasons(self, ids: Iterable[str]) -> set[str]:
        known = [self._jobs[job] for job in ids if self._jobs and job in self._jobs]
        return {reason for state, reason in known if state == "PENDING" and reason not in _NO_REASONS}


def cancel(ids: Collection[str], *options: str) -> None:
    """Cancel jobs, or send them what the options say; those that have ended already stay as they are."""
    if ids:
        _answer("scancel", *options, *sorted(ids))


def arrays(ids: Iterable[str]) -> set[str]:
    """Return the ids that cover all of these jobs: 17 for 17_0 and 17_1."""
    return {job.partition("_")[0] for job in ids}


def _answer(*command: str) -> str | None:
    """Return what a command of Slurm prints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout


def _read(line: str) -> tuple[str, tuple[str, str]]:
    job, state, reason = line.split("|", 2)
    return job, (state, reason)


def _named(ids: Iterable[str]) -> str:
    """Name jobs by the first ids of those that cover them: `job 17`, `jobs 17, 18`."""
    names = sorted(arrays(ids), key=lambda name: (len(name), name))
    more = [f"{len(names) - _SHOWN} more"] * (len(names) > _SHOWN)
    return f"{plural(len(names), 'job').partition(' ')[2]} {', '.join([*names[:_SHOWN], *more])}"
