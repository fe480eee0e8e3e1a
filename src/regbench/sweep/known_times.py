"""The time that an epoch took in runs that this machine has trained."""

import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from pydantic import Field

from regbench.config.run_config import flat
from regbench.records.run_json import Recorded, UnreadableError, content_of, find, parse

if TYPE_CHECKING:
    from regbench.training.stacking import Group

_NO_MATTER = ("epochs", "runtime.dir", "runtime.cache", "runtime.progress")  # to the time of an epoch


class _Timed(Recorded):
    """What is read of a run.json."""

    stack: int = 1
    machine: dict[str, Any] = Field(default_factory=dict)


class KnownTimes:
    """The seconds of an epoch of completed runs on this machine, for shapes of runs."""

    def __init__(self, folder: Path, groups: "Sequence[Group]") -> None:
        """Read the runs below a folder, if there is one, that have the shape of a group."""
        self._names = {_names(group) for group in groups}
        self._seconds: dict[tuple[Any, ...], list[float]] = {}
        for record in _records(folder):
            self._add(record)

    def _add(self, record: _Timed) -> None:
        if not (record.result and record.result.seconds and record.machine.get("host") == platform.node()):
            return
        values = dict(flat(record.config))
        for names in self._names:
            if set(names) <= set(values):
                key = (names, *(values[name] for name in names), record.stack > 1)
                self._seconds.setdefault(key, []).append(record.result.seconds / values["epochs"])

    def seconds(self, group: "Group") -> float | None:
        """Return the median seconds of an epoch of a run of this shape; None if no such run is known."""
        names, values = _names(group), dict(flat(group.shape))
        key = (names, *(values[name] for name in names), len(group.places) > 1)
        times = self._seconds.get(key)
        return median(times) if times else None


def _names(group: "Group") -> tuple[str, ...]:
    return tuple(key for key in group.shape if key not in _NO_MATTER)


def _records(folder: Path) -> Iterator[_Timed]:
    for path in find([folder] if folder.is_dir() else []):
        try:
            yield parse(content_of(path), _Timed)
        except (OSError, UnreadableError):
            continue
