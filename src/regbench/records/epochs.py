"""Read the epochs of runs from their metrics.csv: whole lines of numbers only, so a torn last line is left out."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from regbench.errors import UserError
from regbench.guarded import read_bounded
from regbench.records.files import LAYERS, METRICS
from regbench.records.metrics import MOST_FIGURE, SELECTIONS, Metric, Selection
from regbench.text import first_of

if TYPE_CHECKING:
    import pandas as pd


_EPOCH = "epoch"


def read(run: Path, completed: bool = False) -> list[dict[str, float]]:
    """Read a run's epochs, NaN for an empty cell, up to a line that is torn or not a row of numbers.

    The last line may lack its line break if the run is completed: then an editor removed it.
    """
    try:
        text = read_bounded(run / METRICS).decode("utf-8-sig")  # editors put a byte order mark first
    except (OSError, UnicodeDecodeError):
        return []
    whole = text if completed else text[: text.rfind("\n") + 1]
    return list(_rows(csv.reader(io.StringIO(whole))))


def _rows(lines: Iterator[list[str]]) -> Iterator[dict[str, float]]:
    try:
        names = next(lines, [])
        for line in lines:
            row = {name: _number(cell) for name, cell in zip(names, line, strict=True)}
            if not math.isfinite(row.get(_EPOCH, math.nan)):
                return
            yield row
    except (ValueError, csv.Error):
        return


def _number(cell: str) -> float:
    """Read a figure: NaN for an empty cell, infinite where its square would be.

    Raises:
        ValueError: it is no number.
    """
    figure = float(cell) if cell else math.nan
    return math.copysign(math.inf, figure) if abs(figure) > MOST_FIGURE else figure


def fault(run: Path, epochs: float) -> str | None:
    """Say why the metrics.csv of a run that has trained `epochs` cannot be read; None where it can.

    Editors save it with other separators or numbers: those figures are not guessed.
    """
    try:
        head = read_bounded(run / METRICS).decode("utf-8-sig").partition("\n")[0]
    except OSError as error:
        return str(error.strerror)
    except UnicodeDecodeError:
        return "is not UTF-8 text"
    separator = next((name for mark, name in ((";", "semicolons"), ("\t", "tabs")) if mark in head), None)
    if separator:
        return f"its columns are separated by {separator}, not by commas"
    rows = len(read(run, completed=True))
    return None if rows == epochs else f"holds {rows} of {epochs:.0f} epochs"


def unreadable(frame: "pd.DataFrame", metric: Metric, select: Selection) -> dict[str, str]:
    """Name the files of completed runs that would hold the metric and cannot be read, each with the reason.

    A file that is gone is none.
    """
    return {} if metric.column(select) in frame else faults(frame)


def faults(frame: "pd.DataFrame") -> dict[str, str]:
    """Name each metrics.csv of a completed run that cannot be read, and say why."""
    last = "last.epoch"
    if not {"path", last} <= set(frame):
        return {}
    done = frame[frame["status"] == "completed"]
    runs = [(Path(path), epochs) for path, epochs in zip(done["path"], done[last], strict=True)]
    reasons = {run / METRICS: fault(run, epochs) for run, epochs in runs if (run / METRICS).exists()}
    return {str(path): f"cannot be read ({reason})" for path, reason in reasons.items() if reason}


def none_read(frame: "pd.DataFrame") -> UserError:
    """Say that no completed run has epochs that can be read, and why where a file is damaged."""
    damaged = faults(frame)
    reason = f": {first_of(damaged)}" if damaged else ""
    return UserError(f"none of the completed runs has a {METRICS} that can be read{reason}")


def recorded(frame: "pd.DataFrame") -> set[str]:
    """Name the per-epoch figures of the runs: those in run.json, and those in the first metrics.csv that has any."""
    final = {name.partition(".")[2] for name in map(str, frame.columns) if name.partition(".")[0] in SELECTIONS}
    done = frame.loc[frame["status"] == "completed", "path"] if "path" in frame else ()
    return final | next((set(rows[0]) for path in done if (rows := read(Path(path), completed=True))), set())


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
    if math.isnan(epoch):  # the run is not completed
        return math.nan
    return next((row.get(name, math.nan) for row in read(run, completed=True) if row[_EPOCH] == epoch), math.nan)


def curves(frame: "pd.DataFrame", keys: Sequence[str]) -> "pd.DataFrame":
    """Make a row for each epoch of each run: `path`, `status`, the keys, and all columns of metrics.csv.

    `attrs["unreadable"]` names the files of completed runs that cannot be read, with the reason.

    Raises:
        UserError: no run has epochs.
    """
    import pandas as pd  # takes half a second, and a search needs none of it

    parts = []
    damaged = {}
    for run in frame[["path", "status", *keys]].to_dict("records"):
        path, completed = Path(run["path"]), run["status"] == "completed"
        rows = read(path, completed)
        if completed and not rows and (reason := fault(path, 1)):
            damaged[str(path / METRICS)] = f"cannot be read ({reason})"
        parts += [{**run, **row} for row in rows]
    if not parts:
        raise UserError(f"none of {len(frame)} runs has a {METRICS}{f': {first_of(damaged)}' if damaged else ''}")
    table = pd.DataFrame(parts).astype({_EPOCH: int})
    table.attrs["unreadable"] = damaged
    return table


def read_layers(run: Path) -> "list[dict[str, float | str]]":
    """Read a run's layers.csv: the layer's name and numbers, NaN for an empty cell; nothing without such a file."""
    try:
        lines = csv.DictReader(io.StringIO(read_bounded(run / LAYERS).decode("utf-8-sig")))
        return [
            {name: cell if name == "layer" else float(cell) if cell else math.nan for name, cell in line.items()}
            for line in lines
        ]
    except (OSError, ValueError, TypeError, csv.Error):  # a torn line has too few cells
        return []
