"""Find runs, and read what their run.json says."""

import json
import math
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, ValidationError, field_validator, model_validator
from typing_extensions import TypedDict  # which pydantic wants before Python 3.12

from regbench.config.run_config import ID_LENGTH, flat
from regbench.errors import UserError
from regbench.guarded import read_bounded
from regbench.records.files import FORMAT, PRUNED_ERROR, RUN, SWEEP, State, Status
from regbench.records.metrics import MOST_FIGURE
from regbench.records.names import no_directory

RECIPES = ("experiment", "recipe")  # where a run came from: columns that are no part of its identity


_MOST_BYTES = 4 * 2**20  # of a run.json, which has some 4 kB
_DEEPEST = 64  # folders below one another that are searched for runs
_MOST_OTHERS = 10_000  # folders that are no runs: a disk has more, studies do not
_FEW = f"{_MOST_OTHERS:,}"
_LINKS_DEEPEST = 2  # folders below a root: that of all runs, a study and a run may be links
_MOST = {"seconds": 1e10, "epoch": 1e10}


def _checked_figure(name: str, figure: float | None) -> None:
    """Raise ValueError unless a figure can be computed with, and an accuracy is one."""
    low, high = (0.0, 1.0) if name.endswith("_acc") else (-MOST_FIGURE, _MOST.get(name, MOST_FIGURE))
    if figure is not None and not low <= figure <= high:
        raise ValueError(f"{name} must be from {low:g} to {high:g}, not {figure:g}")


def _checked_figures(figures: dict[str, float | None]) -> dict[str, float | None]:
    for name, figure in figures.items():
        _checked_figure(name, figure)
    return figures


