"""From runs to a comparison: select, group, compare, table."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from regbench.analysis import groups
from regbench.analysis.groups import Group, averaged, column, confounded, differing, filtered, grouped, sortable
from regbench.analysis.intervals import estimate
from regbench.analysis.table import Against, Contrast, Row, Table
from regbench.errors import UserError, no_such
from regbench.records import epochs
from regbench.records.frame import ORIGINS, Runs
from regbench.records.metrics import METRICS, Metric, Selection, named

if TYPE_CHECKING:
    from regbench.analysis.pairing import Members


def compare(
    runs: Runs,
    by: Sequence[str] = (),
    metric: str = "test_acc",
    select: Selection = "best_val",
    *,
    columns: Sequence[str] = (),
    against: Against | None = None,
    where: str | None = None,
    sort: str | None = None,
    test_noise: bool = False,
) -> Table:
    """One row for each group of runs, compared with its baseline where one is named.

    Args:
        runs: what `runs.load` found.
        by: a row for each combination of these keys' values; by default the keys that differ.
        metric: a recorded figure, as `metrics.named` reads it.
        select: whose epoch's figures.
        columns: keys whose values stand across, beside those of `by`.
        against: the baseline.
        where: a condition on the runs, as `where.condition` reads it.
        sort: a key or one of COLUMNS, `-` before it turns the order round; by default best mean first.
        test_noise: add what the drawing of the test images leaves open.

    Raises:
        UserError: no such metric, key, column or baseline, or no run that the condition holds for.
    """
    chosen = named(metric, () if metric in METRICS else epochs.recorded(runs.frame))
    if test_noise and chosen.name != "test_acc":
        raise UserError(f"--test-noise: is of test_acc, not of {chosen.name}")
    frame = filtered(runs.frame, where, select)
    keys = _keys(frame, by, columns, against)
    found = grouped(frame, keys)
    figures = epochs.figures(frame, chosen, select)
    statuses = column(frame, "status")
    rows = [_row(group, [(statuses[i], figures[i]) for i in group.positions], chosen) for group in found]
    rows = _with_missing(frame, found, rows)
    varying = averaged(frame, found)
    if against or test_noise:
        members = _members(frame, found, statuses, figures, varying)
        base = _baselines(found, against)
        if against:
            rows = _contrasted(rows, members, base, figures, chosen, against)
        if test_noise:
            rows = _with_noise(frame, rows, members, base, select, against)
    completed = statuses.count("completed")
    return Table(
        keys=tuple(keys) or ("runs",),
        rows=tuple(_sorted(rows, keys, chosen, sort, pivot=bool(columns))),
        metric=chosen,
        select=select if chosen.per_epoch else None,
        averaged=tuple(varying),
        runs=len(frame),
        completed=completed,
        without_figure=completed - sum(row.estimate.n for row in rows),
        without_validation=_without_validation(frame),
        duplicates=runs.duplicates,
        unreadable=runs.unreadable,
        columns=tuple(key for key in keys if key in columns),
        contrast=_contrast(frame, keys, varying, chosen, against) if against else None,
        where=where,
        left_out=len(runs.frame) - len(frame),
        mixed=_mixed(frame),
        test_noise=test_noise,
    )


def _keys(frame: pd.DataFrame, by: Sequence[str], columns: Sequence[str], against: Against | None) -> list[str]:
    """Those of the rows, then those across. A baseline's keys are among them; named rows must name them.

    Raises:
        UserError: no run has such a key, or the rows lack the baseline's.
    """
    across, rows = groups.checked(columns, frame), groups.checked(by, frame)
    wanted = groups.checked(against.wanted, frame) if against else []
    if not rows:
        rows = list(dict.fromkeys([*differing(frame), *wanted]))
    keys = [key for key in rows if key not in across] + across
    for key in wanted:
        if key not in keys:
            raise UserError(f"--baseline {key}: {no_such('key', key, 'the rows', keys)}")
    return keys


def _with_missing(frame: pd.DataFrame, found: Sequence[Group], rows: Sequence[Row]) -> list[Row]:
    """Rows with the number of seeds that others have and they lack, however the runs of those seeds ended."""
    if any("seed" in group.values for group in found):
        return list(rows)
    seeds = column(frame, "seed")
    own = [{seeds[i] for i in group.positions} for group in found]
    every = set().union(*own)
    return [replace(row, missing=len(every) - len(its)) for row, its in zip(rows, own, strict=True)]


def _members(
    frame: pd.DataFrame,
    found: Sequence[Group],
    statuses: Sequence[str],
    figures: Sequence[float],
    varying: Sequence[str],
) -> list["Members[int]"]:
    """For each group the blocks and positions of the runs that have the figure."""
    from regbench.analysis import pairing

    blocks = pairing.blocks(frame, pairing.shared(_named(found), varying))
    counted = [status == "completed" and math.isfinite(x) for status, x in zip(statuses, figures, strict=True)]
    return [[(blocks[i], i) for i in group.positions if counted[i]] for group in found]


def _baselines(found: Sequence[Group], against: Against | None) -> Sequence[int | None]:
    from regbench.analysis import (
        baseline,  # scipy.stats and statsmodels behind it take their time, also in the two below
    )

    return baseline.baselines([group.values for group in found], against.wanted) if against else [None] * len(found)


def _contrasted(
    rows: Sequence[Row],
    members: Sequence["Members[int]"],
    base: Sequence[int | None],
    figures: Sequence[float],
    metric: Metric,
    against: Against,
) -> list[Row]:
    from regbench.analysis import verdict

    own = [[(block, figures[i]) for block, i in row] for row in members]
    compared = verdict.compared(own, base, metric, _margin(against, metric), against.correction)
    return [replace(row, comparison=comparison) for row, comparison in zip(rows, compared, strict=True)]


def _with_noise(
    frame: pd.DataFrame,
    rows: Sequence[Row],
    members: Sequence["Members[int]"],
    base: Sequence[int | None],
    select: Selection,
    against: Against | None,
) -> list[Row]:
    from regbench.analysis import image_noise

    marks = image_noise.marks(frame, members, select)
    found = image_noise.noises(marks, base, select, against.correction if against else "none")
    return [replace(row, noise=noise) for row, noise in zip(rows, found, strict=True)]


def _named(found: Sequence[Group]) -> list[str]:
    return list(dict.fromkeys(key for group in found for key in group.values))


def _margin(against: Against, metric: Metric) -> float | None:
    return None if against.margin is None else against.margin / metric.scale


def _contrast(
    frame: pd.DataFrame, keys: Sequence[str], varying: Sequence[str], metric: Metric, against: Against
) -> Contrast:
    from regbench.analysis import pairing

    return Contrast(
        baseline=against.wanted,
        correction=against.correction,
        margin=_margin(against, metric),
        shared=tuple(pairing.shared(keys, varying)),
        confounded=tuple(confounded(frame, keys, varying)),
    )


def _row(group: Group, members: Iterable[tuple[str, float]], metric: Metric) -> Row:
    """A group's figures from its completed runs; the others count in their own columns only."""
    runs = list(members)
    counts = Counter(status for status, _ in runs)
    values = sorted(figure for status, figure in runs if status == "completed" and math.isfinite(figure))
    ranked = values[::-1] if metric.higher_is_better else values
    return Row(
        group=group.values,
        estimate=estimate(values),
        best=ranked[0] if ranked else None,
        worst=ranked[-1] if ranked else None,
        diverged=counts["diverged"],
        failed=counts["failed"],
        unfinished=counts["running"] + counts["interrupted"],
    )


