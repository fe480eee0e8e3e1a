"""A list of studies, the folders that runs are in: a line each in the terminal, CSV or JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regbench.records import notes
from regbench.records.files import STATES
from regbench.records.listing import Entry, Listing
from regbench.records.names import short_name
from regbench.tables import as_json
from regbench.tables.layout import Cells, csv_text, csv_value, lay_out
from regbench.tables.run_list import age, footer, statuses
from regbench.text import plural, shown

_NAMED = 6  # keys of a study that are named; the others are counted


def to_table(listing: Listing, room: int | None = None, limit: int | None = None) -> str:
    """Write a line for each study: its runs, the youngest one's age, the best accuracy, and what differs in it."""
    studies = _studies(listing)
    rows = [_row(path, entries) for path, entries in list(studies.items())[:limit]]
    lines = lay_out(Cells(["study", "runs", "age", "best %", "status", "differs"], rows, figures=range(1, 4)), room)
    total, *unreadable = footer(listing)
    count = plural(len(studies), "study").replace("studys", "studies")
    said = [line for path in list(studies)[:limit] if (line := notes.line(path))]
    return "\n".join([*lines, "", *said, *([""] if said else []), f"{count}, {total}", *unreadable]) + "\n"


def _studies(listing: Listing) -> Mapping[Path, list[Entry]]:
    """Group the runs by their folder, in the order of the list."""
    studies: dict[Path, list[Entry]] = {}
    for entry in listing.entries:
        studies.setdefault(entry.path.parent, []).append(entry)
    return studies


def _row(path: Path, entries: Sequence[Entry]) -> list[str]:
    known = _figures(path, entries)
    best = known["best_test_acc"]
    keys: list[str] = known["differs"]
    rest = len(keys) - _NAMED
    differs = ", ".join(keys[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
    accuracy = "-" if best is None else f"{100 * best:.2f}"
    return [shown(known["study"]), str(known["runs"]), age(known["age"]), accuracy, statuses(entries), differs or "-"]


def _figures(path: Path, entries: Sequence[Entry]) -> dict[str, Any]:
    """Count and compare the runs of a study; the accuracy is a fraction, the age in seconds."""
    ages = [entry.values["age"] for entry in entries if entry.values["age"] is not None]
    accuracies = [entry.values["test_acc"] for entry in entries if entry.values.get("test_acc") is not None]
    counts, note = Counter(entry.status for entry in entries), notes.read(path)
    return {
        "study": short_name(path),
        "path": str(path),
        "runs": len(entries),
        **{state: counts[state] for state in STATES},
        "age": min(ages, default=None),
        "best_test_acc": max(accuracies, default=None),
        "differs": Listing(entries).differing,
        "note": note.text,
        "tags": note.tags,
    }


def to_csv(listing: Listing) -> str:
    """Write a line for each study; the keys that differ in it stand in one cell, with blanks between them."""
    rows = [_figures(path, entries) for path, entries in _studies(listing).items()]
    lines = [
        {**row, "differs": " ".join(row["differs"]), "note": csv_value(row["note"]), "tags": " ".join(row["tags"])}
        for row in rows
    ]
    return csv_text(list(rows[0]) if rows else ["study"], lines)


def to_json(listing: Listing) -> str:
    """Write all that is known of each study."""
    rows = [_figures(path, entries) for path, entries in _studies(listing).items()]
    return as_json.document("studies", {"studies": rows, "unreadable": dict(listing.unreadable)})
