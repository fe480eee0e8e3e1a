"""Learning curves: a line and a band for each group of runs, a panel for each value of the keys across."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from regbench.analysis.curves import Curve, Curves, Panel
from regbench.errors import UserError
from regbench.figures import style, words
from regbench.figures.wishes import Wishes
from regbench.records.metrics import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHES: tuple[Any, ...] = ("-", "--", ":", "-.")  # of the first, second … figure in one panel
_MARKED = 6  # markers of a line at most
_MOST_PANELS = 12
_COMMON = {"acc": "accuracy (%)", "loss": "loss (nats)"}  # axis labels of several figures by the end of their names


def draw(curves: Curves, wishes: Wishes) -> "Figure":
    """Draw the means as lines, their intervals as bands, and each run as a thin line if that is wished.

    Raises:
        UserError: there are more lines or panels than can be told apart.
    """
    metrics = _by_unit(curves.metrics)
    labels = list(dict.fromkeys(curve.line.label for panel in curves.panels for curve in panel.curves))
    _check(labels, curves, len(max(metrics, key=len)))
    across = len(curves.panels)
    figure = style.new(
        2.1 * len(metrics) + 0.1 * len(labels) + 0.4, style.COLUMN if across <= style.IN_COLUMN else style.PAGE
    )
    grid = figure.subplots(len(metrics), across, sharex=True, sharey="row", squeeze=False)
    cut = False
    for place, of_unit in enumerate(metrics):
        for panel, axes in zip(curves.panels, grid[place], strict=True):
            _draw_panel(axes, panel, of_unit, labels, wishes)
        cut |= _limit(grid[place], curves.panels, of_unit, wishes)
        grid[place][0].set_ylabel(_label(of_unit))
    for panel, axes in zip(curves.panels, grid[0], strict=True):
        axes.set_title("\n".join(f"{words.key(key)}\n{words.values(panel.values, [key])}" for key in panel.values))
    for axes in grid[-1]:
        draw_x(axes, curves, wishes)
    style.legend(figure, list(_handles(labels, metrics)), words.keys(curves.keys) if curves.keys else None)
    style.caption(figure, *_sentences(curves, wishes, cut=cut))
    return figure


def _check(labels: Sequence[str], curves: Curves, together: int) -> None:
    most = style.MOST_LINES if together == 1 else style.MOST_LINES // 3
    if len(labels) > most:
        raise UserError(
            f"plot: {len(labels)} lines are too many to tell apart (at most {most}). Choose by --where, --by"
        )
    if len(curves.panels) > _MOST_PANELS:
        keys = ",".join(curves.across)
        raise UserError(f"--cols {keys}: {len(curves.panels)} panels are too many (at most {_MOST_PANELS})")


def _by_unit(metrics: Sequence[Metric]) -> list[list[Metric]]:
    """Put accuracies together, and losses, and each other figure by itself."""
    units: dict[str, list[Metric]] = {}
    for metric in metrics:
        end = metric.name.rpartition("_")[2]
        units.setdefault(end if end in _COMMON else metric.name, []).append(metric)
    return list(units.values())


def _label(metrics: Sequence[Metric]) -> str:
    if len(metrics) == 1:
        return words.figure(metrics[0].name)
    return _COMMON[metrics[0].name.rpartition("_")[2]]


def _draw_panel(axes: "Axes", panel: Panel, metrics: Sequence[Metric], labels: Sequence[str], wishes: Wishes) -> None:
    style.grid(axes)
    for curve in panel.curves:
        if curve.metric in metrics:
            look = style.line(labels.index(curve.line.label))
            if len(metrics) > 1:
                look["linestyle"] = _DASHES[metrics.index(curve.metric)]
            _draw_curve(axes, curve, look, wishes)


def _draw_curve(axes: "Axes", curve: Curve, look: dict[str, Any], wishes: Wishes) -> None:
    scale = curve.metric.scale
    if wishes.each:
        for x, y in curve.runs:
            axes.plot(x, [scale * value for value in y], color=look["color"], linewidth=0.4, alpha=0.45, zorder=1)
    means = [scale * (estimate.mean or 0.0) for estimate in curve.estimates]
    axes.plot(curve.x, means, label=curve.line.label, markevery=max(1, -(-len(means) // _MARKED)), **look)
    points = [(x, estimate.interval) for x, estimate in zip(curve.x, curve.estimates, strict=True) if estimate.interval]
    if points:
        low, high = ([scale * ends[side] for _, ends in points] for side in (0, 1))
        axes.fill_between([x for x, _ in points], low, high, color=look["color"], alpha=0.18, linewidth=0)


def _limit(row: "Sequence[Axes]", panels: Sequence[Panel], metrics: Sequence[Metric], wishes: Wishes) -> bool:
    """Keep the lines readable where bands are far wider than all values differ; whether bands are cut."""
    curves = [curve for panel in panels for curve in panel.curves if curve.metric in metrics]
    scale = metrics[0].scale
    shown = [scale * y for curve in curves for y in _visible(curve, wishes) if math.isfinite(y)]
    ends = [scale * end for curve in curves for estimate in curve.estimates for end in estimate.interval or ()]
    if not shown:
        return False
    span = (max(shown) - min(shown)) or abs(max(shown)) or 1.0
    low, high = max(min([*shown, *ends]), min(shown) - span), min(max([*shown, *ends]), max(shown) + span)
    if "y" in wishes.log:
        positive = [value for value in shown if value > 0]
        low = max(low, min(positive, default=1.0) / 2)
        row[0].set_ylim(low / 1.1, high * 1.1)
    else:
        room = 0.04 * ((high - low) or span)
        row[0].set_ylim(low - room, high + room)
    return any(end < low or end > high for end in ends)


def _visible(curve: Curve, wishes: Wishes) -> Iterator[float]:
    yield from (estimate.mean for estimate in curve.estimates if estimate.mean is not None)
    if wishes.each:
        yield from (value for _, y in curve.runs for value in y)


def draw_x(axes: "Axes", curves: Curves, wishes: Wishes) -> None:
    """Label the axis of epochs, steps or seconds, and make axes logarithmic where that is wished."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel(words.figure(curves.x))
    if "x" in wishes.log:
        axes.set_xscale("log")
    elif curves.x != "seconds":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8 if len(curves.panels) == 1 else 4))
    if "y" in wishes.log:
        axes.set_yscale("log")


def _handles(labels: Sequence[str], metrics: Sequence[Sequence[Metric]]) -> Iterator[object]:
    from matplotlib.lines import Line2D

    if len(labels) > 1:
        yield from style.samples(labels)
    for of_unit in metrics:
        if len(of_unit) > 1:
            for place, metric in enumerate(of_unit):
                label = words.short_figure(metric.name)
                yield Line2D([], [], color=style.ink(), linestyle=_DASHES[place], label=label)


def _sentences(curves: Curves, wishes: Wishes, *, cut: bool) -> Iterator[str]:
    numbers = [estimate.n for panel in curves.panels for curve in panel.curves for estimate in curve.estimates]
    band = f"; band: {words.LEVEL_WORDS} of the mean" if max(numbers, default=0) > 1 else "; one run has no band"
    yield f"Mean over runs, {words.count(numbers, 'line')}{band}."
    if wishes.each:
        yield "Thin lines: single runs."
    if cut:
        yield "Wide bands are cut at the edges."
    if curves.x == "seconds":
        yield "Time: training and validation, as the runs took it; runs that share a machine slow each other."
    yield words.lost(curves.lost)
