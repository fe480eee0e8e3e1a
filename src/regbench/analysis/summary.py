"""From runs to a comparison: select runs, group them, compare the groups."""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import pandas as pd

from regbench.analysis import clocks, default_run
from regbench.analysis.baseline import baselines, default, written
from regbench.analysis.clocks import is_clock
from regbench.analysis.groups import Group, Values, averaged, checked, column, differing, grouped, sortable
from regbench.analysis.intervals import estimate
from regbench.analysis.pairing import Block, Members, blocks, shared
from regbench.analysis.selection import Where, joined, metric_of, selected
from regbench.analysis.sorting import in_order
from regbench.analysis.table import Against, Contrast, Row, Table
from regbench.analysis.together import confounded, together
from regbench.errors import UserError, no_such
from regbench.records import epochs
from regbench.records.frame import ORIGINS, Runs
from regbench.records.metrics import Metric, Selection
from regbench.text import shown


def compare(
    runs: Runs,
    by: Sequence[str] = (),
    metric: str = "test_acc",
    select: Selection = "best_val",
    *,
    columns: Sequence[str] = (),
    against: Against | None = None,
    where: Where = None,
    sort: str | None = None,
    test_noise: bool = False,
    statuses: Sequence[str] = (),
) -> Table:
    """Make one row for each group of runs, and compare it with its baseline if there is one.

    Args:
        runs: the result of `frame.load`.
        by: keys: each combination of their values is a row; by default the keys that differ.
        metric: a recorded figure, as `metrics.named` reads it.
        select: the epoch whose figures count.
        columns: keys whose values a pivot puts across, in addition to `by`.
        against: the baseline.
        where: a condition on the runs, as `condition.condition` reads it, or several that must all hold.
        sort: a key or column, `-` before it reverses the order; by default the best mean is first.
        test_noise: add the uncertainty that comes from the choice of test images.
        statuses: only runs that ended so.

    Raises:
        UserError: the metric, a key, column or baseline does not exist, the baseline compares nothing, or no run
            fulfils the conditions.
    """
    chosen = metric_of(metric, runs.frame)
    if test_noise and chosen.name != "test_acc":
        raise UserError(f"--test-noise: works for test_acc, not for {chosen.name}")
    named = [*by, *columns, *(against.wanted if against else ())]
    runs_of = selected(runs, where, select, statuses, named)
    frame = runs_of.frame
    keys = _keys(frame, by, columns, against)
    sample = _Sample(frame, grouped(frame, keys), chosen, select, _clocks(chosen, runs))
    rows = sample.rows()
    base = default_run.base(frame, keys)
    changes = default_run.Changes(frame, base, keys)
    reads_better = not (by or columns) and changes.read_better_than(sample.groups)
    if reads_better:
        rows = [replace(row, change=changes.words(group)) for row, group in zip(rows, sample.groups, strict=True)]
    contrast = None
    if against:
        baseline = sample.baselines(against, base)
        rows = _with_comparisons(rows, sample, against, baseline)
        contrast = _contrast(sample, keys, against, base, baseline)
    if test_noise:
        rows = _with_noise(rows, sample, against, baseline if against else [None] * len(rows))
    return Table(
        keys=tuple(keys) or ("runs",),
        rows=tuple(in_order(rows, keys, chosen, sort, pivot=bool(columns))),
        metric=chosen,
        select=select if chosen.per_epoch else None,
        averaged=tuple(sample.varying),
        runs=len(frame),
        completed=sample.statuses.count("completed"),
        without_figure=sample.statuses.count("completed") - sum(row.estimate.n for row in rows),
        without_validation=_without_validation(frame),
        duplicates=runs_of.duplicates,
        unreadable=(*runs.unreadable, *epochs.unreadable(frame, chosen, select)),
        columns=tuple(key for key in keys if key in columns),
        contrast=contrast,
        where=joined(where),
        left_out=runs_of.left_out,
        mixed=_mixed(frame),
        test_noise=test_noise,
        together=together(frame, sample.groups, [*keys, *sample.varying]),
        base=base if reads_better else None,
        clocks=len(sample.shared) if is_clock(chosen) else None,
    )


def _clocks(metric: Metric, runs: Runs) -> set[str]:
    return clocks.shared(runs.frame) if is_clock(metric) else set()


