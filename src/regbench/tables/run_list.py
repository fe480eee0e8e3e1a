"""A list of runs as text in the terminal, CSV or JSON; there may be ten thousand runs."""

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from regbench.errors import UserError, no_such
from regbench.records.files import STATES
from regbench.records.listing import Entry, Listing
from regbench.tables.layout import Cells, csv_text, lay_out
from regbench.text import plural, shown

_COLOURS = {"completed": "green", "diverged": "yellow", "running": "cyan", "failed": "red"}
_AGES = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_Paint = Callable[[str, str], str]  # text, colour


def to_table(
    listing: Listing, show: Sequence[str] = (), paint: _Paint = lambda text, _: text, room: int | None = None
) -> str:
    """Write aligned columns, the path last; below them the number of runs of each status.

    `room` is the width into which paths are shortened in their middle; without it they are whole.

    Raises:
        UserError: `show` names a key that no run has.
    """
    for key in show:
        if listing.entries and key not in listing.keys:
            raise UserError(f"--show {key}: {no_such('key', key, 'the runs', listing.keys)}")
    headings = ["status", "age", "epochs", "test %", *show, "path"]
    rows = [_row(entry, show) for entry in listing.entries]
    heading, *lines = lay_out(Cells(headings, rows, figures=range(1, 4)), room)
    painted = [_painted(line, entry.status, paint) for line, entry in zip(lines, listing.entries, strict=True)]
    return "\n".join([heading, *painted, "", *_footer(listing)]) + "\n"


def _painted(line: str, status: str, paint: _Paint) -> str:
    return paint(status, _COLOURS.get(status, "")) + line.removeprefix(status)


def to_csv(listing: Listing) -> str:
    """Write every value of every run: plain numbers, ages and times in seconds, accuracies as fractions."""
    values = [entry.values.items() for entry in listing.entries]
    return csv_text(
        listing.keys, ({key: None if value is None else shown(value) for key, value in row} for row in values)
    )


def to_json(listing: Listing) -> str:
    """Write every value of every run with its type."""
    runs = [{key: _finite(value) for key, value in entry.values.items()} for entry in listing.entries]
    return json.dumps({"runs": runs, "unreadable": listing.unreadable}, indent=1, allow_nan=False) + "\n"


def _footer(listing: Listing) -> list[str]:
    """Count the runs of each status, and those that cannot be read."""
    counts = Counter(entry.status for entry in listing.entries)
    parts = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    lines = [plural(len(listing.entries), "run") + (f": {parts}" if parts else "")]
    if listing.unreadable:
        more = f" and {len(listing.unreadable) - 1} more" if len(listing.unreadable) > 1 else ""
        lines.append(f"{len(listing.unreadable)} unreadable: {shown(listing.unreadable[0])}{more}")
    return lines


def age(seconds: float | None) -> str:
    """Write `3min`: an age in the largest unit that is not longer."""
    if seconds is None:
        return "-"
    size, unit = next((pair for pair in _AGES if seconds >= pair[0]), _AGES[-1])
    return f"{seconds // size:.0f}{unit}"


def _row(entry: Entry, show: Sequence[str]) -> list[str]:
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


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else shown(value)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
