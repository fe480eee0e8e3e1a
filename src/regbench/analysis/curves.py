"""Averaged learning curves: the mean over runs of a figure of each epoch, with its interval."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from regbench.analysis.groups import Values, checked, column, grouped, sortable
from regbench.analysis.intervals import Estimate, estimate
from regbench.analysis.lines import Line, lines
from regbench.analysis.question import Question, lost
from regbench.errors import UserError, no_such
from regbench.records import epochs, files
from regbench.records.metrics import METRICS, Metric

X = Literal["epoch", "step", "seconds"]
_TRAINING_IMAGES = 60_000  # of every data set except an image_folder


@dataclass(frozen=True)
class Curve:
    """One figure of the runs of one line: a point for each epoch, and the values of each run."""

    line: Line
    metric: Metric
    x: tuple[float, ...]  # the mean over runs where it is a time
    estimates: tuple[Estimate, ...]
    runs: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]  # x and figure of each epoch, for each run


@dataclass(frozen=True)
class Panel:
    """The curves of runs that share the values of the keys across."""

    values: Values
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Curves:
    """Panels with the same keys and metrics. `lost` counts the runs in no curve, by how they ended."""

    keys: tuple[str, ...]
    across: tuple[str, ...]
    metrics: tuple[Metric, ...]
    x: X
    panels: tuple[Panel, ...]
    lost: Mapping[str, int]


def curves(question: Question, default: Sequence[str] = ("val_acc",), x: X = "epoch") -> Curves:
    """Average the runs of each line, epoch by epoch; runs that are not completed are counted only.

    Args:
        question: `metrics` names figures of metrics.csv, `columns` the keys of the panels.
        default: the metrics unless the question names some.
        x: the epoch, the number of training steps behind it, or the seconds.

    Raises:
        UserError: no run is completed, the figure is not recorded for each epoch, or the steps are not known.
    """
    frame = question.frame()
    across = checked(question.columns, frame, "--cols ")
    panels = sorted(grouped(frame, across), key=lambda g: [sortable(g.values, key) for key in across])
    rows = lines(frame, question.by, across, question.against)
    read = {run: _rows(frame, run, x) for line in rows.lines for run in line.positions}
    metrics = [_metric(name.partition(":")[0], read.values(), frame) for name in question.metrics or default]
    return Curves(
        keys=rows.keys,
        across=tuple(across),
        metrics=tuple(metrics),
        x=x,
        panels=tuple(
            Panel(
                panel.values if across else {},
                tuple(
                    _curve(line, metric, [read[run] for run in inside])
                    for line in rows.lines
                    if (inside := [run for run in line.positions if run in set(panel.positions)])
                    for metric in metrics
                ),
            )
            for panel in panels
        ),
        lost=lost(column(frame, "status")) | {f"without {files.METRICS}": sum(not rows for rows in read.values())},
    )


_Rows = list[dict[str, float]]


def _metric(name: str, runs: "Sequence[_Rows] | Any", frame: pd.DataFrame) -> Metric:
    recorded = {key for rows in runs for key in (rows[0] if rows else ())} - {"x"}
    if not recorded:
        raise epochs.none_read(frame)
    if name not in recorded:
        if name.startswith("test_"):
            raise UserError(f"--metric {name}: the test images are seen once, after the last epoch. As in: val_acc")
        raise UserError(f"--metric {name}: {no_such('figure', name, 'metrics.csv', recorded)}")
    return METRICS.get(name, Metric(name, higher_is_better=True, decimals=4))


def _rows(frame: pd.DataFrame, run: int, x: X) -> _Rows:
    """Read the epochs of a run, each with its `x`."""
    rows = epochs.read(Path(str(column(frame, "path")[run])), completed=True)
    return [row | {"x": place} for row, place in zip(rows, _places(frame, run, rows, x), strict=True)]


def _places(frame: pd.DataFrame, run: int, rows: _Rows, x: X) -> Iterator[float]:
    if x == "seconds":
        return accumulate(row.get("seconds", math.nan) for row in rows)
    factor = _steps_per_epoch({str(key): column(frame, str(key))[run] for key in frame.columns}) if x == "step" else 1
    return (row["epoch"] * factor for row in rows)


def _steps_per_epoch(run: Mapping[str, Any]) -> int:
    """Compute how many batches an epoch has.

    Raises:
        UserError: the run does not say how many images it trains on.
    """
    images = run.get("data.train_size")
    if images is None or images != images:
        if run.get("data") == "image_folder":
            raise UserError("--x step: data=image_folder does not say how many images there are. As in: --x epoch")
        images = _TRAINING_IMAGES - run["data.val_size"]
    whole, rest = divmod(int(images), int(run["batch_size"]))
    return max(1, whole + (rest > 0 and not run.get("drop_last")))


def _curve(line: Line, metric: Metric, runs: Sequence[_Rows]) -> Curve:
    """Average what the runs have at each epoch; a figure that is not finite is in no mean."""
    by_epoch: dict[float, list[tuple[float, float]]] = {}
    for rows in runs:
        for row in rows:
            if math.isfinite(value := row.get(metric.name, math.nan)):
                by_epoch.setdefault(row["epoch"], []).append((row["x"], value))
    points = [by_epoch[epoch] for epoch in sorted(by_epoch)]
    return Curve(
        line,
        metric,
        tuple(sum(x for x, _ in point) / len(point) for point in points),
        tuple(estimate([value for _, value in point]) for point in points),
        tuple(
            (tuple(row["x"] for row in rows), tuple(row.get(metric.name, math.nan) for row in rows)) for rows in runs
        ),
    )
