"""The images that a network saw, each with its answer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from regbench.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ACROSS, _MOST = 8, 64


def draw(pictures: Sequence[tuple[NDArray[Any], str]], run: str) -> "Figure":
    """Draw uint8 pixels [28, 28], each below its title; the first 64."""
    shown = pictures[:_MOST]
    rows = -(-len(shown) // _ACROSS)
    figure = style.new(0.62 * rows + 0.4)
    grid = figure.subplots(rows, _ACROSS, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, (pixels, title) in zip(grid.flat, shown, strict=False):
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
        axes.set_title(title, fontsize=5, pad=1)
    left = f" The first {len(shown)} of {len(pictures)}." if len(pictures) > len(shown) else ""
    style.caption(figure, f"What the network of {run} saw, its answer above.{left}")
    return figure
