"""Small curves in a table: a character for each epoch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from regbench.analysis.curves import Curve, Curves
from regbench.analysis.table import Table
from regbench.tables.layout import Cells

_HEIGHTS, _ASCII = "▁▂▃▄▅▆▇█", "_.-~=+*#"  # from low to high; without Unicode
_MOST = 16  # characters
_HEADING = "curve"


@dataclass(frozen=True)
class Sparks:
    """The characters of each row of a table, in its order, and what they mean."""

    texts: tuple[str, ...]
    note: str


def sparks(found: Curves, table: Table, *, ascii_only: bool = False) -> Sparks:
    """Draw the mean curve of each row, all on one scale; a row without epochs has none."""
    curves = [curve for panel in found.panels for curve in panel.curves]
    means = {place: _means(curve) for place, curve in enumerate(curves)}
    every = [value for values in means.values() for value in values]
    low, high = min(every, default=0.0), max(every, default=0.0)
    by_group = [
        (curve.line.values, spark(means[place], low, high, ascii_only=ascii_only)) for place, curve in enumerate(curves)
    ]
    texts = tuple(next((text for values, text in by_group if values == row.group), "") for row in table.rows)
    (metric,) = found.metrics
    ends = " to ".join(f"{metric.scale * end:.{metric.decimals}f}" for end in (low, high))
    last = max((curve.x[-1] for curve in curves if curve.x), default=0)
    return Sparks(texts, f"{_HEADING}: mean {metric.name} of epochs 1 to {last:.0f}, all rows on one scale, {ends}.")


def _means(curve: Curve) -> list[float]:
    return [estimate.mean for estimate in curve.estimates if estimate.mean is not None]


def spark(values: Sequence[float], low: float, high: float, *, ascii_only: bool = False) -> str:
    """Write a character for each value, the lowest at `low`, the tallest at `high`; of many values only for some."""
    marks, span = (_ASCII if ascii_only else _HEIGHTS), (high - low) or 1.0
    return "".join(marks[round((value - low) / span * (len(marks) - 1))] for value in _thinned(values))


def _thinned(values: Sequence[float]) -> Sequence[float]:
    if len(values) <= _MOST:
        return values
    step = (len(values) - 1) / (_MOST - 1)
    return [values[round(place * step)] for place in range(_MOST)]


def with_sparks(cells: Cells, sparks: Sparks) -> Cells:
    """Add the curves behind the words of each row."""
    place = cells.figures.start
    rows = [[*row[:place], text, *row[place:]] for row, text in zip(cells.rows, sparks.texts, strict=True)]
    headings = [*cells.headings[:place], _HEADING, *cells.headings[place:]]
    figures = range(place + 1, cells.figures.stop + 1)
    return replace(cells, headings=headings, rows=rows, figures=figures, spare=[spare + 1 for spare in cells.spare])
