"""A pivot as a map: the mean of each combination, or its difference from the baseline."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from regbench.analysis.groups import sortable
from regbench.analysis.signs import SIGNS
from regbench.analysis.table import Row, Table
from regbench.errors import UserError
from regbench.figures import rows as of_rows
from regbench.figures import style, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

_MOST = 40  # values of a side
_CELL = 0.55  # inches that a written cell needs


def draw(table: Table) -> "Figure":
    """Draw a cell for each row of a pivot table, with its value in it.

    Raises:
        UserError: the table is no pivot, or it is too large.
    """
    if not table.columns:
        raise UserError("plot heatmap: needs keys across, as in --rows norm --cols init")
    down = [key for key in table.keys if key not in table.columns]
    left, top = _places(table.rows, down), _places(table.rows, table.columns)
    if max(len(left), len(top)) > _MOST:
        raise UserError(f"plot heatmap: {len(left)} × {len(top)} cells are too many (at most {_MOST} a side)")
    cells = {(left.index(_at(row, down)), top.index(_at(row, table.columns))): row for row in table.rows}
    values = np.full((len(left), len(top)), np.nan)
    for place, row in cells.items():
        value = _value(row, table)
        values[place] = np.nan if value is None else table.metric.scale * value
    if not np.isfinite(values).any():
        raise UserError(f"plot heatmap: no completed run has a finite {table.metric.name}")
    width = style.COLUMN if len(top) <= 4 else min(style.PAGE, max(style.COLUMN, 1.6 + _CELL * len(top)))
    figure = style.new(max(1.5, 0.32 * len(left)) + 1.0, width)
    axes = figure.subplots()
    image = _draw(axes, values, table)
    _write(axes, values, cells, table, written=width / len(top) > 0.4)
    axes.set_xticks(range(len(top)), [", ".join(names) for names in top], rotation=30 if len(top) > 4 else 0)
    axes.set_yticks(range(len(left)), [", ".join(names) for names in left])
    axes.set_xlabel(words.keys(table.columns))
    axes.set_ylabel(words.keys(down))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label=_label(table), shrink=0.9, pad=0.02)
    style.caption(figure, *_sentences(table))
    return figure


def _at(row: Row, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(words.values(row.group, [key]) for key in keys)


def _places(rows: Sequence[Row], keys: Sequence[str]) -> list[tuple[str, ...]]:
    ordered = sorted(rows, key=lambda row: [sortable(row.group, key) for key in keys])
    return list(dict.fromkeys(_at(row, keys) for row in ordered))


def _value(row: Row, table: Table) -> float | None:
    """The mean, shrunk if that is wished, or the difference from the baseline where there is one."""
    if table.contrast is None:
        return row.shrunk if table.shrink else row.estimate.mean
    if row.comparison and row.comparison.verdict == "baseline":
        return 0.0
    return row.comparison.difference if row.comparison else None


def _label(table: Table) -> str:
    """Name the colours in few words: a map of two rows is not high."""
    return f"difference{words.unit_of_difference(table.metric)}" if table.contrast else words.figure(table.metric.name)


def _draw(axes: "Axes", values: "NDArray[np.float64]", table: Table) -> "AxesImage":
    if table.contrast is None:
        return axes.imshow(values, cmap=style.SEQUENTIAL, aspect="auto")
    reach = np.nanmax(np.abs(values)) or 1.0
    return axes.imshow(values, cmap=style.DIVERGING, vmin=-reach, vmax=reach, aspect="auto")


def _write(
    axes: "Axes", values: "NDArray[np.float64]", cells: "dict[tuple[int, int], Row]", table: Table, *, written: bool
) -> None:
    (image,) = axes.images
    for (down, across), row in cells.items():
        value = values[down, across]
        if not np.isfinite(value):
            text, colour = "diverged" if row.diverged else "none", style.ink()
        else:
            text, colour = _text(row, table), style.on(image.cmap(image.norm(value)))
        if written:
            axes.text(across, down, text, ha="center", va="center", color=colour, fontsize=6)


def _text(row: Row, table: Table) -> str:
    """Write the value of a cell as the table does, with the sign of its verdict."""
    value = _value(row, table)
    number = table.metric.signed(value) if table.contrast else table.metric.text(value)
    return f"{number.replace('-', '−')} {SIGNS[row.comparison.verdict] if row.comparison else ''}".strip()


def _sentences(table: Table) -> Iterator[str]:
    numbers = [row.estimate.n for row in table.rows]
    if table.contrast:
        verdicts = {row.comparison.verdict for row in table.rows if row.comparison}
        valid = ", valid at any number of seeds" if table.contrast.anytime else ""
        yield f"Mean difference from {table.contrast.label} by seed, {words.count(numbers, 'cell')}{valid}."
        yield f"{', '.join(f'{sign} {verdict}' for verdict, sign in SIGNS.items() if verdict in verdicts)}."
    elif table.shrink:
        yield f"{words.SHRUNK}, {words.count(numbers, 'cell')}."
    else:
        yield f"Mean over runs, {words.count(numbers, 'cell')}."
    yield from of_rows.about(table)
