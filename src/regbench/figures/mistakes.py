"""The test images that a row gets wrong and its baseline right, as pictures."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench.analysis.confusion import Mistakes, Predicted
from regbench.errors import UserError
from regbench.figures import rows as of_rows
from regbench.figures import style, words
from regbench.figures.confusion import missing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ACROSS = 8  # images in a strip
_MOST = 8  # rows
_ALONE = 4  # strips of a single row


def most(lines: int) -> int:
    """Count the images that each of n rows has room for in a picture."""
    return _ACROSS * (_ALONE if lines == 1 else 1)


def draw(mistakes: Sequence[Mistakes], images: NDArray[np.uint8], predicted: Predicted) -> "Figure":
    """Draw a strip of images for each row; over each the right class, the wrong one, and how many runs err.

    Raises:
        UserError: no image is classified wrongly oftener than by the baseline, or there are too many rows.
    """
    mistakes = [one for one in mistakes if one.images]
    if not mistakes:
        raise UserError("plot mistakes: no test image is classified wrongly more often than by the baseline")
    of_rows.check_number("mistakes", len(mistakes), _MOST)
    strips = sum(-(-len(one.images) // _ACROSS) for one in mistakes)
    figure = style.new(0.62 * strips + 0.16 * len(mistakes) + 0.65)
    parts = figure.subfigures(len(mistakes), squeeze=False)[:, 0] if len(mistakes) > 1 else [figure]
    for part, one in zip(parts, mistakes, strict=True):
        part.suptitle(one.line.label, x=0.01, ha="left", fontsize=7)
        rows = -(-len(one.images) // _ACROSS)
        grid = part.subplots(rows, _ACROSS, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes, mistake in zip(grid.flat, one.images, strict=False):
            axes.imshow(images[mistake.image], cmap="gray_r" if style.paper() == "white" else "gray", vmin=0, vmax=255)
            share = f"{100 * mistake.wrong:.0f}"
            base = f" : {100 * mistake.base_wrong:.0f}" if one.baseline else ""
            axes.set_title(f"{mistake.label}→{mistake.taken_for}\n{share}{base} %", fontsize=5, pad=1.5)
    style.caption(figure, *_sentences(mistakes, predicted))
    return figure


def _sentences(mistakes: Sequence[Mistakes], predicted: Predicted) -> Iterator[str]:
    against = any(one.baseline for one in mistakes)
    yield "Right class → class most often named instead; share of the runs that err" + (
        " : of the baseline's runs." if against else "."
    )
    yield f"Shares of {words.count([one.n for one in mistakes], 'row')}, {words.moment(predicted.select)}."
    yield from missing(predicted)
