"""List run directories with status, age and figures: quickly, without pandas or torch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from regbench.condition import condition
from regbench.config.run_config import NO_EFFECT_ON_NUMBERS
from regbench.errors import UserError, no_such
from regbench.records import queued
from regbench.records.files import RUN, State
from regbench.records.locks import is_locked
from regbench.records.queued import Queued
from regbench.records.run_json import RECIPES, Moment, Recorded, UnreadableError, content_of, find, parse, why
from regbench.records.run_status import epochs_written
from regbench.text import shown

_ALWAYS_SHOWN = ("study",)  # by the path


class _Times(BaseModel):
    updated: Moment | None


class _Record(Recorded):
    times: _Times


@dataclass(frozen=True)
class Entry:
    """A run directory. `values` holds all that can be shown, sorted and filtered by.

    status, age (seconds since run.json was last written), trained (epochs), seconds, error, path; of a trial also
    search, the name of its search, and trial, its number; figures of the epoch
    that validation chose (test_acc, …) and of the last one (last.test_acc, …), fractions; all of `config`: every key
    of the config, and the names of the recipes that the run came from.
    """

    path: Path
    values: Mapping[str, Any] = field(repr=False)
    config: Mapping[str, Any] = field(repr=False)
    content: int = field(repr=False)  # a hash of run.json, which tells whether it has changed

    @property
    def status(self) -> State:
        """How the run ended, or what it is doing."""
        status: State = self.values["status"]
        return status


@dataclass(frozen=True)
class Listing:
    """The runs found below the directories, by path, and the run.json files that cannot be read, each with a reason.

    `absent` names the values that a condition asked for and no run has; `sweeps` are those that have runs to begin,
    unless only some runs are listed.
    """

    entries: Sequence[Entry]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    absent: Sequence[str] = ()
    sweeps: Sequence[Queued] = ()

    @property
    def keys(self) -> list[str]:
        """The keys that at least one run has a value for."""
        return list(dict.fromkeys(key for entry in self.entries for key in entry.values))

    @property
    def differing(self) -> list[str]:
        """The keys of the config that differ between the runs: the recipes first, the seed last.

        An argument differs only if runs of the same option differ in it. Left out is what cannot change a number.
        """
        configs = [entry.config for entry in self.entries]
        keys = dict.fromkeys(key for config in configs for key in config)
        recipes = [key for key in RECIPES if len({config.get(key) for config in configs}) > 1]
        left_out = (*RECIPES, *_ALWAYS_SHOWN, "seed", *NO_EFFECT_ON_NUMBERS)
        rest = [key for key in keys if key.partition(".")[0] not in left_out and _differs(configs, key)]
        return [*recipes, *rest, *(["seed"] if _differs(configs, "seed") else [])]

    def only(self, statuses: Sequence[str] = (), where: Sequence[str] = ()) -> "Listing":
        """Keep the runs that present one of the statuses and meet all conditions: expressions, or KEY=VALUE.

        Raises:
            UserError: a condition cannot be read, or names a key that no run has.
        """
        kept = [entry for entry in self.entries if not statuses or entry.status in statuses]
        absent = list(self.absent)
        for text in where:
            kept = self._fulfilling(text, kept, absent)
        sweeps = () if statuses or where else self.sweeps
        return replace(self, entries=kept, absent=tuple(absent), sweeps=sweeps)

    def _fulfilling(self, where: str, entries: Sequence[Entry], absent: list[str]) -> list[Entry]:
        try:
            holds = condition(where)
            if not self.entries:
                return []
            holds.check(self.keys, "the runs")
            absent += [f"--where {reason}" for reason in holds.absent([entry.values for entry in self.entries])]
            return [entry for entry in entries if holds(entry.values)]
        except UserError as error:
            raise UserError(f"--where {error}") from None

    def first(self, limit: int | None) -> "Listing":
        """Keep the first runs, or all."""
        return replace(self, entries=self.entries[:limit])

    def by(self, key: str, reverse: bool = False) -> "Listing":
        """Sort by a key's values: numbers, then text, then the runs without a value. `-` before the key reverses.

        Raises:
            UserError: no run has such a key.
        """
        name = key.removeprefix("-")
        if self.entries and name not in self.keys:
            raise UserError(f"--sort {key}: {no_such('key', name, 'the runs', self.keys)}")
        present = [entry for entry in self.entries if entry.values.get(name) is not None]
        absent = [entry for entry in self.entries if entry.values.get(name) is None]
        backwards = reverse != key.startswith("-")
        ordered = sorted(present, key=lambda entry: _rank(entry.values[name]), reverse=backwards)
        return replace(self, entries=[*ordered, *absent])


def _differs(configs: Sequence[Mapping[str, Any]], key: str) -> bool:
    values = {config[key] for config in configs if key in config}
    if len(values) < 2:  # true of most keys, and quick to find out
        return False
    axis, dot, _ = key.partition(".")
    pairs = {(config.get(axis) if dot else None, config[key]) for config in configs if key in config}
    return len(pairs) > len({option for option, _ in pairs})


def listing(dirs: Iterable[str | Path], moment: datetime | None = None) -> Listing:
    """List every run below the directories. Ages are counted from `moment`, by default now.

    Raises:
        UserError: a directory that does not exist.
    """
    moment = moment or datetime.now(UTC)
    entries: list[Entry] = []
    unreadable: dict[str, str] = {}
    sweeps: list[Path] = []
    for path in find([Path(name) for name in dirs], sweeps):
        try:
            content = content_of(path)
            record = parse(content, _Record)
        except FileNotFoundError:  # removed meanwhile
            continue
        except (OSError, UnreadableError) as error:
            unreadable[str(path / RUN)] = why(error)
        else:
            config = record.values()
            entries.append(Entry(path, dict(_facts(path, record, moment)) | config, config, hash(content)))
    return Listing(entries, unreadable, sweeps=[sweep for path in sweeps if (sweep := queued.read(path))])


def _facts(path: Path, record: _Record, moment: datetime) -> Iterator[tuple[str, Any]]:
    killed = record.status == "running" and not is_locked(path)
    yield "status", "killed" if killed else record.state
    yield "age", max((moment - record.times.updated).total_seconds(), 0.0) if record.times.updated else None
    result = record.result
    yield "trained", result.last.get("epoch") if result else epochs_written(path)
    if result:
        yield from result.best_val.items()
        yield from ((f"last.{name}", figure) for name, figure in result.last.items())
        yield "seconds", result.seconds
        yield "cpu_seconds", result.cpu_seconds
    yield "error", record.error
    if record.search:
        yield "search", record.search.name
        yield "trial", record.search.trial
    yield "path", str(path)


def _rank(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return not number, value if number else 0.0, "" if number else shown(value)
