"""Runs that belong together: which keys differ, and who shares their values."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from regbench.condition import condition
from regbench.config.run_config import NO_EFFECT_ON_NUMBERS
from regbench.errors import UserError, no_such
from regbench.records.frame import FACTS
from regbench.records.metrics import SELECTIONS, Selection
from regbench.text import shown

NEVER_A_DEFAULT = (*NO_EFFECT_ON_NUMBERS, "study", "seed")
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Group:
    """The runs that share these values, by their positions. A key that the group's option does not have is left out."""

    values: Values
    positions: tuple[int, ...]


def differing(frame: pd.DataFrame) -> list[str]:
    """The config keys that differ between the runs, seed and what cannot change a number aside.

    An argument differs only if runs of the same option differ in it. Of keys that split the runs in the same way the
    first is kept.
    """
    keys = [key for key in config_keys(frame) if key.partition(".")[0] not in NEVER_A_DEFAULT and _differs(frame, key)]
    splits = {key: tuple(_codes(column(frame, key))) for key in reversed(keys)}
    first = {split: key for key, split in splits.items()}
    return [key for key in keys if first[splits[key]] == key]


def config_keys(frame: pd.DataFrame) -> list[str]:
    """The columns that come from the config, in its order."""
    return [key for key in map(str, frame.columns) if key not in FACTS and key.partition(".")[0] not in SELECTIONS]


def checked(keys: Iterable[str], frame: pd.DataFrame) -> list[str]:
    """The keys without repetition.

    Raises:
        UserError: no run has such a key.
    """
    allowed = config_keys(frame)
    for key in keys:
        if key not in allowed:
            raise UserError(no_such("key", key, "the runs", allowed))
    return list(dict.fromkeys(keys))


def column(frame: pd.DataFrame, key: str) -> list[Any]:
    """A column's values, each NaN the same object, so that they are equal as keys; all NaN where there is none."""
    if key not in frame:
        return [math.nan] * len(frame)
    return [math.nan if value != value else value for value in frame[key].tolist()]


def grouped(frame: pd.DataFrame, keys: Sequence[str]) -> list[Group]:
    """Each combination of values and the positions of its runs; every run is in exactly one."""
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
    """The keys beside the seed in which the runs of a group differ: its mean is over them too."""
    group_of = {position: number for number, group in enumerate(groups) for position in group.positions}
    numbers = [group_of[position] for position in range(len(frame))]
    return [key for key in differing(frame) if len(set(zip(numbers, column(frame, key), strict=True))) > len(groups)]


def confounded(frame: pd.DataFrame, keys: Sequence[str], within: Sequence[str]) -> list[str]:
    """The keys that differ between groups and are neither among the keys, nor their arguments, nor vary `within`."""
    known = {*keys, *within}
    others = [key for key in config_keys(frame) if key.partition(".")[0] not in NEVER_A_DEFAULT and key not in known]
    return [key for key in others if key.partition(".")[0] not in known and _differs(frame, key)]


def sortable(values: Values, key: str) -> tuple[int, float, str]:
    """Numbers as numbers, then texts, then groups that lack the key."""
    if key not in values:
        return 2, 0.0, ""
    value = values[key]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (0, value, "") if number else (1, 0.0, shown(value))


def _codes(values: Iterable[Hashable]) -> list[int]:
    """For each value the number of distinct values before its first appearance."""
    seen: dict[Hashable, int] = {}
    return [seen.setdefault(value, len(seen)) for value in values]


def _differs(frame: pd.DataFrame, key: str) -> bool:
    values = column(frame, key)
    if len(set(values)) < 2:  # of most keys, and quickly told
        return False
    axis, _, argument = key.partition(".")
    options = column(frame, axis) if argument else [None] * len(frame)
    pairs = {(option, value) for option, value in zip(options, values, strict=True) if value is not math.nan}
    return len(pairs) > len({option for option, _ in pairs})


def filtered(frame: pd.DataFrame, where: str | None, select: Selection = "best_val") -> pd.DataFrame:
    """The runs that a condition on config keys, facts and figures holds for.

    Raises:
        UserError: the condition cannot be read, or holds for none.
    """
    if where is None:
        return frame
    names = {name: name for name in map(str, frame.columns)}
    names |= {name.partition(".")[2]: name for name in names if name.startswith(f"{select}.")}
    columns = {name: column(frame, place) for name, place in names.items()}
    rows = (
        {name: own[place] for name, own in columns.items() if own[place] == own[place]} for place in range(len(frame))
    )
    try:
        holds = condition(where)
        holds.check(names, "the runs")
        chosen = [holds(row) for row in rows]  # a key that a run lacks, NaN in the frame, is none of its values
    except UserError as error:
        raise UserError(f"--where {error}") from None
    kept = frame[chosen].reset_index(drop=True)
    if kept.empty:
        raise UserError(f"--where {where}: holds for none of {len(frame)} runs")
    return kept
