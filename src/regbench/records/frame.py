"""Read every run.json below some directories into a DataFrame. Executes nothing in them."""

import gc
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regbench.errors import UserError
from regbench.records.files import RUN
from regbench.records.metrics import SELECTIONS
from regbench.records.run_json import Record, UnreadableError, content_of, find, parse, why
from regbench.text import first_of

if TYPE_CHECKING:
    import pandas as pd

ORIGINS = ("regbench", "torch", "device", "commit")  # what may differ between machines and days
FACTS = (
    "status",
    "identity",
    "path",
    "started",
    "finished",
    "seconds",
    "cpu_seconds",
    "stack",
    "load",
    "host",
    "search",
    "trial",
    *ORIGINS,
)


@dataclass(frozen=True)
class Runs:
    """The runs that were found, each identity once, and the paths of what was left out: what is unreadable says why.

    `frame` has a row for each run. Its columns are the config's keys (`norm` is an axis's option, `norm.eps` an
    argument; NaN where the option has none, None for null, lists as tuples), FACTS, and the figures of both
    selections, `last.test_acc` and `best_val.test_acc`: fractions, NaN where there is none.
    """

    frame: "pd.DataFrame"
    duplicates: tuple[str, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)


def load(dirs: Iterable[str | os.PathLike[str]] = ("runs",)) -> Runs:
    """Read every run below the directories: each may be a runs directory, a study or one run.

    Raises:
        UserError: a directory that does not exist, or no run in any of them.
    """
    collecting = gc.isenabled()
    gc.disable()  # records have no cycles, and looking for them in ten thousand takes a quarter of the time
    try:
        return _load([Path(root) for root in dirs])
    finally:
        if collecting:
            gc.enable()


def _load(roots: Sequence[Path]) -> Runs:
    records, unreadable = _read(find(roots))
    if not records:
        raise _no_runs(roots, unreadable)
    kept = _unique(records)
    return Runs(_frame(kept), tuple(map(str, sorted(records.keys() - kept.keys()))), unreadable)


def _no_runs(roots: Sequence[Path], unreadable: Mapping[str, str]) -> UserError:
    places = ", ".join(map(str, roots))
    if not unreadable:
        return UserError(f"no runs in {places}. Train one: regbench train")
    return UserError(f"no runs in {places} that can be read: {first_of(unreadable)}")


def _read(paths: Iterable[Path]) -> tuple[dict[Path, Record], dict[str, str]]:
    """Read the records at the paths, and say of each file that cannot be read why."""
    records: dict[Path, Record] = {}
    unreadable: dict[str, str] = {}
    for path in paths:
        try:
            records[path] = parse(content_of(path), Record)
            records[path].config = records[path].values()  # 10,000 nested ones take 100 MB more
        except (OSError, UnreadableError) as error:
            unreadable[str(path / RUN)] = why(error)
    return records, unreadable


def with_copies(runs: Runs) -> "pd.DataFrame":
    """Add the duplicates of the frame's runs: the same run may be in several studies."""
    import pandas as pd

    records, _ = _read(map(Path, runs.duplicates))
    present = set(runs.frame["identity"]) if "identity" in runs.frame else set()
    copies = {path: record for path, record in records.items() if record.identity in present}
    return pd.concat([runs.frame, _frame(copies)], ignore_index=True) if copies else runs.frame


def each_once(frame: "pd.DataFrame", keys: Sequence[str] = ("identity",)) -> "pd.DataFrame":
    """Keep one row for each combination of the keys: a completed run first, then the one that finished last."""
    if not set(keys) <= set(map(str, frame.columns)):
        return frame
    finished = [moment.timestamp() if moment == moment else -math.inf for moment in frame["finished"]]
    ranks = list(zip(frame["status"] == "completed", finished, strict=True))
    names = list(zip(*(frame[key].tolist() for key in keys), strict=True))
    best: dict[tuple[Any, ...], int] = {}
    for place in sorted(range(len(frame)), key=ranks.__getitem__, reverse=True):
        best.setdefault(names[place], place)
    return frame.iloc[sorted(best.values())].reset_index(drop=True)


