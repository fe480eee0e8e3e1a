"""How a figure depends on a number that was swept over: a line for each technique, with its band."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from regbench.analysis.swept import Point, Swept
from regbench.analysis.table import Table
from regbench.figures import rows as of_rows
from regbench.figures import style, words
from regbench.figures.wishes import Wishes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DECADE = 10  # values that span more than this are on a logarithmic axis


def draw(swept: Swept, table: Table, wishes: Wishes) -> "Figure":
    """Draw means over a number, their intervals as bands, and a ring around the default of each line.

    Raises:
        UserError: there are more lines than can be told apart.
    """
    style.check_lines("sensitivity", len(swept.lines))
    figure = style.new(2.5 + 0.1 * len(swept.lines))
    axes = figure.subplots()
    style.grid(axes)
    scale = table.metric.scale
    for place, (label, points) in enumerate(swept.lines):
        _draw_line(axes, label, points, style.line(place), scale)
    cut = limit(axes, swept, scale)
    values = [point.value for _, points in swept.lines for point in points]
    if "x" in wishes.log or (min(values) > 0 and max(values) > _DECADE * min(values)):
        axes.set_xscale("log")
    if "y" in wishes.log:
        axes.set_yscale("log")
    axes.set_xlabel(words.key(swept.key))
    axes.set_ylabel(words.figure(table.metric.name))
    style.legend(figure, list(_handles(swept)), words.keys(swept.others) if swept.others else None)
    style.caption(figure, *_sentences(swept, cut=cut), *of_rows.about(table))
    return figure


def _draw_line(axes: "Axes", label: str, points: "tuple[Point, ...]", look: Any, scale: float) -> None:
    x = [point.value for point in points]
    axes.plot(x, [scale * (point.estimate.mean or 0.0) for point in points], label=label, **look)
    known = [(point.value, point.estimate.interval) for point in points if point.estimate.interval]
    low, high = ([scale * ends[side] for _, ends in known] for side in (0, 1))
    axes.fill_between([value for value, _ in known], low, high, color=look["color"], alpha=0.18, linewidth=0)
    for point in points:
        if point.is_default:
            mean = scale * (point.estimate.mean or 0.0)
            axes.plot([point.value], [mean], "o", markersize=9, markerfacecolor="none", markeredgecolor=style.ink())


def limit(axes: "Axes", swept: Swept, scale: float) -> bool:
    """Keep means readable where intervals are far wider than they differ; whether an interval is cut."""
    estimates = [point.estimate for _, points in swept.lines for point in points]
    means = [scale * (estimate.mean or 0.0) for estimate in estimates]
    ends = [scale * end for estimate in estimates for end in estimate.interval or ()]
    span = (max(means) - min(means)) or abs(max(means)) or 1.0
    low = max(min([*means, *ends]), min(means) - span / 2)
    high = min(max([*means, *ends]), max(means) + span / 2)
    axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    return any(end < low or end > high for end in ends)


def _handles(swept: Swept) -> Iterator[Any]:
    from matplotlib.lines import Line2D

    if len(swept.lines) > 1:
        yield from style.samples([label for label, _ in swept.lines])
    if any(point.is_default for _, points in swept.lines for point in points):
        ring: dict[str, Any] = {"markersize": 7, "markerfacecolor": "none", "markeredgecolor": style.ink()}
        yield Line2D([], [], linestyle="none", marker="o", label="default", **ring)


def _sentences(swept: Swept, *, cut: bool) -> Iterator[str]:
    numbers = [point.estimate.n for _, points in swept.lines for point in points]
    yield f"Mean over runs, {words.count(numbers, 'point')}; band: {words.LEVEL_WORDS} of the mean."
    if cut:
        yield "Wide bands are cut at the edges."
