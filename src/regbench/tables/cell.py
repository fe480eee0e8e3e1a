"""The runs behind a cell of a table."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regbench.analysis.baseline import matches, written
from regbench.analysis.choice import Tuning
from regbench.analysis.groups import checked, differing
from regbench.analysis.tuning import tuned
from regbench.errors import UserError, no_such
from regbench.records.frame import ORIGINS, Runs
from regbench.records.metrics import METRICS
from regbench.records.names import command, short_name
from regbench.records.run_json import content_of
from regbench.tables import as_json
from regbench.tables.layout import Cells, csv_text, csv_value, lay_out
from regbench.text import plural, printable, shown

_COMMIT = 7  # digits of a short commit
_Run = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """The runs behind a cell, each with its path, status, `keys`, test_acc, command, versions and machine.

    `keys` are those that differ between the runs, and the seed; a run lacks those that its option does not have.
    `tuning` says how values were chosen if these are the runs that have them.
    """

    keys: Sequence[str]
    runs: Sequence[_Run]
    tuning: Tuning | None = None


def runs_behind(runs: Runs, wanted: Mapping[str, str], tune: Sequence[str] = ()) -> Cell:
    """Find the runs with these values; of these, if keys are tuned, the runs whose values validation chooses.

    Raises:
        UserError: no run has such a key, no run has these values, or there is nothing to tune.
    """
    checked(wanted, runs.frame, "")
    every: list[Any] = runs.frame.to_dict("records")
    places = [place for place, row in enumerate(every) if all(matches(row, key, text) for key, text in wanted.items())]
    if not places:
        raise _none_of(every, wanted)
    found = runs.frame.iloc[places].reset_index(drop=True)
    choice = tuned(found, (), tune, METRICS["test_acc"], "best_val") if tune else None
    frame = choice.frame if choice else found
    keys = list(dict.fromkeys([*tune, *differing(frame), "seed"]))
    chosen: list[Any] = frame.to_dict("records")
    rows = sorted(chosen, key=lambda row: (str(row["study"]), row["seed"]))
    return Cell(keys, [_described(row, keys) for row in rows], choice.tuning if choice else None)


def _none_of(rows: Sequence[Any], wanted: Mapping[str, str]) -> UserError:
    for key, text in wanted.items():
        if not any(matches(row, key, text) for row in rows):
            values = {_shown(row[key]) for row in rows} - {"-"}
            return UserError(f"{key}={text}: {no_such('value', text, f'the runs of {key!r}', values)}")
    return UserError(f"{written(wanted)}: no run has all of these values")


def _described(row: Mapping[Any, Any], keys: Sequence[str]) -> _Run:
    known: dict[Any, Any] = {key: None if value != value else value for key, value in row.items()}
    return {
        "path": known["path"],
        "status": known["status"],
        **{key: row[key] for key in keys if row[key] == row[key]},
        "test_acc": known.get("best_val.test_acc") if known["status"] == "completed" else None,
        "command": _command(Path(known["path"])),
        **{name: known.get(name) for name in ORIGINS},
    }


def _command(run: Path) -> str:
    overrides = json.loads(content_of(run)).get("overrides")
    return command(overrides if isinstance(overrides, list) else [])


def to_table(cell: Cell) -> str:
    """Write a line for each run: what differs, its test accuracy, status and commit; below them the mean."""
    rows = [
        [
            *(_shown(run.get(key, math.nan)) for key in cell.keys),
            _percent(run["test_acc"]),
            run["status"],
            _short_commit(run["commit"]),
            printable(short_name(Path(run["path"]))),
        ]
        for run in cell.runs
    ]
    headings = [*map(printable, cell.keys), "test %", "status", "commit", "run"]
    lines = lay_out(Cells(headings, rows, figures=range(len(cell.keys), len(cell.keys) + 1)))
    return "\n".join([*lines, "", *_footer(cell)]) + "\n"


def _footer(cell: Cell) -> Iterator[str]:
    runs = cell.runs
    counts = Counter(run["status"] for run in runs)
    yield f"{plural(len(runs), 'run')}: {', '.join(f'{number} {status}' for status, number in counts.items())}"
    accuracies = [run["test_acc"] for run in runs if run["test_acc"] is not None]
    if accuracies:
        mean = sum(accuracies) / len(accuracies)
        span = f", from {_percent(min(accuracies))} to {_percent(max(accuracies))}" if len(accuracies) > 1 else ""
        yield f"mean test_acc {_percent(mean)} %{span}, at the epoch with the best validation loss"
    if cell.tuning:
        names, judge = ", ".join(cell.tuning.keys), f"the mean {cell.tuning.metric} of the seeds before it"
        yield f"{names}: chosen for each seed by {judge}, from {plural(cell.tuning.runs, 'run')}"


def to_lines(cell: Cell) -> str:
    """Write for each run its whole path and figure, its command, its versions and machine."""
    return "".join(f"{printable(line)}\n" for run in cell.runs for line in _about(run)) + "\n".join(
        ["", *_footer(cell), ""]
    )


def _about(run: _Run) -> Iterator[str]:
    accuracy = "" if run["test_acc"] is None else f", test_acc {_percent(run['test_acc'])} %"
    yield f"{run['path']}: {run['status']}{accuracy}"
    yield f"    {run['command']}"
    yield f"    {', '.join(f'{name} {run[name]}' for name in ORIGINS if run[name])}"


def to_csv(cell: Cell) -> str:
    """Write every value of each run; accuracies as fractions, an empty cell for an unknown one."""
    columns = ["path", "status", *cell.keys, "test_acc", "command", *ORIGINS]
    known = ({key: value for key, value in run.items() if value is not None or key in cell.keys} for run in cell.runs)
    return csv_text(columns, ({key: csv_value(value) for key, value in run.items()} for run in known))


def to_json(cell: Cell) -> str:
    """Write every value of each run with its type."""
    return as_json.document("explain", {"runs": cell.runs})


def _percent(accuracy: float | None) -> str:
    return "-" if accuracy is None else f"{100 * accuracy:.2f}"


def _short_commit(commit: str | None) -> str:
    """Write `1a2b3c4`, and a `+` behind it if files differed from the commit."""
    if not commit:
        return "-"
    digits, _, changes = commit.partition(" ")
    return digits[:_COMMIT] + "+" * bool(changes)


def _shown(value: Any) -> str:
    return "-" if isinstance(value, float) and math.isnan(value) else printable(shown(value))