def _unique(records: Mapping[Path, Record]) -> dict[Path, Record]:
    """Keep each identity once: a completed run before any other, then the one that finished last."""
    best: dict[str, Path] = {}
    for path in sorted(records):
        rival = best.setdefault(records[path].identity, path)
        if _rank(records[path]) > _rank(records[rival]):
            best[records[path].identity] = path
    return {path: records[path] for path in sorted(best.values())}


def _rank(record: Record) -> tuple[bool, datetime]:
    return record.status == "completed", record.times.finished or datetime.min.replace(tzinfo=UTC)


def _frame(records: Mapping[Path, Record]) -> "pd.DataFrame":
    import pandas as pd  # half a second that `regbench ls` does without

    configs = [record.config for record in records.values()]
    top = {key.partition(".")[0]: None for config in configs for key in config}
    places = {key: place for place, key in enumerate(top)}
    keys = sorted(
        {key: None for config in configs for key in config},
        key=lambda key: places.get(key.partition(".")[0], len(places)),
    )
    columns: dict[str, list[Any]] = {key: [math.nan] * len(configs) for key in keys}
    for place, config in enumerate(configs):  # row by row: half the time of column by column
        for key, value in config.items():
            columns[key][place] = value
    series: dict[str, Any] = {key: pd.Series(values, dtype=object) for key, values in columns.items()}
    return pd.DataFrame(series | _facts(records) | _figures(list(records.values())))


def _facts(records: Mapping[Path, Record]) -> dict[str, Any]:
    import pandas as pd

    runs = records.values()
    facts: dict[str, Any] = {
        "status": [run.state for run in runs],
        "identity": [run.identity for run in runs],
        "path": pd.Series(list(map(str, records)), dtype=object),  # bytes that are no UTF-8 are no text to pandas
        "started": pd.Series([run.times.started for run in runs], dtype="datetime64[us, UTC]"),
        "finished": pd.Series([run.times.finished for run in runs], dtype="datetime64[us, UTC]"),
        "seconds": pd.Series([run.result.seconds if run.result else None for run in runs], dtype=float),
        "cpu_seconds": pd.Series([run.result.cpu_seconds if run.result else None for run in runs], dtype=float),
        "stack": pd.Series([run.stack for run in runs], dtype=float),
        "load": pd.Series([(run.machine or {}).get("load") for run in runs], dtype=float),
        "search": pd.Series([run.search.name if run.search else math.nan for run in runs], dtype=object),
        "trial": pd.Series([run.search.trial if run.search else None for run in runs], dtype=float),
        "host": [_text((run.machine or {}).get("host")) for run in runs],
    }
    origins = [_origins(run) for run in runs]
    return facts | {name: [origin[name] for origin in origins] for name in ORIGINS}


def _origins(record: Record) -> dict[str, str | None]:
    """Describe ORIGINS: versions, the device with its name, the commit and whether files differed from it."""
    versions, machine, git = record.versions or {}, record.machine or {}, record.git or {}
    device = " ".join(str(name) for name in (machine.get("device"), machine.get("device_name")) if name)
    changes = " with changes" if git.get("dirty") else ""
    return {
        "regbench": _text(versions.get("regbench")),
        "torch": _text(versions.get("torch")),
        "device": device or None,
        "commit": f"{git['commit']}{changes}" if git.get("commit") else None,
    }


def _text(value: Any) -> str | None:
    return str(value) if value else None


def _figures(records: list[Record]) -> dict[str, Any]:
    import pandas as pd

    results = [record.result for record in records]
    columns = {}
    for selection in SELECTIONS:
        figures: list[dict[str, float | None]] = [getattr(result, selection) if result else {} for result in results]
        for name in {name: None for row in figures for name in row}:
            columns[f"{selection}.{name}"] = pd.Series([row.get(name) for row in figures], dtype=float)
    return columns
