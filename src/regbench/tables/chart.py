"""Learning curves in the terminal: a mark for each line, told apart without colour too."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from regbench.analysis.curves import Curve, Curves
from regbench.errors import UserError
from regbench.text import printable

_MARKS, _ASCII = "●■▲◆▼✚○□", "o#^*v+x@"
_COLOURS = ("blue", "red", "green", "magenta", "yellow", "cyan", "white", "bright_black")
_ROWS, _LABEL = 15, 9  # lines of the chart; characters before its axis
_Cell = tuple[str, str]  # a character and its colour


def show(found: Curves, console: Console) -> None:
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
            for line in _chart(curves, console):
                console.print(line, soft_wrap=True)


def _chart(curves: Sequence[Curve], console: Console) -> Iterator[Text]:
    ascii_only = console.options.ascii_only
    marks, width = (_ASCII if ascii_only else _MARKS), max(console.width - _LABEL - 2, 10)
    means = [_means(curve) for curve in curves]
    low, high = min(map(np.min, means)), max(map(np.max, means))
    left, right = min(curve.x[0] for curve in curves), max(curve.x[-1] for curve in curves)
    grid: list[list[_Cell]] = [[(" ", "")] * width for _ in range(_ROWS)]
    for number, (curve, values) in enumerate(zip(curves, means, strict=True)):
        columns = _places(np.array(curve.x), left, right, width)
        every = np.arange(columns[0], columns[-1] + 1)
        between = _places(np.interp(every, columns, values), low, high, _ROWS)
        for column, row in zip(every, between, strict=True):
            grid[_ROWS - 1 - row][column] = ("." if ascii_only else "·", _COLOURS[number])
        for column, row in zip(columns, _places(values, low, high, _ROWS), strict=True):
            grid[_ROWS - 1 - row][column] = (marks[number], _COLOURS[number])
    labels = {0: high, _ROWS // 2: (low + high) / 2, _ROWS - 1: low}
    for place, cells in enumerate(grid):
        label = f"{labels[place]:.4g}" if place in labels else ""
        edge = "|" if ascii_only else "│"
        yield Text.assemble(f"{label:>{_LABEL}}{edge}", *cells)
    ends = f"{left:.4g}", f"{right:.4g}"
    yield Text(" " * (_LABEL + 1) + ends[0] + ends[1].rjust(width - len(ends[0])))
    for number, (curve, values) in enumerate(zip(curves, means, strict=True)):
        n = curve.estimates[-1].n
        yield Text.assemble(
            (marks[number], _COLOURS[number]), printable(f" {curve.line.label}: {values[-1]:.4g}, n = {n}")
        )


def _means(curve: Curve) -> NDArray[np.float64]:
    return curve.metric.scale * np.array([estimate.mean for estimate in curve.estimates], np.float64)


def _places(values: NDArray[np.float64], low: float, high: float, cells: int) -> NDArray[np.int64]:
    """Return the cell of each value, 0 for `low` and the last for `high`."""
    return np.rint((values - low) / ((high - low) or 1.0) * (cells - 1)).astype(np.int64)
