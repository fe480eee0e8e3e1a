"""A table in the terminal: headings and long keys fold where it is narrow, figures never do."""

import textwrap
from collections.abc import Sequence

import rich.box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from regbench.analysis.table import Table
from regbench.tables.cells import Cells, cells
from regbench.tables.footer import footer

GAPS = (2, 1)  # between columns; the second where the console is narrow
KEY_FOLD, HEADING_FOLD = 8, 4  # the narrowest that a key's values and a heading are folded to


def table(comparison: Table, console: Console) -> None:
    """Print the table and its footer."""
    laid_out(cells(comparison), footer(comparison), console)


def laid_out(found: Cells, lines: Sequence[str], console: Console) -> None:
    """Print cells, and below them some lines."""
    console.print(grid(found, console.width), crop=False)
    console.print()
    notes(lines, console)


def notes(lines: Sequence[str], console: Console) -> None:
    """What stands below a table, each line folded between words."""
    for line in lines:
        wrapped = textwrap.fill(line, console.width, break_long_words=False, break_on_hyphens=False)
        console.print(Text(wrapped), style="dim", soft_wrap=True)


def grid(found: Cells, width: int) -> Grid:
    """The cells laid out in so many columns of the terminal, or in as few more as they need."""
    headings = found.headings
    needed = [max((cell_len(row[place]) for row in found.rows), default=0) for place in range(len(headings))]
    least = _least(needed, found.keys)
    gap = next((gap for gap in GAPS if sum(least) + gap * (len(headings) - 1) <= width), GAPS[-1])
    room = width - gap * (len(headings) - 1)
    if sum(_wide(headings, needed)) > room:
        headings = [heading.replace("_", "_\n").replace(".", "\n.").replace("unf", "un-\nf") for heading in headings]
    widths = _narrowed(_wide(headings, needed), least, room)
    full = sum(widths) + gap * (len(headings) - 1)
    laid = Grid(box=rich.box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False, show_edge=False, width=full)
    for heading, size, justify in zip(headings, widths, found.alignment, strict=True):
        laid.add_column(Text(heading), width=size, justify=justify, overflow="fold")
    for row in found.rows:
        laid.add_row(*map(Text, row))
    return laid


def _least(needed: Sequence[int], keys: int) -> list[int]:
    """How narrow a column may get: the values of keys fold, and all headings."""
    folded = [min(size, KEY_FOLD) if place < keys else size for place, size in enumerate(needed)]
    return [max(size, HEADING_FOLD) for size in folded]


def _wide(headings: Sequence[str], needed: Sequence[int]) -> list[int]:
    """The widths at which neither a heading's line nor a cell folds."""
    lines = (max(map(cell_len, heading.splitlines())) for heading in headings)
    return [max(pair) for pair in zip(lines, needed, strict=True)]


def _narrowed(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """The widths, the widest that may shrink made narrower until they fit or none may."""
    narrowed = list(widths)
    while sum(narrowed) > room and (places := [p for p in range(len(narrowed)) if narrowed[p] > least[p]]):
        narrowed[max(places, key=lambda place: narrowed[place])] -= 1
    return narrowed
