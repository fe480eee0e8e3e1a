"""The schedule: the learning rate at the start of each epoch."""

from typing import TYPE_CHECKING, Any

from regbench.analysis.curves import Curve, Curves
from regbench.figures import style, words
from regbench.figures.curves import draw_x
from regbench.figures.wishes import Wishes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(found: Curves, wishes: Wishes) -> "Figure":
    """Draw a staircase for each line; the runs of a line have the same schedule, or their mean is drawn.

    Raises:
        UserError: there are more lines than can be told apart.
    """
    curves = [curve for panel in found.panels for curve in panel.curves]
    style.check_lines("lr", len(curves))
    figure = style.new(2.3 + 0.1 * len(curves))
    axes = figure.subplots()
    style.grid(axes)
    for place, curve in enumerate(curves):
        _draw_staircase(axes, curve, style.line(place))
    draw_x(axes, found, wishes)
    axes.set_ylabel(words.figure("lr"))
    if "y" not in wishes.log:
        axes.set_ylim(bottom=0)
    labels = [curve.line.label for curve in curves] if len(curves) > 1 else []
    style.legend(figure, style.samples(labels), words.keys(found.keys) if found.keys else None)
    numbers = [estimate.n for curve in curves for estimate in curve.estimates]
    style.caption(figure, f"Rate at the start of each epoch, {words.count(numbers, 'line')}.", words.lost(found.lost))
    return figure


def _draw_staircase(axes: "Axes", curve: Curve, look: dict[str, Any]) -> None:
    """Draw each rate up to the next one, the last as far as the one before it."""
    rates = [estimate.mean or 0.0 for estimate in curve.estimates]
    end = curve.x[-1] + (curve.x[-1] - curve.x[-2] if len(curve.x) > 1 else 1)
    axes.plot(curve.x, rates, drawstyle="steps-post", label=curve.line.label, **look)
    axes.plot([curve.x[-1], end], [rates[-1]] * 2, color=look["color"], linestyle=look["linestyle"])
