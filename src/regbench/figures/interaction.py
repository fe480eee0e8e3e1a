"""Whether two keys interact: the mean of each combination; parallel lines mean no interaction."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from regbench.analysis.swept import Swept
from regbench.analysis.table import Table
from regbench.errors import UserError
from regbench.figures import rows as of_rows
from regbench.figures import style, words
from regbench.figures.sensitivity import limit
from regbench.text import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_APART = 0.05  # of lines side by side, so that no interval hides another
_SLANTED = 24  # characters on the axis that do not stand side by side


def draw(found: Swept, table: Table) -> "Figure":
    """Draw the values of one key along the axis and those of the other as lines, each mean with its interval.

    Raises:
        UserError: there are more lines than can be told apart.
    """
    from matplotlib.lines import Line2D

    if len(found.lines) > style.MOST_LINES:
        raise UserError(
            f"plot interaction: {len(found.lines)} lines are too many to tell apart. Name the other key first"
        )
    values = _values(found)
    figure = style.new(2.5 + 0.1 * len(found.lines))
    axes = figure.subplots()
    style.grid(axes)
    scale = table.metric.scale
    for place, (label, points) in enumerate(found.lines):
        shift = _APART * (place - (len(found.lines) - 1) / 2)
        x = [values.index(point.value) + shift for point in points]
        means = [scale * (point.estimate.mean or 0.0) for point in points]
        halves = [scale * (point.estimate.half_width or 0.0) for point in points]
        axes.errorbar(x, means, yerr=halves, label=label, capsize=2, elinewidth=0.7, **style.line(place))
    means = [scale * (point.estimate.mean or 0.0) for _, points in found.lines for point in points]
    cut = limit(axes, means, [scale * e for _, ps in found.lines for p in ps for e in p.estimate.interval or ()])
    names = [shown(value) for value in values]
    slanted = len("  ".join(names)) > _SLANTED * 2
    axes.set_xticks(range(len(names)), names, rotation=30 if slanted else 0, ha="right" if slanted else "center")
    axes.set_xlim(-0.4, len(names) - 0.6)
    axes.set_xlabel(words.key(found.key))
    axes.set_ylabel(words.figure(table.metric.name))
    handles = [Line2D([], [], label=label, **style.line(place)) for place, (label, _) in enumerate(found.lines)]
    style.legend(figure, handles, words.keys(found.others))
    numbers = [point.estimate.n for _, points in found.lines for point in points]
    style.caption(
        figure,
        f"Mean over runs, {words.count(numbers, 'point')}; bar: {words.LEVEL_WORDS} of the mean.",
        "Long bars are cut at the edges." if cut else "",
        "Parallel lines: no interaction.",
        *of_rows.about(table),
    )
    return figure


def _values(found: Swept) -> Sequence[Any]:
    """The values along the axis, in the order of the longest line, then those that only others have."""
    lines = sorted(found.lines, key=lambda line: -len(line[1]))
    return list(dict.fromkeys(point.value for _, points in lines for point in points))
