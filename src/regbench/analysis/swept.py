"""Figures over the values of one key: a line for each value of the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from regbench.analysis.groups import sortable
from regbench.analysis.intervals import Estimate
from regbench.analysis.table import Row, Table
from regbench.config import defaults
from regbench.errors import UserError
from regbench.text import shown


@dataclass(frozen=True)
class Point:
    """The runs at one value of the key; `is_default`: the value is the default."""

    value: Any
    estimate: Estimate
    is_default: bool


@dataclass(frozen=True)
class Swept:
    """A line for each combination of the other keys, by its label; its points are in the order of the key's values."""

    key: str
    others: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Point, ...]], ...]


def swept(table: Table, key: str) -> Swept:
    """Lay out the rows of a table over the values of one of its keys; rows without a mean are left out."""
    others = [name for name in table.keys if name != key]
    lines: dict[str, list[Point]] = {}
    ordered = sorted(table.rows, key=lambda row: [sortable(row.group, name) for name in [*others, key]])
    for row in ordered:
        if key in row.group and row.estimate.mean is not None:
            label = ", ".join(shown(row.group[name]) if name in row.group else "-" for name in others)
            value = row.group[key]
            lines.setdefault(label, []).append(Point(value, row.estimate, value == _default(key, row)))
    return Swept(key, tuple(others), tuple((label, tuple(points)) for label, points in lines.items()))


def number_of(table: Table, named: Sequence[str]) -> str:
    """Return the key whose values are several numbers: the first that is named, or else the one with most values.

    Raises:
        UserError: there is none.
    """
    numeric = [key for key in table.keys if len(set(_numbers(table, key))) > 1 and _all_numbers(table, key)]
    if not numeric:
        raise UserError(
            f"plot sensitivity: none of {', '.join(table.keys)} is a number with several values. Sweep over one: "
            "regbench train -m optimizer.lr=0.001,0.01,0.1"
        )
    return next((key for key in named if key in numeric), max(numeric, key=lambda key: len(set(_numbers(table, key)))))


def _all_numbers(table: Table, key: str) -> bool:
    return all(_is_number(row.group[key]) for row in table.rows if key in row.group)


def _numbers(table: Table, key: str) -> list[float]:
    return [row.group[key] for row in table.rows if key in row.group and _is_number(row.group[key])]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _default(key: str, row: Row) -> Any:
    """The default of a key: for an argument, that of the row's option."""
    axis, _, argument = key.partition(".")
    usual = defaults.of_run()
    if not argument:
        return usual.get(key)
    option = row.group.get(axis, usual.get(axis))
    return defaults.of_option(axis, str(option)).get(argument)


def crossed(table: Table) -> Swept:
    """Lay out a table of two keys: the first along the axis, the second as lines.

    Raises:
        UserError: the table has another number of keys.
    """
    if len(table.keys) != 2:
        raise UserError(
            f"plot interaction: needs two keys, not {len(table.keys)} ({', '.join(table.keys)}): as in --by norm init"
        )
    return swept(table, table.keys[0])
