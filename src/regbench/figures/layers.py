"""What each layer does: scales, gradients, dead or saturated units, update ratios, from input to output, by epoch."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from regbench.analysis.layers import LayerMeans, Layers
from regbench.errors import UserError
from regbench.figures import style, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

_MOST_GROUPS = 6  # side by side
_MOST_EPOCHS = 5  # lines of one panel
_MOST_NAMES = 8  # of layers on an axis
_LEVEL = 3  # names side by side that are not turned
_FLOOR = 1e-12  # below it, a value on a logarithmic axis counts as 0


class _Row(NamedTuple):
    """A row of panels: the figures of layers.csv that it shows, its label, and how it is scaled."""

    names: tuple[str, ...]
    label: str
    log: bool = False
    percent: bool = False


_ROWS = (
    _Row(("before_std", "after_std"), "scale of\nactivations", log=True),
    _Row(("grad_norm",), "norm of the\ngradient", log=True),
    _Row(("dead",), "dead units\n(%)", percent=True),
    _Row(("saturated",), "saturated\noutputs (%)", percent=True),
    _Row(("update_ratio",), "update /\nweights", log=True),
    _Row(("near_zero",), "weights near\nzero (%)", percent=True),
)
_DASHES = {"after_std": "--"}


def draw(layers: Layers) -> "Figure":
    """Draw a column for each group of runs and a row for each figure; a line is an epoch, the darkest the last.

    Raises:
        UserError: there are more groups than stand side by side.
    """
    if len(layers.groups) > _MOST_GROUPS:
        raise UserError(
            f"plot layers: {len(layers.groups)} groups are too many side by side (at most {_MOST_GROUPS}). "
            "Choose by --where, or name fewer keys by --by"
        )
    rows = [row for row in _ROWS if any(name in group.means for name in row.names for group in layers.groups)]
    figure = style.new(0.95 * len(rows) + 1.2, style.COLUMN if len(layers.groups) <= style.IN_COLUMN else style.PAGE)
    grid = figure.subplots(len(rows), len(layers.groups), sharex=True, sharey="row", squeeze=False)
    epochs = picked(layers.epochs)
    for row, of_row in zip(rows, grid, strict=True):
        for group, axes in zip(layers.groups, of_row, strict=True):
            _draw(axes, row, group, layers.layers, epochs)
        _scale(of_row, row)
        of_row[0].set_ylabel(row.label)
    for group, axes in zip(layers.groups, grid[0], strict=True):
        axes.set_title(group.line.label + (f" ({group.diverged} of {group.n} diverged)" if group.diverged else ""))
    ticks = _ticks(len(layers.layers))
    for axes in grid[-1]:
        names = [layers.layers[place] for place in ticks]
        axes.set_xticks(ticks, names, rotation=90 if len(layers.groups) * len(names) > _LEVEL else 0)
    grid[-1][len(layers.groups) // 2].set_xlabel("layer, input to output")
    style.legend(figure, list(_handles(layers, epochs)), f"columns: {words.keys(layers.keys)}" if layers.keys else None)
    numbers = [group.n for group in layers.groups]
    style.caption(figure, *_sentences(layers, numbers))
    return figure


def _ticks(layers: int) -> list[int]:
    """Choose the layers to name: all of a few, else the last and every second, third … before it."""
    step = -(-layers // _MOST_NAMES)
    return list(range(layers - 1, -1, -step))[::-1]


def picked(epochs: Sequence[int]) -> list[int]:
    """Choose the epochs to draw: the first, the last, and some between that are evenly spaced."""
    if len(epochs) <= _MOST_EPOCHS:
        return list(epochs)
    step = (len(epochs) - 1) / (_MOST_EPOCHS - 1)
    return [epochs[round(place * step)] for place in range(_MOST_EPOCHS)]


def _draw(axes: "Axes", row: _Row, group: LayerMeans, layers: Sequence[str], epochs: Sequence[int]) -> None:
    style.grid(axes)
    for name in row.names:
        for number, epoch in enumerate(epochs):
            values = _values(group.means.get(name, {}), epoch, layers, row)
            if any(map(math.isfinite, values)):
                last = number == len(epochs) - 1
                colour = _ramp()(_depth(number, len(epochs)))
                look: dict[str, Any] = {"linestyle": _DASHES.get(name, "-"), "linewidth": 1.3 if last else 0.8}
                axes.plot(values, color=colour, marker="o" if last else None, markersize=2.2, **look)


def _values(means: Mapping[tuple[int, str], float], epoch: int, layers: Sequence[str], row: _Row) -> list[float]:
    values = [means.get((epoch, layer), math.nan) for layer in layers]
    if row.log:
        return [max(value, _FLOOR) if value == value else value for value in values]
    return [100 * value if row.percent else value for value in values]


def _scale(axes: "Sequence[Axes]", row: _Row) -> None:
    """Scale a row of panels: whole decades of at least one, or shares from 0."""
    from matplotlib.ticker import LogLocator, NullFormatter

    limits = [part.dataLim for part in axes if part.lines]  # those of an empty panel reach to infinity
    if not limits:
        return
    low, high = limits[0].union(limits).intervaly
    if row.log and high > 0:
        for part in axes:
            part.set_yscale("log")
            part.yaxis.set_major_locator(LogLocator(numticks=5))
            part.yaxis.set_minor_formatter(NullFormatter())
        axes[0].set_ylim(10 ** math.floor(math.log10(low) - 0.05), 10 ** math.ceil(math.log10(high) + 0.05))
    elif row.percent:
        axes[0].set_ylim(-0.04 * (top := max(10.0, min(100.0, 1.1 * high))), 1.04 * top)


def _ramp() -> "Colormap":
    """Colours from early to late: away from the background, so that the last epoch stands out."""
    import matplotlib

    dark = style.paper() != "white"
    return matplotlib.colormaps["cividis" if dark else "cividis_r"]


def _depth(number: int, epochs: int) -> float:
    return 0.15 + 0.85 * (number / (epochs - 1) if epochs > 1 else 1.0)


def _handles(layers: Layers, epochs: Sequence[int]) -> Iterator[object]:
    from matplotlib.lines import Line2D

    for number, epoch in enumerate(epochs):
        yield Line2D([], [], color=_ramp()(_depth(number, len(epochs))), label=f"epoch {epoch}")
    if any("after_std" in group.means for group in layers.groups):
        yield Line2D([], [], color=style.ink(), label="before the norm")
        yield Line2D([], [], color=style.ink(), linestyle="--", label="after it")


def _sentences(layers: Layers, numbers: Sequence[int]) -> Iterator[str]:
    yield f"Mean over runs, {words.count(numbers, 'column')}, of 100 training images after each epoch."
    yield "Scale: standard deviation of what the activation or the norm gets."
    yield words.lost(layers.lost)
