"""Read every run.json below some directories into a DataFrame. Executes nothing in them."""

import gc
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regbench.errors import UserError
from regbench.records.files import RUN
from regbench.records.metrics import SELECTIONS
from regbench.records.run_json import Record, UnreadableError, find, parse

if TYPE_CHECKING:
    import pandas as pd

ORIGINS = ("regbench", "torch", "device", "commit")  # what may differ between machines and days
FACTS = ("status", "identity", "path", "finished", "seconds", *ORIGINS)


@dataclass(frozen=True)
class Runs:
    """The runs that were found, each identity once, and the paths of what was left out.

    `frame` has a row for each run. Its columns are the config's keys (`norm` is an axis's option, `norm.eps` an
    argument; NaN where the option has none, None for null, lists as tuples), FACTS, and the figures of both
    selections, `last.test_acc` and `best_val.test_acc`: fractions, NaN where there is none.
    """

    frame: "pd.DataFrame"
    duplicates: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


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
    records: dict[Path, Record] = {}
    unreadable: dict[str, str] = {}
    for path in find(roots):
        try:
            records[path] = parse((path / RUN).read_bytes(), Record)
            records[path].config = records[path].values()  # 10,000 nested ones take 100 MB more
        except OSError as error:
            unreadable[str(path / RUN)] = f"cannot be read ({error.strerror})"
        except UnreadableError as error:
            unreadable[str(path / RUN)] = str(error)
    if not records:
        raise _no_runs(roots, unreadable)
    kept = _unique(records)
    return Runs(_frame(kept), tuple(map(str, sorted(records.keys() - kept.keys()))), tuple(unreadable))


def _no_runs(roots: Sequence[Path], unreadable: Mapping[str, str]) -> UserError:
    places = ", ".join(map(str, roots))
    if not unreadable:
        return UserError(f"no runs in {places}. Train one: regbench train")
    path, reason = next(iter(unreadable.items()))
    more = f" and {len(unreadable) - 1} more" if len(unreadable) > 1 else ""
    return UserError(f"no runs in {places} that can be read: {path} {reason}{more}")


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
        "status": [run.status for run in runs],
        "identity": [run.identity for run in runs],
        "path": pd.Series(list(map(str, records)), dtype=object),  # bytes that are no UTF-8 are no text to pandas
        "finished": pd.Series([run.times.finished for run in runs], dtype="datetime64[us, UTC]"),
        "seconds": pd.Series([run.result.seconds if run.result else None for run in runs], dtype=float),
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
