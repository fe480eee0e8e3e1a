"""A list of runs as text in the terminal, CSV or JSON; there may be ten thousand runs."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from regbench.errors import UserError, no_key
from regbench.records import notes, queued
from regbench.records.files import STATES
from regbench.records.listing import Entry, Listing
from regbench.records.metrics import METRICS, Metric
from regbench.records.names import short_name
from regbench.tables import as_json
from regbench.tables.layout import Cells, csv_text, csv_value, lay_out, width
from regbench.text import first_of, plural, printable, shown

_COLOURS = {"completed": "green", "diverged": "yellow", "running": "cyan", "failed": "red"}
_AGES = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_Paint = Callable[[str, str], str]  # text, colour
_HEADINGS = ("status", "age", "epochs", "test %")
_LEAST = 12  # of a column of changes in a narrow terminal


def to_table(
    listing: Listing,
    show: Sequence[str] = (),
    by: Sequence[str] = (),
    *,
    paint: _Paint = lambda text, _: text,
    room: int | None = None,
    limit: int | None = None,
) -> str:
    """Write aligned columns, the short name of the run last; below them the notes of the studies, and the
    number of runs of each status.

    Between them stand the keys that differ, or `by`; then `show`. If they need more than `room`, one column `change`
    tells in what a run differs from the most. `limit` is the number of runs to show.

    Raises:
        UserError: `show` or `by` names a key that no run has.
    """
    _check({"--show": show, "--by": by}, listing)
    keys = list(by) or [key for key in listing.differing if key not in (*show, *_HEADINGS)]
    entries = listing.entries[:limit]
    cells = _cells(entries, [_column(key, entries) for key in [*keys, *show]])
    if room and not by and width(cells) > room:
        change = _change(listing, keys, entries)
        rest = _cells(entries, [_column(key, entries) for key in show])
        cells = _cells(entries, [_cut(change, room - width(rest)), *(_column(key, entries) for key in show)])
    heading, *lines = lay_out(cells, room)
    painted = [_painted(line, entry.status, paint) for line, entry in zip(lines, entries, strict=True)]
    said = notes.lines(entry.path for entry in entries)
    return "\n".join([heading, *painted, "", *said, *[""] * bool(said), *footer(listing, len(entries))]) + "\n"


_Column = tuple[str, list[str]]  # heading, cells


def _check(named: Mapping[str, Sequence[str]], listing: Listing) -> None:
    for option, keys in named.items():
        for key in keys:
            if listing.entries and key not in listing.keys:
                raise UserError(f"{option} {key}: {no_key(key, listing.keys)}")


def _cells(entries: Sequence[Entry], columns: Sequence[_Column]) -> Cells:
    fixed = [_fixed(entry) for entry in entries]
    between = [list(row) for row in zip(*(cells for _, cells in columns), strict=True)] or [[] for _ in entries]
    rows = [[*left, *middle, _name(entry)] for left, middle, entry in zip(fixed, between, entries, strict=True)]
    return Cells([*_HEADINGS, *(heading for heading, _ in columns), "run"], rows, figures=range(1, len(_HEADINGS)))


def _fixed(entry: Entry) -> list[str]:
    values = entry.values
    trained = f"{values['trained'] or 0:.0f}/{shown(values.get('epochs', '?'))}"
    return [entry.status, age(values["age"]), trained, _figure(values.get("test_acc"), METRICS["test_acc"])]


def _name(entry: Entry) -> str:
    return shown(short_name(entry.path))


def _column(key: str, entries: Sequence[Entry]) -> _Column:
    metric = METRICS.get(key.removeprefix("last."))
    if key == "age":
        return key, [age(entry.values.get(key)) for entry in entries]
    if metric:
        return f"{key} %" if metric.percent else key, [_figure(entry.values.get(key), metric) for entry in entries]
    return printable(key), [_value(entry, key) for entry in entries]


def _value(entry: Entry, key: str) -> str:
    """Write a value of the config; `-` where the run has no such key."""
    value = entry.values.get(key)
    if value is None:
        return shown(value) if key in entry.config else "-"
    return f"{value:.6g}" if isinstance(value, float) else shown(value)


def _figure(value: float | None, metric: Metric) -> str:
    decimals = 0 if metric.name == "epoch" else metric.decimals
    return "-" if value is None else f"{value * metric.scale:.{decimals}f}"


def _change(listing: Listing, keys: Sequence[str], entries: Sequence[Entry]) -> _Column:
    """Write of each run the keys in which it differs from most runs: `init=lsuv seed=1`."""
    usual = {key: Counter(entry.config.get(key) for entry in listing.entries).most_common(1)[0][0] for key in keys}

    def changes(entry: Entry) -> str:
        changed = [key for key in keys if key in entry.config and entry.config[key] != usual[key]]
        return " ".join(f"{key}={_value(entry, key)}" for key in changed) or "-"

    return "change", [changes(entry) for entry in entries]


def _cut(column: _Column, room: int) -> _Column:
    """Shorten the cells of a column to the room that it has."""
    heading, cells = column
    most = max(room - 2, _LEAST)  # two blanks stand between columns
    return heading, [text if len(text) <= most else f"{text[: most - 1]}…" for text in cells]


def _painted(line: str, status: str, paint: _Paint) -> str:
    return paint(status, _COLOURS.get(status, "")) + line.removeprefix(status)


def to_csv(listing: Listing) -> str:
    """Write every value of every run: plain numbers, ages and times in seconds, accuracies as fractions.

    A cell is empty where a run has no such value; a key that is null has a word for it.
    """
    return csv_text(listing.keys, map(_csv_row, listing.entries))


def _csv_row(entry: Entry) -> dict[str, Any]:
    known = {key: value for key, value in entry.values.items() if value is not None or key in entry.config}
    return {key: csv_value(value) for key, value in known.items()}


def to_json(listing: Listing) -> str:
    """Write every value of every run with its type."""
    runs = [{key: _finite(value) for key, value in entry.values.items()} for entry in listing.entries]
    sweeps = [
        {"sweep": sweep.sweep, "is_alive": sweep.is_alive, "runs": sorted(map(str, sweep.runs))}
        for sweep in listing.sweeps
    ]
    return as_json.document("ls", {"runs": runs, "queued": sweeps, "unreadable": dict(listing.unreadable)})


def footer(listing: Listing, shown_runs: int | None = None) -> list[str]:
    """Count the runs of each status, those that are queued, and those that cannot be read; of these the first."""
    total = len(listing.entries)
    parts = statuses(listing.entries)
    first = f", the first {shown_runs} are shown" if shown_runs is not None and shown_runs < total else ""
    lines = [plural(total, "run") + (f": {parts}" if parts else "") + first, *queued.in_words(listing.sweeps)]
    if listing.unreadable:
        lines.append(f"{len(listing.unreadable)} unreadable: {first_of(listing.unreadable)}")
    return lines


def statuses(entries: Sequence[Entry]) -> str:
    """Write `48 completed, 2 failed`."""
    counts = Counter(entry.status for entry in entries)
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])


def age(seconds: float | None) -> str:
    """Write `3min`: an age in the largest unit that is not longer."""
    if seconds is None:
        return "-"
    size, unit = next((pair for pair in _AGES if seconds >= pair[0]), _AGES[-1])
    return f"{seconds // size:.0f}{unit}"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
