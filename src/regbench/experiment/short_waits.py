"""OpenMP threads that spin while they wait: fast on a quiet machine, and beside busy programs a waste of its cores.

A product of two threads ends when the second has had a core, while the first spins on the core that the second waits
for. GNU's OpenMP spins 300,000 times where it has at most as many threads as there are cores, and 100 times where it
has more (its manual, GOMP_SPINCOUNT). So while others want the cores, a bystander keeps one thread too many, asleep.
Neither the number of threads that compute nor any bit of what they compute changes.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import torch

_SECONDS = 0.1  # between two looks
_BUSY, _QUIET = 0.1, 0.02  # seconds for which threads here waited for a core, per second
_PARALLEL = 1 << 17  # numbers that torch adds with at least two threads


@contextmanager
def short_waits_when_busy(threads: int) -> Iterator[None]:
    """Watch over a block that trains with n threads. Without effect outside Linux, and for other OpenMPs."""
    if threads == 1 or _seconds_without_core() is None:
        yield
        return
    with _thread(_watch):
        yield


def _watch(stop: Event) -> None:
    """Have a bystander while others want the cores."""
    with ExitStack() as bystander:
        is_there, then, before = False, monotonic(), _seconds_without_core() or 0.0
        while not stop.wait(_SECONDS):
            now, waited = monotonic(), _seconds_without_core() or 0.0
            share, then, before = (waited - before) / (now - then), now, waited
            if is_there and share < _QUIET:
                bystander.close()
                is_there = False
            elif not is_there and share > _BUSY:
                bystander.enter_context(_thread(_stand_by))
                is_there = True


def _stand_by(stop: Event) -> None:
    """Make OpenMP keep more threads than there are cores."""
    torch.ones(_PARALLEL).add_(1)
    stop.wait()


@contextmanager
def _thread(work: Callable[[Event], None]) -> Iterator[None]:
    """Have a thread work beside a block, until its event is set at the block's end."""
    stop = Event()
    thread = Thread(target=work, args=(stop,), name=work.__name__.strip("_"), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _seconds_without_core() -> float | None:
    """Sum the time for which this process's threads were ready and had no core; None where nobody counts it.

    A thread that ends takes its time along, so a difference of two sums can be too small.
    """
    try:
        tasks = list(Path("/proc/self/task").iterdir())
        return sum(_waited(task) for task in tasks) / 1e9 if Path("/proc/self/schedstat").exists() else None
    except OSError:
        return None


def _waited(task: Path) -> int:
    """Read the nanoseconds of one thread; 0 if it has ended."""
    try:
        return int((task / "schedstat").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
