"""Find runs, and read what their run.json says."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from filelock import FileLock, Timeout
from pydantic import AwareDatetime, BaseModel, Field, ValidationError, model_validator
from typing_extensions import TypedDict  # which pydantic wants before Python 3.12

from regbench.config.run_config import ID_LENGTH, flat
from regbench.errors import UserError
from regbench.records.files import FORMAT, LOCK, RUN, Status

RECIPES = ("experiment", "recipe")  # where a run came from: columns that are no part of its identity


class _Result(BaseModel):
    last: dict[str, float | None]
    best_val: dict[str, float | None]
    seconds: float | None
    cpu_seconds: float | None = None  # of older runs


class _Times(BaseModel):
    started: AwareDatetime | None = None
    finished: AwareDatetime | None


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


class Recorded(BaseModel):
    """What every reader needs of a run.json. The rest of the file may grow."""

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)]
    status: Status
    identity: Annotated[str, Field(min_length=1)]
    config: dict[str, Any]
    data_digest: str | None = None  # of older runs
    experiment: str | None = None  # the NAME of +experiment=NAME
    recipe: str | None = None  # the NAME of +study=NAME
    result: _Result | None

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


class UnreadableError(Exception):
    """The text says in one line why a run.json holds no run: `is no JSON (line 1, column 2)`."""


_Kind = TypeVar("_Kind", bound=Recorded)


def parse(content: bytes, kind: type[_Kind]) -> _Kind:
    """Check what a run.json says. A byte order mark, which some editors put first, does not matter.

    Raises:
        UnreadableError: the content is damaged, written by a newer version, or no record of a run.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError:
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
    except ValueError:
        raise UnreadableError("is not UTF-8 text") from None


def _reason(record: Any, error: ValidationError) -> str:
    if not isinstance(record, dict) or "format" not in record:
        return "is no record of a run"
    version = record["format"]
    if isinstance(version, int) and version > FORMAT:
        return f"was written by a newer regbench (format {version}; this one reads format {FORMAT})"
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"is damaged ({place}: {first['msg']})" if place else f"is damaged ({first['msg']})"


def find(roots: Iterable[Path]) -> Iterator[Path]:
    """Find the directories that hold a run.json, by name; none twice, whatever overlaps or links to its parent.

    Raises:
        UserError: a root that does not exist.
    """
    seen: set[tuple[int, int]] = set()
    for root in roots:
        if not root.is_dir():
            raise UserError(f"no directory '{root}'. Train a run first (regbench train), or name where your runs are")
        yield from _walk(root, seen)


def _walk(path: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    try:
        stat = path.stat()
        if (stat.st_dev, stat.st_ino) in seen:
            return
        seen.add((stat.st_dev, stat.st_ino))
        with os.scandir(path) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        yield path  # to be counted as unreadable
        return
    if any(entry.name == RUN for entry in entries):
        yield path
        return
    for entry in entries:
        # Path.is_dir, unlike entry.is_dir, takes a link to itself for no directory instead of raising
        if Path(entry.path).is_dir() if entry.is_symlink() else entry.is_dir():
            yield from _walk(path / entry.name, seen)


def is_locked(path: Path) -> bool:
    """Tell whether a process trains the run; True where that cannot be known. Makes no file."""
    if not (path / LOCK).is_file():
        return False
    try:
        with FileLock(path / LOCK, blocking=False):
            return False
    except (Timeout, OSError):
        return True
