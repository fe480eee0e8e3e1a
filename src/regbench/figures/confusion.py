"""Confusion matrices: the mean over seeds, or the difference from the baseline's; and the accuracy of each class."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regbench.analysis.confusion import Confusion, Predicted
from regbench.errors import UserError
from regbench.figures import rows as of_rows
from regbench.figures import style, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 5  # lines side by side
_MOST_CLASSES = 30
_WRITTEN = 12  # classes whose cells hold numbers
_SIGNED = 0.3  # of the largest difference: from there on cells without numbers have a sign


def draw(confusions: Sequence[Confusion], predicted: Predicted) -> "Figure":
    """Draw each line's matrix, below it the difference from its baseline's, below that each class's accuracy.

    The main diagonal is not coloured: it is the accuracy of the class, which would hide all else.

    Raises:
        UserError: there are too many lines or classes.
    """
    classes = len(confusions[0].shares)
    of_rows.check_number("confusion", len(confusions), _MOST)
    if classes > _MOST_CLASSES:
        raise UserError(f"plot confusion: {classes} classes are too many (at most {_MOST_CLASSES})")
    differ = any(one.difference is not None for one in confusions)
    width = style.COLUMN if len(confusions) <= 2 else min(style.PAGE, 2.4 * len(confusions))
    side = (width - 0.5) / len(confusions)
    figure = style.new(side * (1 + differ) + 2.3, width)
    ratios = [1.0] * (1 + differ) + [0.75]
    grid = figure.subplots(len(ratios), len(confusions), height_ratios=ratios, squeeze=False, sharey="row")
    _draw_shares(grid[0], confusions, figure)
    if differ:
        _draw_differences(grid[1], confusions, figure)
    _draw_accuracies(grid[-1], confusions)
    for axes in (*grid[0], *(grid[1] if differ else ())):
        axes.set_xlabel("taken for class")
    for row in grid[: 1 + differ]:
        row[0].set_ylabel("right class")
    style.caption(figure, *_sentences(confusions, predicted))
    return figure


def _draw_shares(row: "Sequence[Axes]", confusions: Sequence[Confusion], figure: "Figure") -> None:
    matrices = [100 * one.shares for one in confusions]
    most = max(_without_diagonal(matrix).max() for matrix in matrices) or 1.0
    for axes, one, matrix in zip(row, confusions, matrices, strict=True):
        image = axes.imshow(_without_diagonal(matrix), cmap=style.SEQUENTIAL, vmin=0, vmax=most)
        _write(axes, matrix, "{:.1f}", small=len(confusions) > 1)
        axes.set_title(one.line.label)
    figure.colorbar(image, ax=list(row), label="of the class (%)", shrink=0.8, pad=0.02)


def _draw_differences(row: "Sequence[Axes]", confusions: Sequence[Confusion], figure: "Figure") -> None:
    matrices = [None if one.difference is None else 100 * one.difference for one in confusions]
    most = max(float(np.abs(_without_diagonal(m)).max()) for m in matrices if m is not None) or 1.0
    image: Any = None
    for axes, matrix in zip(row, matrices, strict=True):
        if matrix is None:
            axes.text(0.5, 0.5, "baseline", ha="center", va="center", transform=axes.transAxes)
            axes.set_box_aspect(1)
            axes.axis("off")
        else:
            image = axes.imshow(_without_diagonal(matrix), cmap=style.DIVERGING, vmin=-most, vmax=most)
            _write(axes, matrix, "{:+.1f}", small=len(confusions) > 1)
            if len(confusions) > 1:
                _sign(axes, matrix, most)
    figure.colorbar(image, ax=list(row), label="difference (points)", shrink=0.8, pad=0.02)


def _without_diagonal(matrix: NDArray[np.float64]) -> Any:
    return np.ma.masked_array(matrix, np.eye(len(matrix), dtype=bool))


def _write(axes: "Axes", matrix: NDArray[np.float64], pattern: str, *, small: bool) -> None:
    """Write the shares into the cells: those of the diagonal always, others where they are not 0."""
    (image,) = axes.images
    classes = len(matrix)
    axes.set_xticks(range(classes))
    axes.set_yticks(range(classes))
    axes.tick_params(length=0)
    if classes > _WRITTEN or small:
        return
    for down in range(classes):
        for across in range(classes):
            value = matrix[down, across]
            if down == across or abs(value) >= 0.05:
                colour = style.ink() if down == across else style.on(image.cmap(image.norm(value)))
                axes.text(across, down, pattern.format(value), ha="center", va="center", color=colour, fontsize=4.2)


def _sign(axes: "Axes", matrix: NDArray[np.float64], most: float) -> None:
    """Write the sign of the larger differences: in grey, both ends of the colours are dark."""
    (image,) = axes.images
    for down, across in zip(*np.nonzero(np.abs(_without_diagonal(matrix)).filled(0) >= most * _SIGNED), strict=True):
        value = matrix[down, across]
        colour = style.on(image.cmap(image.norm(value)))
        axes.text(across, down, "+" if value > 0 else "−", ha="center", va="center", color=colour, fontsize=5)


def _draw_accuracies(row: "Sequence[Axes]", confusions: Sequence[Confusion]) -> None:
    for place, (axes, one) in enumerate(zip(row, confusions, strict=True)):
        style.grid(axes)
        axes.plot(100 * np.diag(one.shares), "o", color=style.BLUE, label="this row")
        if one.difference is not None:
            base = 100 * np.diag(one.shares - one.difference)
            axes.plot(base, "_", color=style.VERMILION, markersize=7, markeredgewidth=1.3, label="its baseline")
        axes.set_xticks(range(len(one.shares)))
        axes.set_xlabel("class")
        if place == 0:
            axes.set_ylabel("accuracy (%)")


def _sentences(confusions: Sequence[Confusion], predicted: Predicted) -> Iterator[str]:
    numbers = [one.n for one in confusions]
    yield f"Mean over runs, {words.count(numbers, 'column')}, in % of the images of each class."
    if any(one.difference is not None for one in confusions):
        yield "Difference: from the mean over the baseline's runs; in the lowest row, bars are the baseline."
        if len(confusions) > 1:
            yield "+, −: more, less often than the baseline, of the larger differences."
    yield f"{len(predicted.labels):,} test images, {words.moment(predicted.select)}."
    yield from missing(predicted)


def missing(predicted: Predicted) -> Iterator[str]:
    """Say which runs have no record of predicted classes, or no figures at all."""
    if names := predicted.missing:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        yield f"Without a record of classes, and so left out: {', '.join(names[:3])}{more}."
    yield words.lost(predicted.lost)
