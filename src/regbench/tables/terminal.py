"""A table in the terminal: it leaves out, folds or divides what does not fit, and breaks no word and no number."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from regbench.analysis.curves import Curves
from regbench.analysis.table import Table
from regbench.tables.cells import cells
from regbench.tables.footer import footer
from regbench.tables.layout import Cells
from regbench.tables.spark import sparks, with_sparks

_GAPS = (2, 1)  # between columns; the second if the terminal is narrow
# After spaces, commas and underscores, and before a dot that begins a name: optimizer, .lr, but 0.003
_BREAKS = re.compile(r"(?<=[ ,_])|(?=\.[^\d])")


def table(
    comparison: Table | Sequence[Table],
    console: Console,
    more: Sequence[str] = (),
    *,
    explain: bool = False,
    curves: Curves | None = None,
) -> None:
    """Print the table of one figure, or of several side by side, and the footer: two lines and what is odd, or all.

    `curves` of the same rows stand beside their names.
    """
    tables = [comparison] if isinstance(comparison, Table) else list(comparison)
    table_cells, notes = cells(tables, more), footer(tables, explain=explain)
    if curves:
        found = sparks(curves, tables[0], ascii_only=console.options.ascii_only)
        table_cells, notes = with_sparks(table_cells, found), [*notes, found.note]
    show(table_cells, notes, console)


def show(table_cells: Cells, notes: Sequence[str], console: Console) -> None:
    """Print cells, and notes below them, folded between words."""
    fitting, left_out = _fitting(table_cells, console.width)
    for number, block in enumerate(_blocks(fitting, console.width)):
        head, body = _lines(block, console.width)
        if number:
            console.print()
        console.print(Text("\n".join(head), style="bold"), soft_wrap=True)
        console.print(Text("\n".join(body)), soft_wrap=True)
    console.print()
    if left_out:
        names = ", ".join(dict.fromkeys(left_out))
        notes = [*notes, f"Not shown, for want of room: {names}. A wider terminal or --csv shows all."]
    for line in notes:
        wrapped = textwrap.fill(line, console.width, break_long_words=False, break_on_hyphens=False)
        console.print(Text(wrapped), style="dim", soft_wrap=True)


def _fitting(table_cells: Cells, width: int) -> tuple[Cells, list[str]]:
    """Leave out spare columns until the table fits, and name them."""
    left_out: list[int] = []
    for place in table_cells.spare:
        if _narrowest(_without(table_cells, left_out)) <= width:
            break
        left_out.append(place)
    return _without(table_cells, left_out), [table_cells.headings[place] for place in left_out]


def _narrowest(table_cells: Cells) -> int:
    """Return the width at which headings are folded and cells are not."""
    sizes = [max(heading, cell) for heading, cell in zip(_pieces(table_cells), _needed(table_cells), strict=True)]
    return sum(sizes) + _GAPS[-1] * (len(sizes) - 1)


def _without(table_cells: Cells, left_out: Sequence[int]) -> Cells:
    return _only(table_cells, [place for place in range(len(table_cells.headings)) if place not in left_out])


def _only(table_cells: Cells, places: Sequence[int]) -> Cells:
    words = sum(place not in table_cells.figures for place in places)
    return replace(
        table_cells,
        headings=[table_cells.headings[place] for place in places],
        heads=[table_cells.heads[place] for place in places] if table_cells.heads else (),
        rows=[[row[place] for place in places] for row in table_cells.rows],
        figures=range(words, len(places)),
        spare=(),
    )


def _blocks(table_cells: Cells, width: int) -> Iterator[Cells]:
    """Divide a pivot that is too wide: as many of its columns at a time as fit, the keys before each part."""
    keys = list(range(table_cells.figures.start))
    part: list[int] = []
    for place in table_cells.figures if table_cells.across else ():
        if part and _narrowest(_only(table_cells, [*keys, *part, place])) > width:
            yield _only(table_cells, [*keys, *part])
            part = []
        part.append(place)
    yield _only(table_cells, [*keys, *part]) if table_cells.across else table_cells


def _lines(table_cells: Cells, width: int) -> tuple[list[str], list[str]]:
    """Return the lines of the heading with the rule below it, and those of the rows."""
    gap, sizes = _sizes(table_cells, width)
    indent = sum(sizes[: table_cells.figures.start]) + gap * table_cells.figures.start
    above = [" " * indent + table_cells.across] if table_cells.across else []
    headings = _folded(_headings(table_cells), sizes)
    height = max(map(len, headings))
    lowered = [[""] * (height - len(lines)) + lines for lines in headings]
    rule = "─" * (sum(sizes) + gap * (len(sizes) - 1))
    rows = (_laid_out(_folded(row, sizes), sizes, table_cells, gap) for row in table_cells.rows)
    return [*above, *_laid_out(lowered, sizes, table_cells, gap), rule], [line for row in rows for line in row]


def _laid_out(texts: Sequence[Sequence[str]], sizes: Sequence[int], table_cells: Cells, gap: int) -> Iterator[str]:
    """Join cells of several lines into lines of text."""
    for number in range(max(map(len, texts), default=1)):
        parts = [lines[number] if number < len(lines) else "" for lines in texts]
        spaces = [" " * (size - cell_len(part)) for part, size in zip(parts, sizes, strict=True)]
        sides = zip(parts, spaces, table_cells.alignment, strict=True)
        yield (" " * gap).join(pad + part if side == "right" else part + pad for part, pad, side in sides).rstrip()


def _sizes(table_cells: Cells, width: int) -> tuple[int, list[int]]:
    """Return the gap between columns and their widths: headings fold first, then keys, and figures never."""
    needed, whole, pieces = _needed(table_cells), list(map(cell_len, _headings(table_cells))), _pieces(table_cells)
    for gap in _GAPS:
        for heads in (whole, pieces):
            sizes = [max(pair) for pair in zip(heads, needed, strict=True)]
            room = width - gap * (len(sizes) - 1)
            if sum(sizes) <= room:
                return gap, _widened(sizes, [max(pair) for pair in zip(whole, needed, strict=True)], room)
    return _GAPS[-1], _narrowed(sizes, _least(table_cells), room)


def _widened(sizes: Sequence[int], wanted: Sequence[int], room: int) -> list[int]:
    """Give columns the width of their unfolded heading while there is room, narrow ones first."""
    widened = list(sizes)
    for place in sorted(range(len(sizes)), key=lambda place: wanted[place] - sizes[place]):
        if sum(widened) - widened[place] + wanted[place] <= room:
            widened[place] = wanted[place]
    return widened


def _narrowed(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Make the widest column that may shrink narrower, until all fit or none may shrink."""
    narrowed = list(widths)
    while sum(narrowed) > room and (places := [p for p in range(len(narrowed)) if narrowed[p] > least[p]]):
        narrowed[max(places, key=lambda place: narrowed[place])] -= 1
    return narrowed