class _Sample:
    """The runs of a comparison in their groups, each with its status and figure."""

    def __init__(
        self, frame: pd.DataFrame, groups: Sequence[Group], metric: Metric, select: Selection, shared: Collection[str]
    ) -> None:
        """`shared`: the paths of the runs whose clock was not theirs alone."""
        self.frame, self.groups, self.metric, self.select = frame, groups, metric, select
        self.shared = {path for path in column(frame, "path") if path in shared}
        self.statuses: list[str] = column(frame, "status")
        self.figures = epochs.figures(frame, metric, select)
        self.varying = averaged(frame, groups)  # keys that vary within a group
        self._seeds, self._stacks = column(frame, "seed"), column(frame, "stack")

    def counts(self, run: int) -> bool:
        """Tell whether a run is in the figures of its group: it is completed and has a finite figure."""
        return self.statuses[run] == "completed" and math.isfinite(self.figures[run])

    def rows(self) -> list[Row]:
        """Make each group's row; runs that are not completed count in their columns only."""
        return [self._row(group, missing) for group, missing in zip(self.groups, self._missing(), strict=True)]

    def _row(self, group: Group, missing: int) -> Row:
        ends = Counter(self.statuses[run] for run in group.positions)
        counted = [run for run in group.positions if self.counts(run)]
        figures = sorted(((self._seeds[run], self.figures[run]) for run in counted), key=_by_seed)
        values = sorted(value for _, value in figures)
        ranked = values[::-1] if self.metric.higher_is_better else values
        stacks = [self._stacks[run] for run in counted]
        mean = estimate(values)
        return Row(
            group=group.values,
            estimate=replace(mean, half_width=None) if self.shared else mean,
            best=ranked[0] if ranked else None,
            worst=ranked[-1] if ranked else None,
            diverged=ends["diverged"],
            failed=ends["failed"],
            unfinished=ends["running"] + ends["interrupted"],
            missing=missing,
            figures=tuple(figures),
            stack=int(max(stacks)) if stacks and not any(map(math.isnan, stacks)) else None,
        )

    def _missing(self) -> list[int]:
        """Count the seeds that other groups have and a group lacks, however the runs of those seeds ended."""
        if any("seed" in group.values for group in self.groups):
            return [0] * len(self.groups)
        seeds = column(self.frame, "seed")
        seen = [{seeds[run] for run in group.positions} for group in self.groups]
        every = set().union(*seen)
        return [len(every) - len(seeds) for seeds in seen]

    @cached_property
    def members(self) -> list[Members[int]]:
        """For each group, the blocks and positions of the runs that count."""
        block_of = self._block_of
        return [[(block_of[run], run) for run in group.positions if self.counts(run)] for group in self.groups]

    @cached_property
    def _block_of(self) -> Sequence[Block]:
        named = dict.fromkeys(key for group in self.groups for key in group.values)
        return blocks(self.frame, shared(named, self.varying))

    @cached_property
    def diverged(self) -> list[Members[bool]]:
        """For each group, the blocks of the runs that trained to an end, and whether they diverged."""
        return [
            [
                (self._block_of[run], self.statuses[run] == "diverged")
                for run in group.positions
                if self.counts(run) or self.statuses[run] == "diverged"
            ]
            for group in self.groups
        ]

    def baselines(self, against: Against, base: Values) -> Sequence[int | None]:
        """Return the number of each group's baseline."""
        groups = [group.values for group in self.groups]
        return default(groups, base) if against.is_default else baselines(groups, against.wanted)


def _by_seed(figure: tuple[Any, float]) -> tuple[Any, ...]:
    seed, value = figure
    return (*sortable({"seed": seed}, "seed"), value) if seed == seed else (3, 0.0, "", value)


def _keys(frame: pd.DataFrame, by: Sequence[str], columns: Sequence[str], against: Against | None) -> list[str]:
    """Return the keys of the rows, then those across. They include the baseline's keys.

    Raises:
        UserError: no run has such a key, or the user names rows without the baseline's keys.
    """
    across, rows = checked(columns, frame), checked(by, frame)
    wanted = checked(against.wanted, frame) if against else []
    if not rows:
        rows = list(dict.fromkeys([*differing(frame), *wanted]))
    keys = [key for key in rows if key not in across] + across
    for key in wanted:
        if key not in keys:
            raise UserError(f"--baseline {key}: {no_such('key', key, 'the rows', keys)}")
    return keys


def _with_comparisons(
    rows: Sequence[Row], sample: _Sample, against: Against, baseline: Sequence[int | None]
) -> list[Row]:
    from regbench.analysis import verdict  # scipy.stats and statsmodels take a second to import, also below

    figures = [[(block, sample.figures[run]) for block, run in members] for members in sample.members]
    ends = [verdict.Runs(*row) for row in zip(figures, sample.diverged, strict=True)]
    margin = against.margin_of(sample.metric)
    compared = verdict.compared(ends, baseline, sample.metric, margin, against.correction, tested=not sample.shared)
    return [replace(row, comparison=comparison) for row, comparison in zip(rows, compared, strict=True)]


def _with_noise(
    rows: Sequence[Row], sample: _Sample, against: Against | None, baseline: Sequence[int | None]
) -> list[Row]:
    from regbench.analysis import image_noise

    marks = image_noise.marks(sample.frame, sample.members, sample.select)
    correction = against.correction if against else "none"
    noises = image_noise.noises(marks, baseline, sample.select, correction)
    return [replace(row, noise=noise) for row, noise in zip(rows, noises, strict=True)]


def _contrast(
    sample: _Sample, keys: Sequence[str], against: Against, base: Values, baseline: Sequence[int | None]
) -> Contrast:
    wanted = {key: shown(value) for key, value in base.items()} if against.is_default else against.wanted
    pairs = [(row, other) for row, other in enumerate(baseline) if other is not None and other != row]
    return Contrast(
        baseline=wanted,
        label=default_run.DEFAULT if against.is_default else written(wanted),
        correction=against.correction,
        margin=against.margin_of(sample.metric),
        shared=tuple(shared(keys, sample.varying)),
        confounded=tuple(confounded(sample.frame, sample.groups, pairs, [*keys, *sample.varying])),
    )


def _without_validation(frame: pd.DataFrame) -> int:
    """Count the completed runs without validation images: their chosen epoch is the last one."""
    losses = zip(column(frame, "status"), column(frame, "best_val.val_loss"), strict=True)
    return sum(status == "completed" and math.isnan(loss) for status, loss in losses)


def _mixed(frame: pd.DataFrame) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the origins in which completed runs differ, each with its values."""
    completed = frame[[status == "completed" for status in column(frame, "status")]]
    origins = {name: {str(value) for value in column(completed, name) if value == value} for name in ORIGINS}
    return tuple((name, tuple(sorted(values))) for name, values in origins.items() if len(values) > 1)
