"""From runs to a comparison: select, group, compare, table."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from regbench.config import NO_EFFECT_ON_NUMBERS
from regbench.errors import UserError, no_such, shown
from regbench.runs import FACTS, SELECTIONS, Runs
from regbench.stats import Estimate, estimate

NEVER_A_DEFAULT = (*NO_EFFECT_ON_NUMBERS, "study", "seed")
Selection = Literal["last", "best_val"]


@dataclass(frozen=True)
class Metric:
    """A recorded figure, its direction, and how people read it."""

    name: str
    higher_is_better: bool
    decimals: int
    percent: bool = False
    per_epoch: bool = True

    def column(self, select: Selection) -> str:
        """Where `runs.load` keeps it."""
        return f"{select}.{self.name}" if self.per_epoch else self.name


METRICS = {
    metric.name: metric
    for metric in (
        Metric("test_acc", higher_is_better=True, decimals=2, percent=True),
        Metric("test_loss", higher_is_better=False, decimals=4),
        Metric("val_acc", higher_is_better=True, decimals=2, percent=True),
        Metric("val_loss", higher_is_better=False, decimals=4),
        Metric("train_acc", higher_is_better=True, decimals=2, percent=True),
        Metric("train_loss", higher_is_better=False, decimals=4),
        Metric("epoch", higher_is_better=False, decimals=1),
        Metric("seconds", higher_is_better=False, decimals=2, per_epoch=False),
    )
}


@dataclass(frozen=True)
class Row:
    """One group: the runs that share these values. A key that the group's option does not have is left out."""

    group: Mapping[str, Any]
    estimate: Estimate
    best: float | None
    worst: float | None
    diverged: int
    failed: int
    unfinished: int


@dataclass(frozen=True)
class Table:
    """A comparison, ready for every format. `completed` includes the `without_figure`; figures are fractions."""

    keys: tuple[str, ...]
    rows: tuple[Row, ...]
    metric: Metric
    select: Selection | None
    averaged: tuple[str, ...]
    runs: int
    completed: int
    without_figure: int
    without_validation: int
    duplicates: tuple[str, ...]
    unreadable: tuple[str, ...]


def compare(runs: Runs, by: Sequence[str] = (), metric: str = "test_acc", select: Selection = "best_val") -> Table:
    """One row for each combination of the `by` keys' values, best mean first; by default the keys that differ.

    Raises:
        UserError: no such metric, or no run has such a key.
    """
    if metric not in METRICS:
        raise UserError(no_such("metric", metric, "the summary", METRICS))
    frame, chosen = runs.frame, METRICS[metric]
    keys = _checked(by, frame) or differing(frame)
    groups = _groups(frame, keys)
    figures = _column(frame, chosen.column(select))
    statuses = _column(frame, "status")
    rows = [_row(group, [(statuses[i], figures[i]) for i in members], chosen) for group, members in groups]
    completed = statuses.count("completed")
    return Table(
        keys=tuple(keys) or ("runs",),
        rows=tuple(sorted(rows, key=_order(keys, chosen))),
        metric=chosen,
        select=select if chosen.per_epoch else None,
        averaged=tuple(_averaged(frame, groups)),
        runs=len(frame),
        completed=completed,
        without_figure=completed - sum(row.estimate.n for row in rows),
        without_validation=_without_validation(frame),
        duplicates=runs.duplicates,
        unreadable=runs.unreadable,
    )


def differing(frame: pd.DataFrame) -> list[str]:
    """The config keys that differ between the runs, seed and what cannot change a number aside.

    An argument differs only if runs of the same option differ in it. Of keys that split the runs in the same way the
    first is kept.
    """
    keys = [key for key in config_keys(frame) if key.partition(".")[0] not in NEVER_A_DEFAULT and _differs(frame, key)]
    splits = {key: tuple(_codes(_column(frame, key))) for key in reversed(keys)}
    first = {split: key for key, split in splits.items()}
    return [key for key in keys if first[splits[key]] == key]