def _least(table_cells: Cells) -> list[int]:
    """Return how narrow each column may get: cells fold where words end."""
    columns = zip(_pieces(table_cells), _columns(table_cells), strict=True)
    return [max(heading, max(map(_longest, column), default=0)) for heading, column in columns]


def _headings(table_cells: Cells) -> Sequence[str]:
    return table_cells.heads or table_cells.headings


def _pieces(table_cells: Cells) -> list[int]:
    """Return the width of each folded heading."""
    return list(map(_longest, _headings(table_cells)))


def _longest(text: str) -> int:
    return max((cell_len(piece.rstrip()) for piece in _BREAKS.split(text)), default=0)


def _needed(table_cells: Cells) -> list[int]:
    return [max(map(cell_len, column), default=0) for column in _columns(table_cells)]


def _columns(table_cells: Cells) -> list[list[str]]:
    return [[row[place] for row in table_cells.rows] for place in range(len(table_cells.headings))]


def _folded(texts: Sequence[str], sizes: Sequence[int]) -> list[list[str]]:
    return [list(_fold(text, size)) for text, size in zip(texts, sizes, strict=True)]


def _fold(text: str, size: int) -> Iterator[str]:
    """Fold text at its breaks into lines of a width; a piece that is longer stays whole."""
    line = ""
    for piece in _BREAKS.split(text):
        if line and cell_len((line + piece).rstrip()) > size:
            yield line.rstrip()
            line = ""
        line += piece
    yield line.rstrip()
