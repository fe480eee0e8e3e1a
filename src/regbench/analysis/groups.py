"""Group runs: find the keys that differ, and the runs that share their values."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from regbench.config.run_config import NO_EFFECT_ON_NUMBERS
from regbench.errors import UserError, no_key
from regbench.records.frame import FACTS
from regbench.records.metrics import SELECTIONS
from regbench.records.run_json import RECIPES
from regbench.text import shown

_NEVER_A_DEFAULT = (*NO_EFFECT_ON_NUMBERS, *RECIPES, "study", "seed")
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Group:
    """The positions of the runs that share these values. A key that the group's option does not have is missing."""

    values: Values
    positions: tuple[int, ...]


def all_differing(frame: pd.DataFrame) -> list[str]:
    """Return the config keys that differ between the runs, except the seed and what cannot change a number.

    An argument differs only if runs of the same option differ in it.
    """
    return [key for key in config_keys(frame) if axis_of(key) not in _NEVER_A_DEFAULT and _differs(frame, key)]


def differing(frame: pd.DataFrame) -> list[str]:
    """Return the keys of `all_differing`; of several that split the runs in the same way only the first.

    `together` tells of the others.
    """
    keys = all_differing(frame)
    splits = {key: tuple(_codes(column(frame, key))) for key in reversed(keys)}
    first = {split: key for key, split in splits.items()}
    return [key for key in keys if first[splits[key]] == key]


def config_keys(frame: pd.DataFrame) -> list[str]:
    """Return the columns that come from the config, in its order."""
    return [key for key in map(str, frame.columns) if key not in FACTS and axis_of(key) not in SELECTIONS]


def axis_of(key: str) -> str:
    """Return the part before the dot: `optimizer` of `optimizer.lr`."""
    return key.partition(".")[0]


def checked(keys: Iterable[str], frame: pd.DataFrame, option: str = "--by ") -> list[str]:
    """Return the keys without repetition; `option` is what the user has written before them.

    Raises:
        UserError: no run has one of the keys.
    """
    allowed = config_keys(frame)
    for key in keys:
        if key not in allowed:
            raise UserError(f"{option}{key}: {no_key(key, allowed)}")
    return list(dict.fromkeys(keys))


def column(frame: pd.DataFrame, key: str) -> list[Any]:
    """Return a column's values, or NaN for each run. Every NaN is the same object, so that they are equal as keys."""
    if key not in frame:
        return [math.nan] * len(frame)
    return [math.nan if value != value else value for value in frame[key].tolist()]


def grouped(frame: pd.DataFrame, keys: Sequence[str]) -> list[Group]:
    """Group the runs by their values of the keys; every run is in exactly one group."""
    members: dict[tuple[Any, ...], list[int]] = {}
    columns = [column(frame, key) for key in keys]
    for position in range(len(frame)):
        members.setdefault(tuple(values[position] for values in columns), []).append(position)
    if not keys:
        return [Group({"runs": "all"}, tuple(members.get((), ())))]
    return [
        Group({key: value for key, value in zip(keys, values, strict=True) if value is not math.nan}, tuple(positions))
        for values, positions in members.items()
    ]


def averaged(frame: pd.DataFrame, groups: Sequence[Group]) -> list[str]:
    """Return the keys, except the seed, in which runs of the same group differ: its mean is over them too."""
    columns = {key: column(frame, key) for key in all_differing(frame)}
    return [
        key
        for key, values in columns.items()
        if any(len({values[position] for position in group.positions}) > 1 for group in groups)
    ]


def sortable(values: Values, key: str) -> tuple[int, float, str]:
    """Return a sort key: numbers by size, then text, then groups that lack the key."""
    if key not in values:
        return 2, 0.0, ""
    value = values[key]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (0, value, "") if number else (1, 0.0, shown(value))


def _codes(values: Iterable[Hashable]) -> list[int]:
    """Number the distinct values by their first appearance."""
    seen: dict[Hashable, int] = {}
    return [seen.setdefault(value, len(seen)) for value in values]


def _differs(frame: pd.DataFrame, key: str) -> bool:
    values = column(frame, key)
    if len(set(values)) < 2:  # true of most keys, and quick to find out
        return False
    axis, _, argument = key.partition(".")
    options = column(frame, axis) if argument else [None] * len(frame)
    pairs = {(option, value) for option, value in zip(options, values, strict=True) if value is not math.nan}
    return len(pairs) > len({option for option, _ in pairs})
