"""How a run's activations, weights and gradients are spread in each layer, after the first and the last epoch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from regbench.errors import UserError
from regbench.figures import style
from regbench.records.rows import BINS, Histogram, Quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLES: Mapping[Quantity, str] = {
    "before": "before\nthe norm",
    "after": "after\nthe norm",
    "weight": "weights",
    "gradient": "gradient of\nthe weights",
}
_MOST = 16  # layers


def draw(histograms: Sequence[Histogram], run: str) -> "Figure":
    """Draw a row for each layer and a column for each quantity: the first epoch filled, the last as a line.

    Raises:
        UserError: there are too many layers.
    """
    layers = list(dict.fromkeys(one.layer for one in histograms))
    if len(layers) > _MOST:
        raise UserError(f"plot histograms: {len(layers)} layers are too many (at most {_MOST})")
    quantities = [quantity for quantity in _TITLES if any(one.quantity == quantity for one in histograms)]
    epochs = sorted({one.epoch for one in histograms})
    figure = style.new(0.7 * len(layers) + 1.1)
    grid = figure.subplots(len(layers), len(quantities), squeeze=False)
    for layer, row in zip(layers, grid, strict=True):
        for quantity, axes in zip(quantities, row, strict=True):
            of_panel = [one for one in histograms if (one.layer, one.quantity) == (layer, quantity)]
            _draw(axes, of_panel, epochs, len(quantities))
        row[0].set_ylabel(layer)
    plain = "after" not in quantities
    for quantity, axes in zip(quantities, grid[0], strict=True):
        axes.set_title("before the\nnonlinearity" if plain and quantity == "before" else _TITLES[quantity])
    for axes in grid[-1]:
        axes.set_xlabel("value")
    _explain(figure, epochs, run)
    return figure


def _draw(axes: "Axes", histograms: Sequence[Histogram], epochs: Sequence[int], quantities: int) -> None:
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    axes.tick_params(axis="x", labelsize=5.5)
    axes.locator_params(axis="x", nbins=2 if quantities > 2 else 4)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
    for one in histograms:
        edges = np.linspace(one.low, one.high, BINS + 1) if one.high > one.low else one.low + np.array([-0.5, 0.5])
        counts = one.counts if one.high > one.low else one.counts[:1]
        density = counts / counts.sum() / np.diff(edges)
        if one.epoch == epochs[0]:
            axes.stairs(density, edges, fill=True, color=style.SKY, alpha=0.6)
        if one.epoch == epochs[-1]:
            axes.stairs(density, edges, color=style.VERMILION, linewidth=0.9)
    if not histograms:
        axes.axis("off")
    axes.set_ylim(bottom=0)


def _explain(figure: "Figure", epochs: Sequence[int], run: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    first = Patch(color=style.SKY, alpha=0.6, label=f"after epoch {epochs[0]}")
    last = Line2D([], [], color=style.VERMILION, linewidth=0.9, label=f"after epoch {epochs[-1]}")
    style.legend(figure, [first, last])
    style.caption(
        figure,
        f"Run {run} (n = 1, no band). Density in {BINS} bins, each panel on its own scale; activations and gradients "
        "of 100 training images. Values beyond five standard deviations are in the outermost bins.",
    )
