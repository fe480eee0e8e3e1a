"""The distribution over seeds: a box and a dot for each run."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from regbench.analysis.table import Row, Table
from regbench.errors import UserError
from regbench.figures import rows as of_rows
from regbench.figures import style, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FEW = 5  # runs have no quartiles worth a box
_SPREAD = 0.24


def draw(table: Table) -> "Figure":
    """Draw for each row its runs as dots, the median, and from five runs on the quartiles as a box.

    Raises:
        UserError: no run has the figure, or there are too many rows.
    """
    rows = [row for row in table.rows if row.figures]
    if not rows:
        raise UserError(f"plot box: no completed run has a finite {table.metric.name}")
    of_rows.check_number("box", len(rows))
    figure, axes = of_rows.new(rows)
    style.grid(axes, "x")
    for place, row in enumerate(rows):
        _draw_row(axes, place, row, table.metric.scale)
    axes.set_xlabel(words.figure(table.metric.name))
    of_rows.label(axes, rows, table)
    style.caption(figure, *_sentences(rows, table), of_rows.what(table), *of_rows.about(table))
    return figure


def _draw_row(axes: "Axes", place: int, row: Row, scale: float) -> None:
    values = [scale * value for _, value in row.figures]
    if len(values) >= _FEW:
        _draw_box(axes, place, values)
    else:
        median = scale * (row.median or 0.0)
        axes.plot([median], [place], "|", color=style.VERMILION, markersize=9, markeredgewidth=1.4)
    heights = [place + _SPREAD * (2 * ((number * 0.618) % 1) - 1) for number in range(len(values))]
    axes.plot(values, heights, "o", color=style.BLUE, alpha=0.6, markersize=2.6, markeredgewidth=0)
    if row.shrunk is not None:
        axes.plot([scale * row.shrunk], [place], "D", color=style.ink(), markerfacecolor="none", markersize=5)


def _draw_box(axes: "Axes", place: int, values: Sequence[float]) -> None:
    thin = {"color": style.ink(), "linewidth": 0.6}
    axes.boxplot(
        values,
        positions=[place],
        orientation="horizontal",
        widths=0.6,
        showfliers=False,
        manage_ticks=False,
        boxprops=thin,
        whiskerprops=thin,
        capprops=thin,
        medianprops={"color": style.VERMILION, "linewidth": 1.4},
    )


def _sentences(rows: Sequence[Row], table: Table) -> Iterator[str]:
    numbers = [len(row.figures) for row in rows]
    boxes = " Box: quartiles; whiskers: to 1.5 times the box." if max(numbers) >= _FEW else ""
    yield f"A dot is a run, {words.count(numbers, 'row')}; thick line: median.{boxes}"
    if table.shrink:
        yield f"Diamonds: {words.SHRUNK[0].lower()}{words.SHRUNK[1:]}."
