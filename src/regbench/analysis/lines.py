"""Which runs make one line, panel or strip of a picture, and what it is called."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from regbench.analysis import default_run
from regbench.analysis.baseline import baselines, default
from regbench.analysis.groups import Group, Values, checked, column, differing, grouped, sortable
from regbench.analysis.table import Against
from regbench.errors import UserError
from regbench.text import shown


@dataclass(frozen=True)
class Line:
    """The runs that share the values of keys: `positions` in the frame. `label` tells lines apart."""

    label: str
    values: Values
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Lines:
    """All lines, in the order of their values. `keys` is what they differ in: `change` stands for many."""

    keys: tuple[str, ...]
    lines: tuple[Line, ...]


def lines(
    frame: pd.DataFrame,
    by: Sequence[str],
    across: Sequence[str] = (),
    against: Against | None = None,
    ends: Sequence[str] = ("completed",),
) -> Lines:
    """Group the runs that ended so by keys (default: those that differ, and a baseline's, without `across`).

    Raises:
        UserError: there is no such key, or no such run.
    """
    wanted = checked(against.wanted, frame, "--baseline ") if against else []
    named = checked(by, frame) or list(dict.fromkeys([*differing(frame), *wanted]))
    keys = [key for key in named if key not in across]
    statuses = column(frame, "status")
    groups = [
        Group(group.values, done)
        for group in grouped(frame, keys)
        if (done := tuple(run for run in group.positions if statuses[run] in ends))
    ]
    if not groups:
        raise UserError(f"none of {len(frame)} runs is {' or '.join(ends)}")
    groups.sort(key=lambda group: [sortable(group.values, key) for key in keys])
    changes = default_run.Changes(frame, default_run.base(frame, keys), keys)
    if not by and changes.read_better_than(groups):
        return Lines(("change",), tuple(Line(changes.words(g), g.values, g.positions) for g in groups))
    return Lines(tuple(keys), tuple(Line(_label(g.values, keys), g.values, g.positions) for g in groups))


def partners(lines: Lines, frame: pd.DataFrame, against: Against | None) -> list[Line | None]:
    """Return the line that each line is compared with; None for a baseline itself, and where there is none.

    Raises:
        UserError: no line has the baseline's values, or nothing is compared.
    """
    if against is None:
        return [None] * len(lines.lines)
    groups = [line.values for line in lines.lines]
    keys = list(dict.fromkeys(key for values in groups for key in values))
    by_default = against.is_default
    numbers = default(groups, default_run.base(frame, keys)) if by_default else baselines(groups, against.wanted)
    return [None if base in (None, place) else lines.lines[base] for place, base in enumerate(numbers)]


def _label(values: Values, keys: Sequence[str]) -> str:
    return ", ".join(shown(values[key]) if key in values else "-" for key in keys) or "all runs"
