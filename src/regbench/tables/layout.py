"""A table of text: its cells, a plain layout, CSV. No rich and no pandas, so that `ls` starts quickly."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from regbench.text import shown

_GAP = "  "
_TAIL, _LEAST = 16, 24  # of a path in a narrow terminal: its end, which holds the id, and its shortest length


@dataclass(frozen=True)
class Cells:
    """Headings and rows of text. The columns at `figures` are figures, the others words."""

    headings: list[str]
    rows: list[list[str]]
    figures: range

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


NULL = "(null)"  # of CSV: pandas and R read `null` and an empty cell as missing, and no option has this name


def csv_value(value: Any) -> Any:
    """Return the value of a key as CSV holds it: null as a word, numbers as numbers, lists as on the command line."""
    if value is None:
        return NULL
    return value if isinstance(value, int | float) and not isinstance(value, bool) else shown(value)


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Write rows as CSV: floats in full precision, an empty cell for None and for a missing value.

    `records.run_dir` has a writer of its own: it stands below the tables, and appends to files.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
