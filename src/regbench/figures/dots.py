"""Every seed's figure, joined to its baseline's by a line."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from regbench.analysis.joined import Joined
from regbench.analysis.table import Table
from regbench.figures import rows as of_rows
from regbench.figures import style, words
from regbench.records.metrics import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_MOST = 12  # rows side by side
_APART = 0.28
_SLANTED = 6  # names side by side that are not slanted
_LOOKS: dict[str, dict[str, Any]] = {
    "better than its baseline": {"color": style.BLUE, "marker": "^", "linestyle": "-"},
    "worse": {"color": style.VERMILION, "marker": "v", "linestyle": "--"},
    "equal": {"color": style.GREY, "marker": "o", "linestyle": ":"},
}


def draw(joined: Sequence[Joined], table: Table) -> "Figure":
    """Draw for each row its baseline's figures at the left and its own at the right, a line for each seed.

    Raises:
        UserError: there are more rows than stand side by side.
    """
    of_rows.check_number("dots", len(joined), _MOST)
    figure = style.new(2.8, style.COLUMN if len(joined) <= 4 else style.PAGE)
    axes = figure.subplots()
    style.grid(axes)
    present = {_draw_pair(axes, place, pair, table.metric) for place, row in enumerate(joined) for pair in row.pairs}
    _write_names(axes, joined, table)
    axes.set_ylabel(words.figure(table.metric.name))
    style.legend(figure, _samples(present))
    style.caption(figure, _count(joined), *of_rows.about(table))
    return figure


def _draw_pair(axes: "Axes", place: int, pair: tuple[Any, float, float], metric: Metric) -> str:
    """Draw a seed's line at a row's place; return its outcome, one of _LOOKS."""
    _, base, value = pair
    outcome = _outcome(base, value, higher=metric.higher_is_better)
    look = _LOOKS[outcome]
    ends, heights = (place - _APART, place + _APART), (metric.scale * base, metric.scale * value)
    axes.plot(ends, heights, color=look["color"], linestyle=look["linestyle"], linewidth=0.7)
    axes.plot(ends[0], heights[0], color=style.GREY, marker="o", markersize=2.5)
    axes.plot(ends[1], heights[1], color=look["color"], marker=look["marker"], markersize=3)
    return outcome


def _write_names(axes: "Axes", found: Sequence[Joined], table: Table) -> None:
    """Write below the ends of the lines which row they are of, slanted where there are many."""
    places = [place + side * _APART for place in range(len(found)) for side in (-1, 1)]
    names = [words.row(row, table) for joined in found for row in (joined.baseline, joined.row)]
    slanted = len(names) > _SLANTED
    axes.set_xticks(places, names, rotation=30 if slanted else 0, ha="right" if slanted else "center")
    axes.set_xlim(-0.5, len(found) - 0.5)
    axes.set_xlabel(words.rows(table))


def _samples(present: Collection[str]) -> "list[Line2D]":
    from matplotlib.lines import Line2D

    return [Line2D([], [], label=outcome, **look) for outcome, look in _LOOKS.items() if outcome in present]


def _count(found: Sequence[Joined]) -> str:
    numbers = sorted({len(joined.pairs) for joined in found}) or [0]
    n = " to ".join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))
    return f"A line joins the runs of one seed, n = {n} pairs per row."


def _outcome(base: float, value: float, *, higher: bool) -> str:
    better, worse, equal = _LOOKS
    if value == base:
        return equal
    return better if (value > base) == higher else worse
