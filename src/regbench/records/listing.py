"""List run directories with status, age and figures: quickly, without pandas or torch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ValidationError

from regbench.condition import condition
from regbench.errors import UserError, no_such
from regbench.records.files import RUN, State
from regbench.records.run_json import Recorded, find, is_locked
from regbench.records.run_status import epochs_written
from regbench.text import shown


class _Times(BaseModel):
    updated: AwareDatetime | None


class _Record(Recorded):
    error: str | None
    times: _Times


@dataclass(frozen=True)
class Entry:
    """A run directory. `values` holds all that can be shown, sorted and filtered by.

    status, age (seconds since run.json was last written), trained (epochs), seconds, error, path; figures of the epoch
    that validation chose (test_acc, …) and of the last one (last.test_acc, …), fractions; every key of the config.
    """

    path: Path
    values: Mapping[str, Any] = field(repr=False)
    content: int = field(repr=False)  # a hash of run.json, which tells whether it has changed

    @property
    def status(self) -> State:
        """How the run ended, or what it is doing."""
        status: State = self.values["status"]
        return status


@dataclass(frozen=True)
class Listing:
    """The runs found below the directories, by path, and the run.json files that cannot be read."""

    entries: Sequence[Entry]
    unreadable: Sequence[str] = ()

    @property
    def keys(self) -> list[str]:
        """The keys that at least one run has a value for."""
        return list(dict.fromkeys(key for entry in self.entries for key in entry.values))

    def only(self, statuses: Sequence[str] = (), where: Sequence[str] = ()) -> "Listing":
        """Keep the runs that present one of the statuses and meet all conditions: expressions, or KEY=VALUE.

        Raises:
            UserError: a condition cannot be read, or names a key that no run has.
        """
        conditions = [condition(text) for text in where]
        for expression in conditions:
            expression.check(self.keys, "the runs")
        kept = [entry for entry in self.entries if not statuses or entry.status in statuses]
        return Listing([e for e in kept if all(holds(e.values) for holds in conditions)], self.unreadable)

    def by(self, key: str, reverse: bool = False) -> "Listing":
        """Sort by a key's values: numbers, then text, then the runs without a value.

        Raises:
            UserError: no run has such a key.
        """
        if self.entries and key not in self.keys:
            raise UserError(f"--sort {key}: {no_such('key', key, 'the runs', self.keys)}")
        present = [entry for entry in self.entries if entry.values.get(key) is not None]
        absent = [entry for entry in self.entries if entry.values.get(key) is None]
        ordered = sorted(present, key=lambda entry: _rank(entry.values[key]), reverse=reverse)
        return Listing([*ordered, *absent], self.unreadable)


def listing(dirs: Iterable[str | Path], moment: datetime | None = None) -> Listing:
    """List every run below the directories. Ages are counted from `moment`, by default now.

    Raises:
        UserError: a directory that does not exist.
    """
    moment = moment or datetime.now(UTC)
    entries, unreadable = [], []
    for path in find([Path(name) for name in dirs]):
        try:
            content = (path / RUN).read_bytes()
            record = _Record.model_validate_json(content)
        except FileNotFoundError:  # removed meanwhile
            continue
        except (OSError, ValidationError):
            unreadable.append(str(path / RUN))
        else:
            entries.append(Entry(path, dict(_values(path, record, moment)), hash(content)))
    return Listing(entries, unreadable)


def _values(path: Path, record: _Record, moment: datetime) -> Iterator[tuple[str, Any]]:
    killed = record.status == "running" and not is_locked(path)
    yield "status", "killed" if killed else record.status
    yield "age", max((moment - record.times.updated).total_seconds(), 0.0) if record.times.updated else None
    result = record.result
    yield "trained", result.last.get("epoch") if result else epochs_written(path)
    if result:
        yield from result.best_val.items()
        yield from ((f"last.{name}", figure) for name, figure in result.last.items())
        yield "seconds", result.seconds
    yield "error", record.error
    yield "path", str(path)
    yield from record.values().items()


def _rank(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return not number, value if number else 0.0, "" if number else shown(value)
