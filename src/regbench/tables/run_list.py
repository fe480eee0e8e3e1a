"""A listing of runs as terminal text, CSV, JSON; plain lines, because there may be ten thousand."""

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from regbench.errors import UserError, no_such
from regbench.records.files import STATES
from regbench.records.listing import Entry, Listing
from regbench.text import plural, shown

COLOURS = {"completed": "green", "diverged": "yellow", "running": "cyan", "failed": "red"}
AGES = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
GAP = "  "
TAIL, LEAST_PATH = 16, 24  # of a path in a narrow terminal: its end, with the id, and all of it
Paint = Callable[[str, str], str]  # text, colour


def to_table(
    listing: Listing, show: Sequence[str] = (), paint: Paint = lambda text, _: text, room: int | None = None
) -> str:
    """Aligned columns, the path last; below them how many runs there are of each status.

    `room` is the width in which paths are shortened in their middle; without it they are whole.

    Raises:
        UserError: no run has a key that is to be shown.
    """
    for key in show:
        if listing.entries and key not in listing.keys:
            raise UserError(f"--show {key}: {no_such('key', key, 'the runs', listing.keys)}")
    headings = ["status", "age", "epochs", "test %", *show, "path"]
    rows = [_cells(entry, show) for entry in listing.entries]
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    if room:
        least = max(room - sum(widths[:-1]) - len(GAP) * (len(widths) - 1), LEAST_PATH)
        rows = [[*row[:-1], _shortened(row[-1], least)] for row in rows]
    lines = [_line(headings, widths)]
    for entry, row in zip(listing.entries, rows, strict=True):
        status, rest = row[0].ljust(widths[0]), _line(row, widths)[widths[0] :]
        lines.append(paint(status, COLOURS.get(entry.status, "")) + rest)
    return "\n".join([*lines, "", *footer(listing)]) + "\n"


def to_csv(listing: Listing) -> str:
    """Every value of every run: plain numbers, ages and times in seconds, accuracies as fractions."""
    text = io.StringIO()
    writer = csv.DictWriter(text, listing.keys, restval="", lineterminator="\n")
    writer.writeheader()
    for entry in listing.entries:
        writer.writerow({key: "" if value is None else shown(value) for key, value in entry.values.items()})
    return text.getvalue()


def to_json(listing: Listing) -> str:
    """Every value of every run with its type."""
    runs = [{key: _finite(value) for key, value in entry.values.items()} for entry in listing.entries]
    return json.dumps({"runs": runs, "unreadable": listing.unreadable}, indent=1, allow_nan=False) + "\n"


def footer(listing: Listing) -> list[str]:
    """How many runs there are of each status, and how many could not be read."""
    counts = Counter(entry.status for entry in listing.entries)
    parts = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    lines = [plural(len(listing.entries), "run") + (f": {parts}" if parts else "")]
    if listing.unreadable:
        more = f" and {len(listing.unreadable) - 1} more" if len(listing.unreadable) > 1 else ""
        lines.append(f"{len(listing.unreadable)} unreadable: {shown(listing.unreadable[0])}{more}")
    return lines


def age(seconds: float | None) -> str:
    """`3min`, in the largest unit of which there is one."""
    if seconds is None:
        return "-"
    size, unit = next((pair for pair in AGES if seconds >= pair[0]), AGES[-1])
    return f"{seconds // size:.0f}{unit}"


def _cells(entry: Entry, show: Sequence[str]) -> list[str]:
    values = entry.values
    accuracy = values.get("test_acc")
    return [
        entry.status,
        age(values["age"]),
        f"{values['trained'] or 0:.0f}/{shown(values.get('epochs', '?'))}",
        "-" if accuracy is None else f"{100 * accuracy:.2f}",
        *(_cell(values.get(key)) for key in show),
        shown(str(entry.path)),
    ]


def _shortened(path: str, room: int) -> str:
    return path if len(path) <= room else f"{path[: room - TAIL - 1]}…{path[-TAIL:]}"


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else shown(value)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Figures to the right, the first, the shown and the last to the left."""
    padded = [
        cell.rjust(width) if 0 < place < 4 else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return GAP.join(padded).rstrip()


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
