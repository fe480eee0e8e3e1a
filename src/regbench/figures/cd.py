"""A critical-difference diagram: mean ranks on an axis; a bar joins rows that are not told apart."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from regbench.analysis.ranks import Ranks
from regbench.analysis.table import Table
from regbench.figures import rows as of_rows
from regbench.figures import style, words
from regbench.text import probability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 30
_STEP = 0.2  # inches between lines of text


def draw(ranks: Ranks, table: Table) -> "Figure":
    """Draw the rows by mean rank, better ones named at the left and worse ones at the right.

    Raises:
        UserError: there are too many rows.
    """
    of_rows.check_number("cd", len(ranks.rows), _MOST)
    half = -(-len(ranks.rows) // 2)
    bars = len(ranks.cliques)
    depth = 0.5 + 0.35 * bars
    figure = style.new(_STEP * half + 0.07 * bars + 1.45)
    axes = figure.subplots()
    count = len(ranks.rows)
    room = _text_room(ranks, table) * (count - 1)
    axes.set_xlim(1 - room, count + room)
    axes.set_ylim(depth + half + 0.2, -2.0)
    axes.axis("off")
    _draw_axis(axes, count)
    _draw_difference(axes, ranks.critical)
    for place, (row, rank) in enumerate(zip(ranks.rows, ranks.ranks, strict=True)):
        left = place < half
        height = depth + 0.6 + (place if left else count - 1 - place)
        end = 1 - 0.06 * (count - 1) if left else count + 0.06 * (count - 1)
        axes.plot([rank, rank, end], [0, height, height], color=style.GREY, linewidth=0.6)
        axes.plot([rank], [0], "o", color=style.BLUE, markersize=3.5, zorder=3)
        name = words.row(row, table)
        text = f"{name}  {rank:.2f} " if left else f" {rank:.2f}  {name}"
        axes.text(end, height, text, ha="right" if left else "left", va="center", fontsize=6.5)
    for number, (first, last) in enumerate(ranks.cliques):
        ends = (ranks.ranks[first] - 0.04, ranks.ranks[last] + 0.04)
        axes.plot(ends, [0.4 + 0.35 * number] * 2, color=style.VERMILION, linewidth=2.4, solid_capstyle="butt")
    style.caption(figure, *_sentences(ranks, table))
    return figure


def _text_room(ranks: Ranks, table: Table) -> float:
    """How much room names need at each side, as a share of the axis."""
    text = 0.3 + 0.052 * max(len(words.row(row, table)) + 5 for row in ranks.rows)  # inches
    return text / max(0.8, style.COLUMN - 2 * text)


def _draw_axis(axes: "Axes", count: int) -> None:
    axes.plot([1, count], [0, 0], color=style.ink(), linewidth=0.8)
    step = 1 if count <= 12 else 5
    for rank in (1, *range(step if step > 1 else 2, count + 1, step)):
        axes.plot([rank, rank], [0, -0.18], color=style.ink(), linewidth=0.6)
        axes.text(rank, -0.28, str(rank), ha="center", va="bottom", fontsize=6)
    axes.text((1 + count) / 2, -0.95, "mean rank (1 is best)", ha="center", va="bottom", fontsize=6.5)


def _draw_difference(axes: "Axes", critical: float) -> None:
    low, _ = axes.get_xlim()
    start = low + 0.02
    axes.plot([start, start + critical], [-1.5, -1.5], color=style.ink(), linewidth=1.4)
    for end in (start, start + critical):
        axes.plot([end, end], [-1.6, -1.4], color=style.ink(), linewidth=1)
    axes.text(start, -1.65, f"critical difference {critical:.2f}", ha="left", va="bottom", fontsize=6)


def _sentences(ranks: Ranks, table: Table) -> Iterator[str]:
    p = probability(ranks.p)
    yield f"Ranks within each of n = {ranks.seeds} seeds. Friedman's test: p {p if p.startswith('<') else '= ' + p}."
    yield "A bar joins rows whose ranks differ by less than Nemenyi's critical difference at 0.05."
    if ranks.left_out:
        yield f"{ranks.left_out} seeds that some row lacks are left out."
    yield of_rows.what(table)
    yield from of_rows.about(table)