def _sorted(
    rows: Sequence[Row], keys: Sequence[str], metric: Metric, sort: str | None, *, pivot: bool
) -> Sequence[Row]:
    """Best mean first, groups without one last, ties by the group's values; then as `sort` says.

    The rows of a pivot are in the order of their keys' values.
    """
    found = sorted(rows, key=_order(keys, metric))
    if sort is None:
        return sorted(found, key=lambda row: [sortable(row.group, key) for key in keys]) if pivot else found
    name = sort.removeprefix("-")
    if name not in COLUMNS and name not in keys:
        raise UserError(f"--sort {sort}: {no_such('column', name, 'the table', {*COLUMNS, *keys})}")

    def place(row: Row) -> Any:
        return COLUMNS[name](row) if name in COLUMNS else sortable(row.group, name) if name in row.group else None

    present = [row for row in found if place(row) is not None]
    absent = [row for row in found if place(row) is None]
    return [*sorted(present, key=place, reverse=sort.startswith("-")), *absent]


def _of(name: str) -> Callable[[Row], Any]:
    return lambda row: getattr(row.comparison, name) if row.comparison else None


COLUMNS: dict[str, Callable[[Row], Any]] = {
    "n": lambda row: row.estimate.n,
    "mean": lambda row: row.estimate.mean,
    "best": lambda row: row.best,
    "worst": lambda row: row.worst,
    "diff": _of("difference"),
    "p": _of("p"),
    "won": _of("won"),
    "verdict": _of("verdict"),
}


def _order(keys: Sequence[str], metric: Metric) -> Callable[[Row], tuple[Any, ...]]:
    """Best mean first, groups without one last, ties by the group's values."""
    sign = -1 if metric.higher_is_better else 1

    def place(row: Row) -> tuple[Any, ...]:
        mean = row.estimate.mean
        return mean is None, sign * (mean or 0.0), [sortable(row.group, key) for key in keys]

    return place


def _without_validation(frame: pd.DataFrame) -> int:
    """How many completed runs had no validation images, so that their last epoch is the chosen one."""
    losses = zip(column(frame, "status"), column(frame, "best_val.val_loss"), strict=True)
    return sum(status == "completed" and math.isnan(loss) for status, loss in losses)


def _mixed(frame: pd.DataFrame) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What of the completed runs' origins differs, with its values."""
    done = frame[[status == "completed" for status in column(frame, "status")]]
    found = {name: {str(value) for value in column(done, name) if value == value} for name in ORIGINS}
    return tuple((name, tuple(sorted(values))) for name, values in found.items() if len(values) > 1)
