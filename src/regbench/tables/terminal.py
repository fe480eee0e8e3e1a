"""A table in the terminal: headings and long keys fold if it is narrow, figures never do."""

import textwrap
from collections.abc import Sequence

import rich.box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from regbench.analysis.table import Table
from regbench.tables.cells import cells
from regbench.tables.footer import footer
from regbench.tables.layout import Cells

_GAPS = (2, 1)  # between columns; the second if the console is narrow
_KEY_FOLD, _HEADING_FOLD = 8, 4  # the narrowest columns that a key's values and a heading are folded to


def table(comparison: Table, console: Console) -> None:
    """Print the table and its footer."""
    show(cells(comparison), footer(comparison), console)


def show(table_cells: Cells, notes: Sequence[str], console: Console) -> None:
    """Print cells, and notes below them, folded between words."""
    console.print(_grid(table_cells, console.width), crop=False)
    console.print()
    for line in notes:
        wrapped = textwrap.fill(line, console.width, break_long_words=False, break_on_hyphens=False)
        console.print(Text(wrapped), style="dim", soft_wrap=True)


def _grid(table_cells: Cells, width: int) -> Grid:
    """Lay the cells out in the width of the terminal, or in the least width that they need."""
    needed = [max(map(cell_len, column), default=0) for column in _columns(table_cells)]
    words = [side == "left" for side in table_cells.alignment]
    gap, sizes, headings = _fitted(table_cells.headings, needed, _least(needed, words), width)
    full = sum(sizes) + gap * (len(headings) - 1)
    grid = Grid(box=rich.box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False, show_edge=False, width=full)
    for heading, size, justify in zip(headings, sizes, table_cells.alignment, strict=True):
        grid.add_column(Text(heading), width=size, justify=justify, overflow="fold")
    for row in table_cells.rows:
        grid.add_row(*map(Text, row))
    return grid


def _columns(table_cells: Cells) -> list[list[str]]:
    return [[row[place] for row in table_cells.rows] for place in range(len(table_cells.headings))]


def _least(needed: Sequence[int], words: Sequence[bool]) -> list[int]:
    """Return how narrow each column may get: the values of keys fold, and all headings do."""
    folded = [min(size, _KEY_FOLD) if may_fold else size for size, may_fold in zip(needed, words, strict=True)]
    return [max(size, _HEADING_FOLD) for size in folded]


def _fitted(
    headings: Sequence[str], needed: Sequence[int], least: Sequence[int], width: int
) -> tuple[int, list[int], Sequence[str]]:
    """Return the gap between columns, their widths, and the headings, folded if they must be."""
    gap = next((gap for gap in _GAPS if sum(least) + gap * (len(least) - 1) <= width), _GAPS[-1])
    room = width - gap * (len(least) - 1)
    if sum(_wide(headings, needed)) > room:
        headings = [heading.replace("_", "_\n").replace(".", "\n.").replace("unf", "un-\nf") for heading in headings]
    return gap, _narrowed(_wide(headings, needed), least, room), headings


def _wide(headings: Sequence[str], needed: Sequence[int]) -> list[int]:
    """Return the widths at which neither a line of a heading nor a cell folds."""
    lines = (max(map(cell_len, heading.splitlines())) for heading in headings)
    return [max(pair) for pair in zip(lines, needed, strict=True)]


def _narrowed(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Make the widest column that may shrink narrower, until all fit or none may shrink."""
    narrowed = list(widths)
    while sum(narrowed) > room and (places := [p for p in range(len(narrowed)) if narrowed[p] > least[p]]):
        narrowed[max(places, key=lambda place: narrowed[place])] -= 1
    return narrowed
