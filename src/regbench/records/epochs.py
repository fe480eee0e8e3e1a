"""Read the epochs of runs from their metrics.csv: whole lines of numbers only, so a torn last line is left out."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from regbench.errors import UserError
from regbench.records.files import METRICS
from regbench.records.metrics import SELECTIONS, Metric, Selection

if TYPE_CHECKING:
    import pandas as pd


_EPOCH = "epoch"


def read(run: Path) -> list[dict[str, float]]:
    """Read a run's epochs, NaN for an empty cell, up to a line that is torn or not a row of numbers."""
    try:
        text = (run / METRICS).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    whole = text[: text.rfind("\n") + 1]
    return list(_rows(csv.reader(io.StringIO(whole))))


def _rows(lines: Iterator[list[str]]) -> Iterator[dict[str, float]]:
    names = next(lines, [])
    for line in lines:
        try:
            row = {name: float(cell) if cell else math.nan for name, cell in zip(names, line, strict=True)}
        except ValueError:
            return
        if _EPOCH not in row:
            return
        yield row


def recorded(frame: "pd.DataFrame") -> set[str]:
    """Name the per-epoch figures of the runs: those in run.json, and those in the first metrics.csv that has any."""
    final = {name.partition(".")[2] for name in map(str, frame.columns) if name.partition(".")[0] in SELECTIONS}
    done = frame.loc[frame["status"] == "completed", "path"] if "path" in frame else ()
    return final | next((set(rows[0]) for path in done if (rows := read(Path(path)))), set())


def figures(frame: "pd.DataFrame", metric: Metric, select: Selection) -> list[float]:
    """Look up each run's figure: in run.json, or else in its metrics.csv at the selected epoch."""
    name = metric.column(select)
    if name in frame:
        return [float(value) for value in frame[name].tolist()]
    if not metric.per_epoch or "path" not in frame or f"{select}.epoch" not in frame:
        return [math.nan] * len(frame)
    chosen: Sequence[float] = frame[f"{select}.epoch"].tolist()
    return [_figure(Path(path), metric.name, epoch) for path, epoch in zip(frame["path"], chosen, strict=True)]


def _figure(run: Path, name: str, epoch: float) -> float:
    if math.isnan(epoch):
        return math.nan
    return next((row.get(name, math.nan) for row in read(run) if row[_EPOCH] == epoch), math.nan)


def curves(frame: "pd.DataFrame", keys: Sequence[str]) -> "pd.DataFrame":
    """Make a row for each epoch of each run: `path`, `status`, the keys, and all columns of metrics.csv.

    Raises:
        UserError: no run has epochs.
    """
    import pandas as pd  # takes half a second, and a search needs none of it

    parts = []
    for run in frame[["path", "status", *keys]].to_dict("records"):
        rows = read(Path(run["path"]))
        parts += [{**run, **row} for row in rows]
    if not parts:
        raise UserError(f"none of {len(frame)} runs has a {METRICS}")
    return pd.DataFrame(parts).astype({_EPOCH: int})
