"""What pictures with a line of text for each row share: their labels and captions."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from regbench.analysis.table import Row, Table
from regbench.errors import UserError
from regbench.figures import style, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW = 0.21  # inches
MOST = 80  # rows of one picture


def check_number(kind: str, number: int, most: int = MOST) -> None:
    """Raise UserError if a kind of picture has too many rows."""
    if number > most:
        raise UserError(f"plot {kind}: {number} rows are too many (at most {most}). Choose by --where, --by")


def new(rows: Sequence[Row]) -> "tuple[Figure, Axes]":
    """Make a picture with room for a line of text for each row, the first at the top."""
    figure = style.new(_ROW * len(rows) + 1.25)
    axes = figure.subplots()
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure, axes


def label(axes: "Axes", rows: Sequence[Row], table: Table) -> None:
    """Write the name of each row beside it."""
    axes.set_yticks(range(len(rows)), [words.row(row, table) for row in rows])


def what(table: Table) -> str:
    """Say what tells the rows apart."""
    return f"Rows: {words.rows(table)}." if table.keys != ("runs",) else ""


def about(table: Table) -> Iterator[str]:
    """Say of which epoch the figures are, and which runs are not among them."""
    yield f"{words.short_figure(table.metric.name).capitalize()} {words.moment(table.select)}."
    if table.tuning:
        judge = words.short_figure(table.tuning.metric)
        keys = words.keys(table.tuning.keys).capitalize()
        yield f"{keys}: chosen for each seed by the mean {judge} of the seeds before it."
    yield words.lost(table.lost)
