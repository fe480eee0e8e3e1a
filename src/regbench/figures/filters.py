"""First-layer weights as images: what each unit looks for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from regbench.analysis.filters import Filters
from regbench.figures import rows as of_rows
from regbench.figures import style, words
from regbench.records.metrics import Selection

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ACROSS, _ALONE = 8, 8  # pictures in a strip; strips of a single run
_MOST = 10  # rows


def draw(keys: Sequence[str], filters: Sequence[Filters], select: Selection) -> "Figure":
    """Draw the first units of each run: dark and light are weights below and above 0, on one scale for each row.

    Raises:
        UserError: there are too many rows.
    """
    of_rows.check_number("filters", len(filters), _MOST)
    shown = [one.weights[: _ACROSS * (_ALONE if len(filters) == 1 else 1)] for one in filters]
    strips = sum(-(-len(weights) // _ACROSS) for weights in shown)
    figure = style.new(0.43 * strips + 0.2 * len(filters) + 0.5)
    parts = figure.subfigures(len(filters), squeeze=False)[:, 0] if len(filters) > 1 else [figure]
    for part, one, weights in zip(parts, filters, shown, strict=True):
        reach = float(np.abs(weights).max()) or 1.0
        part.suptitle(f"{one.line.label} (±{reach:.2g})", x=0.01, ha="left", fontsize=7)
        grid = part.subplots(-(-len(weights) // _ACROSS), _ACROSS, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes, picture in zip(grid.flat, weights, strict=False):
            axes.imshow(picture, cmap=style.SEQUENTIAL, vmin=-reach, vmax=reach)
    number = " to ".join(map(str, sorted({len(w) for w in shown})[:: max(1, len({len(w) for w in shown}) - 1)]))
    what = f"Rows: {words.keys(keys)}. " if keys and len(filters) > 1 else ""
    style.caption(
        figure,
        f"{what}The first {number} units' weights of one run per row (n = 1, no band)"
        f"{'' if len(filters) > 1 else f': {filters[0].run}'}.",
        "In brackets: the ends of the colours, dark blue below 0, yellow above.",
        "Weights of the epoch with the best validation loss." if select else "",
    )
    return figure