def _in_utc(moment: datetime) -> datetime:
    """Move a time to UTC, where all are compared.

    Raises:
        ValueError: the calendar ends before it.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is no time of the calendar") from None


_Figures = Annotated[dict[str, float | None], AfterValidator(_checked_figures)]
_Seconds = Annotated[float, Field(ge=0, le=_MOST["seconds"])] | None
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class _Result(BaseModel):
    last: _Figures
    best_val: _Figures
    seconds: _Seconds
    cpu_seconds: _Seconds = None  # of older runs


class _Times(BaseModel):
    started: Moment | None = None
    finished: Moment | None


class _Versions(TypedDict, total=False):
    regbench: Any
    torch: Any


class _Machine(TypedDict, total=False):
    host: Any
    device: Any
    device_name: Any
    load: float | None


class _Git(TypedDict, total=False):
    commit: Any
    dirty: Any


class _Searched(BaseModel):
    """The search that chose the values of a run: its name, the number of the trial, and how that stands."""

    name: str
    trial: Annotated[int, Field(ge=0)]
    state: str


class Recorded(BaseModel):
    """What every reader needs of a run.json. The rest of the file may grow."""

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)]
    status: Status
    identity: Annotated[str, Field(min_length=1)]
    config: dict[str, Any]
    data_digest: str | None = None  # of older runs
    experiment: str | None = None  # the NAME of +experiment=NAME
    recipe: str | None = None  # the NAME of +study=NAME
    search: _Searched | None = None  # of a trial
    error: str | None = None
    result: _Result | None

    @property
    def state(self) -> State:
        """The status, or `pruned`."""
        return "pruned" if is_pruned(self.status, self.error) else self.status

    @field_validator("config")
    @classmethod
    def _has_plain_values(cls, config: dict[str, Any]) -> dict[str, Any]:
        """Raise ValueError for values that no config of regbench has, and that tables cannot sort or compute with."""
        for key, least in (("seed", 0), ("epochs", 1)):
            if key in config and not (type(config[key]) is int and config[key] >= least):
                raise ValueError(f"{key} must be a whole number of at least {least}")
        if not _is_finite(config):
            raise ValueError("a number must be finite")
        return config

    def values(self) -> dict[str, Any]:
        """The config with dotted keys, the data's digest (other data is another experiment), the recipes' names."""
        digest = {} if self.data_digest is None else {"data.digest": self.data_digest[:ID_LENGTH]}
        names = {key: name for key in RECIPES if (name := getattr(self, key)) is not None}
        return dict(flat(self.config)) | digest | names


class Record(Recorded):
    """What the tables need of a run.json besides."""

    times: _Times
    versions: _Versions | None = None
    machine: _Machine | None = None
    git: _Git | None = None
    stack: int | None = None  # how many runs trained together; None in older files

    @model_validator(mode="after")
    def _has_result(self) -> "Record":
        if self.status == "completed" and self.result is None:
            raise ValueError("a completed run has a result")
        return self


def _is_finite(values: Mapping[str, Any]) -> bool:
    """Tell whether all numbers in nested values are finite: in a loop, as ten thousand runs have 700,000 values."""
    left: list[Any] = [values]
    while left:
        value = left.pop()
        kind = type(value)
        if kind is dict:
            left.extend(value.values())
        elif kind is list:
            left.extend(value)
        elif kind is float and not math.isfinite(value):
            return False
    return True


def is_pruned(status: str | None, error: str | None) -> bool:
    """Tell whether a search gave up a run with this status and error."""
    return status == "interrupted" and str(error).startswith(PRUNED_ERROR)


class UnreadableError(Exception):
    """The text says in one line why a run.json holds no run: `is no JSON (line 1, column 2)`."""


_Kind = TypeVar("_Kind", bound=Recorded)


def content_of(run: Path) -> bytes:
    """Read the run.json of a directory.

    Raises:
        OSError: it cannot be read, is no regular file, or is too large to be one.
    """
    return read_bounded(run / RUN, _MOST_BYTES)


def why(error: OSError | UnreadableError) -> str:
    """Say in one line why a run.json cannot be used."""
    return f"cannot be read ({error.strerror})" if isinstance(error, OSError) else str(error)


def parse(content: bytes, kind: type[_Kind]) -> _Kind:
    """Check what a run.json says. A byte order mark, which some editors put first, does not matter.

    Raises:
        UnreadableError: the content is damaged, written by a newer version, or no record of a run.
    """
    try:
        return kind.model_validate_json(content)
    except (ValidationError, RecursionError):
        text = _plain_json(content)
    try:
        return kind.model_validate_json(json.dumps(text))
    except ValidationError as error:
        raise UnreadableError(_reason(text, error)) from None


def _plain_json(content: bytes) -> Any:
    """Read JSON in any UTF encoding, with a byte order mark or without."""
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise UnreadableError(f"is no JSON ({place})" if content else "is empty") from None
    except UnicodeDecodeError:
        raise UnreadableError("is not UTF-8 text") from None
    except RecursionError:
        raise UnreadableError("is nested too deeply") from None
    except ValueError:  # Python reads no number of more than 4,300 digits
        raise UnreadableError("holds a number of thousands of digits") from None


def _reason(record: Any, error: ValidationError) -> str:
    if not isinstance(record, dict) or "format" not in record:
        return "is no record of a run"
    version = record["format"]
    if isinstance(version, int) and version > FORMAT:
        return f"was written by a newer regbench (format {version}; this one reads format {FORMAT})"
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"is damaged ({place}: {first['msg']})" if place else f"is damaged ({first['msg']})"


def find(roots: Iterable[Path], sweeps: list[Path] | None = None) -> Iterator[Path]:
    """Find the directories that hold a run.json, by name; none twice, whatever overlaps or links to its parent.

    A link is followed near a root only. Of a file or folder that is no run, nothing is read. What sweeps that train
    have left word in is added to `sweeps`.

    Raises:
        UserError: a root that does not exist, or is not a folder of runs but of far too much else.
    """
    seen: set[tuple[int, int]] = set()
    for root in roots:
        if not os.path.isdir(root):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
            raise no_directory(root, "Train a run first (regbench train), or name where your runs are")
        others = 0
        for path, is_run in _walk(root, seen):
            if is_run:
                yield path
            elif sweeps is not None and path.name.startswith(SWEEP):
                sweeps.append(path)
            elif (others := others + 1) > _MOST_OTHERS:
                raise UserError(f"{root}: holds more than {_FEW} folders that are no runs. Name the folder of the runs")


def _walk(path: Path, seen: set[tuple[int, int]], depth: int = 0) -> Iterator[tuple[Path, bool]]:
    """Find each folder, and tell whether it is a run's, or cannot be looked into."""
    try:
        if depth > _DEEPEST:
            raise OSError
        stat = path.stat()
        if (stat.st_dev, stat.st_ino) in seen:
            return
        seen.add((stat.st_dev, stat.st_ino))
        with os.scandir(path) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        yield path, True  # to be counted as unreadable
        return
    is_run = any(entry.name == RUN for entry in entries)
    yield path, is_run
    if is_run:
        return
    for entry in entries:
        if _is_folder(entry, depth <= _LINKS_DEEPEST):
            yield from _walk(path / entry.name, seen, depth + 1)


def _is_folder(entry: os.DirEntry[str], may_be_link: bool) -> bool:
    """Tell whether it is a folder, or a link to one; where that may not be looked at, it counts as unreadable."""
    try:
        if entry.is_symlink() and not may_be_link:
            return False
        return stat.S_ISDIR(os.stat(entry.path).st_mode) if entry.is_symlink() else entry.is_dir()  # noqa: PTH116
    except PermissionError:
        return True
    except OSError:  # it leads to nothing, or to itself
        return False
