"""Which runs a sweep has left to begin: a file beside them while it trains, for those who look from elsewhere."""

import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from filelock import FileLock
from pydantic import BaseModel, ValidationError

from regbench.guarded import read_bounded
from regbench.records.files import LOCK, RUN, SWEEP, TEMPORARY, write_atomically
from regbench.records.locks import is_locked
from regbench.text import plural, printable

_FILE = "sweep.json"
_MOST_BYTES = 2**25  # some 100 for each run


class _Sweep(BaseModel):
    """A sweep that trains: its process, and the names of the runs that it has to train in this study."""

    host: str
    process: int
    runs: list[str]


@dataclass(frozen=True)
class Queued:
    """Runs that a sweep has not begun. `sweep`: its host and process; `is_alive`: whether these are there."""

    sweep: str
    is_alive: bool
    runs: frozenset[Path]


@contextmanager
def announced(runs: Iterable[Path]) -> Iterator[None]:
    """Leave word that a sweep has these runs to train, until the block ends. Where that cannot be written, do not."""
    studies: dict[Path, list[str]] = {}
    for run in runs:
        studies.setdefault(run.parent, []).append(run.name)
    with ExitStack() as stack:
        for study, names in studies.items():
            with suppress(OSError):
                if not study.is_symlink():  # no run is written through it either
                    stack.enter_context(_announced(study, names))
        yield


@contextmanager
def _announced(study: Path, names: list[str]) -> Iterator[None]:
    place = study / f"{SWEEP}{uuid4().hex[:12]}"
    made = [folder for folder in (study, *study.parents) if not folder.exists()]
    place.mkdir(parents=True)
    remove_dead(study)
    try:
        with FileLock(place / LOCK, blocking=False):
            sweep = _Sweep(host=socket.gethostname(), process=os.getpid(), runs=names)
            write_atomically(place / _FILE, sweep.model_dump_json().encode())
            yield
    finally:
        _remove(place)
        with suppress(OSError):  # something else is there by now
            for folder in made:
                folder.rmdir()


def remove_dead(study: Path) -> None:
    """Remove the word of sweeps that were killed."""
    for place in study.glob(f"{SWEEP}*"):
        if (place / _FILE).is_file() and not is_locked(place):
            _remove(place)


def _remove(place: Path) -> None:
    with suppress(OSError):  # others have written there, or remove it as well
        for name in (_FILE, TEMPORARY.format(_FILE), LOCK):
            (place / name).unlink(missing_ok=True)
        place.rmdir()


def read(place: Path) -> Queued | None:
    """Read which runs of a sweep have not begun since it left word; None if that is damaged, or removed meanwhile."""
    try:
        sweep = _Sweep.model_validate_json(read_bounded(place / _FILE, _MOST_BYTES))
        written = (place / _FILE).stat().st_mtime_ns
    except (OSError, ValidationError):
        return None
    runs = [place.parent / name for name in sweep.runs if Path(name).name == name]
    left = frozenset(run for run in runs if not _has_begun(run, written))
    return Queued(f"{sweep.host} (process {sweep.process})", is_locked(place), left)


def _has_begun(run: Path, since: int) -> bool:
    """Whether the run.json was written since a moment, as all that is left of an earlier start was not."""
    try:
        return (run / RUN).stat().st_mtime_ns >= since
    except OSError:
        return False


def in_words(sweeps: Sequence[Queued]) -> list[str]:
    """Write a line for the runs that wait for a worker, and a line for those whose sweep is gone."""
    alive = [sweep for sweep in sweeps if sweep.is_alive]
    waiting = frozenset(run for sweep in alive for run in sweep.runs)
    gone = [replace(sweep, runs=sweep.runs - waiting) for sweep in sweeps if not sweep.is_alive]
    lines = [f"{plural(len(waiting), 'run')} queued by {_named(alive)}"] * bool(waiting)
    for sweep in gone:
        if sweep.runs:
            lines.append(f"{plural(len(sweep.runs), 'run')} not begun: {_named([sweep])} is gone. Repeat its command")
    return lines


def _named(sweeps: Sequence[Queued]) -> str:
    names = [printable(sweep.sweep) for sweep in sweeps if sweep.runs]
    return f"the {plural(len(names), 'sweep').partition(' ')[2]} on {', '.join(names)}"