def config_keys(frame: pd.DataFrame) -> list[str]:
    """The columns that come from the config, in its order."""
    return [key for key in map(str, frame.columns) if key not in FACTS and key.partition(".")[0] not in SELECTIONS]


def _checked(by: Sequence[str], frame: pd.DataFrame) -> list[str]:
    allowed = config_keys(frame)
    for key in by:
        if key not in allowed:
            raise UserError(no_such("key", key, "the runs", allowed))
    return list(dict.fromkeys(by))


def _column(frame: pd.DataFrame, key: str) -> list[Any]:
    """A column's values, each NaN the same object, so that they are equal as keys; all NaN where there is none."""
    if key not in frame:
        return [math.nan] * len(frame)
    return [math.nan if value != value else value for value in frame[key].tolist()]


def _codes(values: Iterable[Hashable]) -> list[int]:
    """For each value the number of distinct values before its first appearance."""
    seen: dict[Hashable, int] = {}
    return [seen.setdefault(value, len(seen)) for value in values]


def _differs(frame: pd.DataFrame, key: str) -> bool:
    axis, _, argument = key.partition(".")
    options = _column(frame, axis) if argument else [None] * len(frame)
    values = zip(options, _column(frame, key), strict=True)
    pairs = {(option, value) for option, value in values if value is not math.nan}
    return len(pairs) > len({option for option, _ in pairs})


def _groups(frame: pd.DataFrame, keys: Sequence[str]) -> list[tuple[dict[str, Any], list[int]]]:
    """Each combination of values and the positions of its runs; every run is in exactly one."""
    members: dict[tuple[Any, ...], list[int]] = {}
    columns = [_column(frame, key) for key in keys]
    for position in range(len(frame)):
        members.setdefault(tuple(column[position] for column in columns), []).append(position)
    if not keys:
        return [({"runs": "all"}, members[()])]
    return [
        ({key: value for key, value in zip(keys, values, strict=True) if value is not math.nan}, positions)
        for values, positions in members.items()
    ]


def _row(group: Mapping[str, Any], members: Iterable[tuple[str, float]], metric: Metric) -> Row:
    """A group's figures from its completed runs; the others count in their own columns only."""
    runs = list(members)
    counts = Counter(status for status, _ in runs)
    values = sorted(figure for status, figure in runs if status == "completed" and math.isfinite(figure))
    ranked = values[::-1] if metric.higher_is_better else values
    return Row(
        group=group,
        estimate=estimate(values),
        best=ranked[0] if ranked else None,
        worst=ranked[-1] if ranked else None,
        diverged=counts["diverged"],
        failed=counts["failed"],
        unfinished=counts["running"] + counts["interrupted"],
    )


def _order(keys: Sequence[str], metric: Metric) -> Callable[[Row], tuple[Any, ...]]:
    """Best mean first, groups without one last, ties by the group's values."""
    sign = -1 if metric.higher_is_better else 1

    def place(row: Row) -> tuple[Any, ...]:
        mean = row.estimate.mean
        return mean is None, sign * (mean or 0.0), [_sortable(row.group, key) for key in keys]

    return place


def _sortable(group: Mapping[str, Any], key: str) -> tuple[int, float, str]:
    """Numbers as numbers, then texts, then groups that lack the key."""
    if key not in group:
        return 2, 0.0, ""
    value = group[key]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (0, value, "") if number else (1, 0.0, shown(value))


def _averaged(frame: pd.DataFrame, groups: Sequence[tuple[Mapping[str, Any], Sequence[int]]]) -> list[str]:
    """The keys beside the seed in which the runs of a row differ: its mean is over them too."""
    row_of = {position: number for number, (_, members) in enumerate(groups) for position in members}
    rows = [row_of[position] for position in range(len(frame))]
    return [key for key in differing(frame) if len(set(zip(rows, _column(frame, key), strict=True))) > len(groups)]


def _without_validation(frame: pd.DataFrame) -> int:
    """How many completed runs had no validation images, so that their last epoch is the chosen one."""
    losses = zip(_column(frame, "status"), _column(frame, "best_val.val_loss"), strict=True)
    return sum(status == "completed" and math.isnan(loss) for status, loss in losses)
