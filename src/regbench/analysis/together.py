"""Keys that the rows of a table do not name and that differ between them all the same."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from regbench.analysis.groups import Group, all_differing, axis_of, column, config_keys, sortable
from regbench.config import defaults
from regbench.config.run_config import AXES


@dataclass(frozen=True)
class Together:
    """A key whose value follows from another key's: `pairs` holds the value of `key` at each value of `follows`.

    `follows` is None if no single key of the table says the value; then `pairs` holds the values with None.
    """

    key: str
    follows: str | None
    pairs: tuple[tuple[Any, Any], ...]


def together(frame: pd.DataFrame, groups: Sequence[Group], keys: Sequence[str]) -> tuple[Together, ...]:
    """Find the keys that are equal within each group, differ between groups, and are none of the table's."""
    named = set(keys)
    return tuple(
        _follower(key, values, groups, keys)
        for key in _unnamed(frame, keys)
        if key not in named and (values := _values(frame, groups, key))
    )


def confounded(
    frame: pd.DataFrame, groups: Sequence[Group], pairs: Sequence[tuple[int, int]], known: Sequence[str]
) -> list[str]:
    """Return the keys in which the two groups of a pair differ, except the known ones and arguments of these."""
    others = [key for key in all_differing(frame) if key not in known and axis_of(key) not in known]
    return [key for key in others if _differ(column(frame, key), groups, pairs)]


def _differ(values: Sequence[Any], groups: Sequence[Group], pairs: Sequence[tuple[int, int]]) -> bool:
    sides = [{values[run] for run in group.positions} - {math.nan} for group in groups]
    return any(sides[one] and sides[other] and sides[one] != sides[other] for one, other in pairs)


def _unnamed(frame: pd.DataFrame, keys: Sequence[str]) -> Iterator[str]:
    """Name keys that differ, and arguments of a compared axis that are not those of its options' YAML files."""
    yield from (different := all_differing(frame))
    axes = [key for key in keys if key in AXES]
    for key in config_keys(frame):
        if axis_of(key) in axes and "." in key and key not in different and _is_set(frame, key):
            yield key


def _is_set(frame: pd.DataFrame, key: str) -> bool:
    """Tell whether options have different values of an argument, and one of them another than in its file."""
    axis, _, argument = key.partition(".")
    pairs = {pair for pair in zip(column(frame, axis), column(frame, key), strict=True) if pair[1] is not math.nan}
    return len({value for _, value in pairs}) > 1 and any(is_changed(axis, option, argument, v) for option, v in pairs)


def is_changed(axis: str, option: Any, argument: str, value: Any) -> bool:
    """Tell whether an argument has another value than in the option's built-in YAML file."""
    usual = defaults.of_option(axis, str(option))
    return argument in usual and usual[argument] != value


def _values(frame: pd.DataFrame, groups: Sequence[Group], key: str) -> list[Any]:
    """Return the key's value in each group; nothing if a group has several, or all have the same."""
    values = column(frame, key)
    sets = [{values[run] for run in group.positions} for group in groups]
    found = [next(iter(values)) for values in sets if len(values) == 1]
    return found if len(found) == len(groups) and len(set(found) - {math.nan}) > 1 else []


def _follower(key: str, values: Sequence[Any], groups: Sequence[Group], keys: Sequence[str]) -> Together:
    for other in keys:
        at = [group.values.get(other, math.nan) for group in groups]
        pairs = {(value, place) for value, place in zip(values, at, strict=True) if value is not math.nan}
        if len(pairs) == len({place for _, place in pairs}):
            return Together(key, other, _ordered(pairs))
    return Together(key, None, _ordered({(value, None) for value in values if value is not math.nan}))


def _ordered(pairs: set[tuple[Any, Any]]) -> tuple[tuple[Any, Any], ...]:
    def rank(pair: tuple[Any, Any]) -> tuple[Any, ...]:
        return tuple(sortable({"": value}, "") for value in pair)

    return tuple(sorted(pairs, key=rank))
