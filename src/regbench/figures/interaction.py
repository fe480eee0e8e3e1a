"""Whether two keys interact: the mean of each combination; parallel lines mean no interaction."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from regbench.analysis.swept import Swept
from regbench.analysis.table import Table
from regbench.figures import rows as of_rows
from regbench.figures import style, words
from regbench.figures.sensitivity import limit
from regbench.text import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_APART = 0.05  # of lines side by side, so that no interval hides another
_SLANTED = 48  # characters on the axis that do not stand side by side


def draw(swept: Swept, table: Table) -> "Figure":
    """Draw the values of one key along the axis and those of the other as lines, each mean with its interval.

    Raises:
        UserError: there are more lines than can be told apart.
    """
    style.check_lines("interaction", len(swept.lines), "Name the other key first")
    values = _values(swept)
    figure = style.new(2.5 + 0.1 * len(swept.lines))
    axes = figure.subplots()
    style.grid(axes)
    for place in range(len(swept.lines)):
        _draw_line(axes, swept, place, values, table.metric.scale)
    cut = limit(axes, swept, table.metric.scale)
    _write_values(axes, values)
    axes.set_xlabel(words.key(swept.key))
    axes.set_ylabel(words.figure(table.metric.name))
    style.legend(figure, style.samples([label for label, _ in swept.lines]), words.keys(swept.others))
    style.caption(figure, *_sentences(swept, cut=cut), *of_rows.about(table))
    return figure


def _draw_line(axes: "Axes", swept: Swept, place: int, values: Sequence[Any], scale: float) -> None:
    label, points = swept.lines[place]
    shift = _APART * (place - (len(swept.lines) - 1) / 2)
    x = [values.index(point.value) + shift for point in points]
    means = [scale * (point.estimate.mean or 0.0) for point in points]
    halves = [scale * (point.estimate.half_width or 0.0) for point in points]
    axes.errorbar(x, means, yerr=halves, label=label, capsize=2, elinewidth=0.7, **style.line(place))


def _write_values(axes: "Axes", values: Sequence[Any]) -> None:
    """Write the values along the axis, slanted where they do not stand side by side."""
    names = [shown(value) for value in values]
    slanted = len("  ".join(names)) > _SLANTED
    axes.set_xticks(range(len(names)), names, rotation=30 if slanted else 0, ha="right" if slanted else "center")
    axes.set_xlim(-0.4, len(names) - 0.6)


def _sentences(swept: Swept, *, cut: bool) -> Iterator[str]:
    numbers = [point.estimate.n for _, points in swept.lines for point in points]
    yield f"Mean over runs, {words.count(numbers, 'point')}; bar: {words.LEVEL_WORDS} of the mean."
    if cut:
        yield "Long bars are cut at the edges."
    yield "Parallel lines: no interaction."


def _values(swept: Swept) -> Sequence[Any]:
    """The values along the axis, in the order of the longest line, then those that only others have."""
    lines = sorted(swept.lines, key=lambda line: -len(line[1]))
    return list(dict.fromkeys(point.value for _, points in lines for point in points))
