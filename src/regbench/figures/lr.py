"""The schedule: the learning rate at the start of each epoch."""

from typing import TYPE_CHECKING

from regbench.analysis.curves import Curves
from regbench.errors import UserError
from regbench.figures import style, words
from regbench.figures.wishes import Wishes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(found: Curves, wishes: Wishes) -> "Figure":
    """Draw a staircase for each line; the runs of a line have the same schedule, or their mean is drawn.

    Raises:
        UserError: there are more lines than can be told apart.
    """
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    curves = [curve for panel in found.panels for curve in panel.curves]
    if len(curves) > style.MOST_LINES:
        raise UserError(f"plot lr: {len(curves)} lines are too many to tell apart (at most {style.MOST_LINES})")
    figure = style.new(2.3 + 0.1 * len(curves))
    axes = figure.subplots()
    style.grid(axes)
    for place, curve in enumerate(curves):
        rates = [estimate.mean or 0.0 for estimate in curve.estimates]
        ends = [*curve.x[1:], curve.x[-1] + (curve.x[-1] - curve.x[-2] if len(curve.x) > 1 else 1)]
        look = style.line(place)
        axes.plot(curve.x, rates, drawstyle="steps-post", label=curve.line.label, **look)
        axes.plot([curve.x[-1], ends[-1]], [rates[-1]] * 2, color=look["color"], linestyle=look["linestyle"])
    axes.set_xlabel(words.figure(found.x))
    axes.set_ylabel(words.figure("lr"))
    if "x" not in wishes.log and found.x != "seconds":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    if "y" in wishes.log:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    if "x" in wishes.log:
        axes.set_xscale("log")
    handles = [Line2D([], [], label=curve.line.label, **style.line(place)) for place, curve in enumerate(curves)]
    style.legend(figure, handles if len(curves) > 1 else [], words.keys(found.keys) if found.keys else None)
    numbers = [estimate.n for curve in curves for estimate in curve.estimates]
    style.caption(figure, f"Rate at the start of each epoch, {words.count(numbers, 'line')}.", words.lost(found.lost))
    return figure
