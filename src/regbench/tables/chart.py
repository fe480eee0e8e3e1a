"""Learning curves in the terminal: a mark for each line, told apart without colour too."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from regbench.errors import UserError
from regbench.records.metrics import METRICS
from regbench.text import printable

if TYPE_CHECKING:
    from regbench.analysis.curves import Curve, Curves  # pandas takes a while to import

_MARKS, _ASCII = "●■▲◆▼✚○□", "o#^*v+x@"
_COLOURS = ("blue", "red", "green", "magenta", "yellow", "cyan", "white", "bright_black")
_ROWS, _LABEL = 15, 9  # lines of the chart; characters before its axis
_LOSSES = ("train_loss", "val_loss")
_Cell = tuple[str, str]  # a character and its colour


@dataclass(frozen=True)
class _Line:
    """A line of a chart: where it runs, and what the words below the chart say of it."""

    x: Sequence[float]
    y: NDArray[np.float64]
    words: str


def show(found: "Curves", console: Console) -> None:
    """Print a chart for each figure and panel, as wide as the terminal, and below it what the marks are.

    Raises:
        UserError: there are more lines than marks, or none.
    """
    for panel in found.panels:
        for metric in found.metrics:
            curves = [curve for curve in panel.curves if curve.metric == metric and curve.x]
            if len(curves) > len(_MARKS):
                raise UserError(
                    f"curves: {len(curves)} lines are too many (at most {len(_MARKS)}). Choose by --where, --by"
                )
            if not curves:
                raise UserError(f"curves: no completed run has a finite {metric.name}")
            place = "".join(f", {key}={value}" for key, value in panel.values.items())
            unit = " in %" if metric.percent else ""
            console.print(Text(printable(f"{metric.name}{unit} by {found.x}{place}"), style="bold"), soft_wrap=True)
            for line in _chart(list(map(_line_of, curves)), console):
                console.print(line, soft_wrap=True)


def show_losses(epochs: Sequence[Mapping[str, float]], console: Console) -> None:
    """Print a chart of a run's losses; of one without finite losses nothing.

    Args:
        epochs: the rows of its metrics.csv.
        console: where to print, as wide as it is.
    """
    lines = [line for name in _LOSSES if (line := _loss(epochs, name))]
    if lines:
        console.print(Text("loss by epoch", style="bold"))
        for text in _chart(lines, console):
            console.print(text, soft_wrap=True)


def _loss(epochs: Sequence[Mapping[str, float]], name: str) -> _Line | None:
    points = [(row["epoch"], row[name]) for row in epochs if math.isfinite(row.get(name, math.nan))]
    if not points:
        return None
    at, least = min(points, key=lambda point: point[1])
    (end, last), decimals = points[-1], METRICS[name].decimals
    words = f"{name}: {last:.{decimals}f}" + (f", least {least:.{decimals}f} after epoch {at:.0f}" if at < end else "")
    return _Line([epoch for epoch, _ in points], np.array([loss for _, loss in points], np.float64), words)


def _line_of(curve: "Curve") -> _Line:
    means = curve.metric.scale * np.array([estimate.mean for estimate in curve.estimates], np.float64)
    return _Line(curve.x, means, f"{curve.line.label}: {means[-1]:.4g}, n = {curve.estimates[-1].n}")


def _chart(lines: Sequence[_Line], console: Console) -> Iterator[Text]:
    ascii_only = console.options.ascii_only
    marks, width = (_ASCII if ascii_only else _MARKS), max(console.width - _LABEL - 2, 10)
    low, high = min(np.min(line.y) for line in lines), max(np.max(line.y) for line in lines)
    left, right = min(line.x[0] for line in lines), max(line.x[-1] for line in lines)
    grid: list[list[_Cell]] = [[(" ", "")] * width for _ in range(_ROWS)]
    for number, line in enumerate(lines):
        columns = _places(np.array(line.x), left, right, width)
        every = np.arange(columns[0], columns[-1] + 1)
        between = _places(np.interp(every, columns, line.y), low, high, _ROWS)
        for column, row in zip(every, between, strict=True):
            grid[_ROWS - 1 - row][column] = ("." if ascii_only else "·", _COLOURS[number])
        for column, row in zip(columns, _places(line.y, low, high, _ROWS), strict=True):
            grid[_ROWS - 1 - row][column] = (marks[number], _COLOURS[number])
    yield from _framed(grid, low, high, "|" if ascii_only else "│")
    ends = f"{left:.4g}", f"{right:.4g}"
    yield Text(" " * (_LABEL + 1) + ends[0] + ends[1].rjust(width - len(ends[0])))
    for number, line in enumerate(lines):
        yield Text.assemble((marks[number], _COLOURS[number]), printable(f" {line.words}"))


def _framed(grid: Sequence[Sequence[_Cell]], low: float, high: float, edge: str) -> Iterator[Text]:
    """Write the rows of a chart behind an axis with three values."""
    labels = {0: high, _ROWS // 2: (low + high) / 2, _ROWS - 1: low}
    for place, cells in enumerate(grid):
        label = f"{labels[place]:.4g}" if place in labels else ""
        yield Text.assemble(f"{label:>{_LABEL}}{edge}", *cells)


def _places(values: NDArray[np.float64], low: float, high: float, cells: int) -> NDArray[np.int64]:
    """Return the cell of each value, 0 for `low` and the last for `high`."""
    return np.rint((values - low) / ((high - low) or 1.0) * (cells - 1)).astype(np.int64)
