"""A table of text: its cells, a plain layout, CSV. No rich and no pandas, so that `ls` starts quickly."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from regbench.text import for_csv, printable, shown

_GAP = "  "
_TAIL, _LEAST = 16, 24  # of a path in a narrow terminal: its end, which holds the id, and its shortest length


@dataclass(frozen=True)
class Cells:
    """Headings and rows of text. The columns at `figures` are figures, the others words.

    Whatever the texts come from, they hold no character that could steer a terminal.

    Attributes:
        spare: the columns that a narrow terminal may leave out, the first first.
        across: the keys of a pivot, written once above its figures; empty for any other table.
        heads: what a terminal writes under `across`: headings without the keys.
    """

    headings: list[str]
    rows: list[list[str]]
    figures: range
    spare: Sequence[int] = ()
    across: str = ""
    heads: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "headings", list(map(printable, self.headings)))
        object.__setattr__(self, "rows", [list(map(printable, row)) for row in self.rows])

    @property
    def alignment(self) -> list[Literal["left", "right"]]:
        """Words stand left, figures right."""
        return ["right" if place in self.figures else "left" for place in range(len(self.headings))]


def lay_out(cells: Cells, room: int | None = None) -> list[str]:
    """Return the lines of a table that folds nothing, headings first.

    rich would take 1.4 s for 2,000 rows, and this takes 0.03 s (on 2 cores of an AMD Zen 3): so long tables are laid
    out here, and those that must fit the terminal in `terminal`.

    Args:
        cells: the table.
        room: the width of the terminal: the text of the last column is shortened in its middle to fit into it.
    """
    widths = _widths(cells)
    rows = [cells.headings, *cells.rows]
    if room:
        last = max(room - sum(widths[:-1]) - len(_GAP) * (len(widths) - 1), _LEAST)
        rows = [[*row[:-1], _shortened(row[-1], last)] for row in rows]
    pads = [str.rjust if side == "right" else str.ljust for side in cells.alignment]
    lines = ((pad(text, width) for pad, text, width in zip(pads, row, widths, strict=True)) for row in rows)
    return [_GAP.join(line).rstrip() for line in lines]


def width(cells: Cells) -> int:
    """Return the width of the table if nothing is shortened."""
    widths = _widths(cells)
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _widths(cells: Cells) -> list[int]:
    return [max(map(len, column)) for column in zip(cells.headings, *cells.rows, strict=True)]


def _shortened(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - _TAIL - 1]}…{text[-_TAIL:]}"


_EXACT = 2**53  # whole numbers below this are the same as floats
NULL = "(null)"  # of CSV: pandas and R read `null` and an empty cell as missing, and no option has this name


def csv_value(value: Any) -> Any:
    """Return the value of a key as CSV holds it: null as a word, numbers as numbers, lists as on the command line."""
    if value is None:
        return NULL
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)  # 0.0 is written 0, as everywhere
    return value if isinstance(value, int | float) and not isinstance(value, bool) else shown(value)


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, decimal_comma: bool = False) -> str:
    """Write rows as CSV: floats in full precision, an empty cell for None and for a missing value.

    Text that a spreadsheet would run has an apostrophe before it (`regbench.text.for_csv`).

    With a decimal comma there are semicolons between cells and a byte-order mark, as Excel wants it in such countries.

    `records.run_dir` has a writer of its own: it stands below the tables, and appends to files.
    """
    text = io.StringIO()
    if decimal_comma:
        text.write("\N{BYTE ORDER MARK}")
        rows = ({key: _with_comma(value) for key, value in row.items()} for row in rows)
    writer = csv.writer(text, lineterminator="\n", delimiter=";" if decimal_comma else ",")
    writer.writerow(map(_csv_cell, columns))
    writer.writerows([_csv_cell(row.get(column, "")) for column in columns] for row in rows)
    return text.getvalue()


def _csv_cell(value: Any) -> Any:
    return for_csv(printable(value)) if isinstance(value, str) else value


def _with_comma(value: Any) -> Any:
    return str(value).replace(".", ",") if isinstance(value, float) else value
