"""Where the numbers of a report come from: versions, machines, commits, commands; and the runs in no figure."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from regbench.analysis.groups import column
from regbench.records.names import command, short_name
from regbench.records.run_json import content_of
from regbench.text import plural, printable

_FACTS = {  # what run.json says, by the path to it
    "regbench": ("versions", "regbench"),
    "torch": ("versions", "torch"),
    "numpy": ("versions", "numpy"),
    "Python": ("versions", "python"),
    "commit": ("git", "commit"),
    "uncommitted changes": ("git", "dirty"),
    "machine": ("machine", "host"),
    "system": ("machine", "platform"),
    "device": ("machine", "device_name"),
    "threads": ("machine", "threads"),
}


@dataclass(frozen=True)
class Loss:
    """A run that is in no figure, how it ended and why."""

    name: str
    status: str
    reason: str


@dataclass(frozen=True)
class Origins:
    """The provenance of some runs: facts with their values and how many runs have each, and every run's command."""

    facts: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]
    lost: tuple[Loss, ...]
    commit: str | None  # of all runs; None where they differ or do not say


def origins(frame: pd.DataFrame) -> Origins:
    """Read what the run.json files of a frame say beside figures."""
    paths = [Path(str(path)) for path in column(frame, "path")]
    records = [_raw(path) for path in paths]
    commits = {str(_fact(record, ("git", "commit"))) for record in records}
    lost = [
        Loss(printable(short_name(path)), status, printable(str(record.get("error") or "")))
        for path, record, status in zip(paths, records, column(frame, "status"), strict=True)
        if status != "completed"
    ]
    facts = [(name, _counted([_fact(record, place) for record in records])) for name, place in _FACTS.items()]
    known = [*_moments(frame), *((name, text) for name, text in facts if text)]
    commit = printable(next(iter(commits))) if len(commits) == 1 else None
    return Origins(tuple(known), tuple(map(_command, records)), tuple(lost), None if commit == "None" else commit)


def _raw(path: Path) -> Mapping[str, Any]:
    try:
        record = json.loads(content_of(path))
    except (OSError, ValueError):  # removed or replaced meanwhile
        return {}
    return record if isinstance(record, dict) else {}


def _fact(record: Mapping[str, Any], place: tuple[str, str]) -> Any:
    part = record.get(place[0])
    return part.get(place[1]) if isinstance(part, dict) else None


def _counted(values: Sequence[Any]) -> str:
    """Write a value that all runs share, or each with its number of runs."""
    words = {True: "yes", False: "no"}
    counts = Counter(words[v] if isinstance(v, bool) else printable(str(v)) for v in values if v is not None)
    if len(counts) <= 1:
        return next(iter(counts), "")
    return ", ".join(f"{text} ({plural(number, 'run')})" for text, number in counts.most_common())


def _moments(frame: pd.DataFrame) -> Iterator[tuple[str, str]]:
    yield "runs", str(len(frame))
    moments = [moment for name in ("started", "finished") if name in frame for moment in frame[name].dropna()]
    if moments:
        yield "trained", f"{min(moments):%Y-%m-%d %H:%M} to {max(moments):%Y-%m-%d %H:%M} UTC"


def _command(record: Mapping[str, Any]) -> str:
    overrides = record.get("overrides")
    return printable(command(overrides if isinstance(overrides, list) else []))
