"""From runs to a comparison: select runs, group them, compare the groups."""

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from regbench.analysis import clocks, default_run, luck
from regbench.analysis.baseline import written
from regbench.analysis.clocks import is_clock
from regbench.analysis.groups import Values, checked, column, differing, grouped
from regbench.analysis.pairing import shared
from regbench.analysis.sample import Sample
from regbench.analysis.selection import Selected, Where, joined, metric_of, selected
from regbench.analysis.sorting import in_order
from regbench.analysis.table import Against, Contrast, Table
from regbench.analysis.together import confounded, together
from regbench.analysis.tuning import tuned
from regbench.errors import UserError, no_such
from regbench.records import epochs, notes
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
    tune: Sequence[str] = (),
    shrink: bool = False,
    searched: bool = False,
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
        tune: keys whose values each row chooses by validation, as `tuning.tuned` does.
        shrink: add the means without what is luck, as `luck.shrunk` estimates them.
        searched: give intervals and verdicts even over runs that a search chose by the figures of others.

    Raises:
        UserError: the metric, a key, column or baseline does not exist, the baseline compares nothing, there is nothing
            to tune, or no run fulfils the conditions.
    """
    chosen = metric_of(metric, runs.frame)
    if test_noise and chosen.name != "test_acc":
        raise UserError(f"--test-noise: works for test_acc, not for {chosen.name}")
    named = [*by, *columns, *(against.wanted if against else ()), *tune]
    runs_of = selected(runs, where, select, statuses, named)
    keys = _keys(runs_of.frame, by, columns, against, tune)
    timed = clocks.shared(runs.frame) if is_clock(chosen) else set()
    sample = _sample(runs_of.frame, keys, chosen, select, timed, tune, searched)
    base = default_run.base(runs_of.frame, keys)
    table = replace(_plain(sample, keys, columns, runs, runs_of, where), as_if_fixed=searched)
    if not (by or columns):
        table = _with_changes(table, sample, keys, base)
    baseline = sample.baselines(against, base) if against else [None] * len(table.rows)
    if against:
        table = _with_comparisons(table, sample, against, base, baseline)
    if test_noise:
        table = _with_noise(table, sample, against, baseline)
    table = luck.with_luck(table, shrink=shrink, is_ranked=sort is None)
    return replace(table, rows=tuple(in_order(table.rows, keys, chosen, sort, pivot=bool(columns))))


def _keys(
    frame: pd.DataFrame, by: Sequence[str], columns: Sequence[str], against: Against | None, tune: Sequence[str]
) -> list[str]:
    """Return the keys of the rows, then those across. They include the baseline's keys, and by default no tuned one.

    Raises:
        UserError: no run has such a key, or the user names rows without the baseline's keys.
    """
    across, rows = checked(columns, frame, "--cols "), checked(by, frame)
    wanted = checked(against.wanted, frame, "--baseline ") if against else []
    if not rows:
        differing_keys = [key for key in differing(frame) if key not in tune]
        rows = list(dict.fromkeys([*differing_keys, *wanted]))
    keys = [key for key in rows if key not in across] + across
    for key in wanted:
        if key not in keys:
            raise UserError(f"--baseline {key}: {no_such('key', key, 'the rows', keys)}")
    return keys


def _sample(
    frame: pd.DataFrame,
    keys: Sequence[str],
    metric: Metric,
    select: Selection,
    timed: set[str],
    tune: Sequence[str],
    searched: bool,
) -> Sample:
    """Group the runs; where values are tuned, only those with the chosen values."""
    if not tune:
        return Sample(frame, grouped(frame, keys), metric, select, timed, as_if_fixed=searched)
    found = tuned(frame, keys, tune, metric, select)
    return Sample(found.frame, found.groups, metric, select, timed, found, searched)


def _plain(
    sample: Sample, keys: Sequence[str], columns: Sequence[str], runs: Runs, runs_of: Selected, where: Where
) -> Table:
    """Make the table without a comparison; its rows are in the order of the sample's groups."""
    frame, metric, select = sample.frame, sample.metric, sample.select
    rows, completed = sample.rows(), sample.statuses.count("completed")
    return Table(
        keys=tuple(keys) or ("runs",),
        rows=tuple(rows),
        metric=metric,
        select=select if metric.per_epoch else None,
        averaged=tuple(sample.varying),
        runs=len(frame),
        completed=completed,
        without_figure=completed - sum(row.estimate.n for row in rows),
        without_validation=_without_validation(frame),
        duplicates=runs_of.duplicates,
        unreadable={**runs.unreadable, **epochs.unreadable(frame, metric, select)},
        columns=tuple(key for key in keys if key in columns),
        where=joined(where),
        left_out=runs_of.left_out + len(runs_of.frame) - len(frame),
        mixed=_mixed(frame),
        together=together(frame, sample.groups, [*keys, *sample.varying, *sample.tuned_keys]),
        clocks=len(sample.shared) if is_clock(metric) else None,
        tuning=sample.tuned.tuning if sample.tuned else None,
        searched=sample.searched,
        absent=runs_of.absent,
        note=_note(frame),
    )


def _note(frame: pd.DataFrame) -> str:
    """Write the note on the study that all runs are in; nothing where they are in several."""
    studies = {str(path).rpartition(os.sep)[0] for path in column(frame, "path")}
    return notes.line(Path(studies.pop())) if len(studies) == 1 else ""


def _with_changes(table: Table, sample: Sample, keys: Sequence[str], base: Values) -> Table:
    """Say what rows change from the base, where that reads better than a column for each key."""
    changes = default_run.Changes(sample.frame, base, keys)
    if not changes.read_better_than(sample.groups):
        return table
    rows = [replace(row, change=changes.words(group)) for row, group in zip(table.rows, sample.groups, strict=True)]
    return replace(table, rows=tuple(rows), base=base)


def _with_comparisons(
    table: Table, sample: Sample, against: Against, base: Values, baseline: Sequence[int | None]
) -> Table:
    from regbench.analysis import verdict  # scipy.stats and statsmodels take a second to import, also below

    figures = [[(block, sample.figures[run]) for block, run in members] for members in sample.members]
    ends = [verdict.Runs(*row) for row in zip(figures, sample.diverged, strict=True)]
    compared = verdict.compared(
        ends,
        baseline,
        sample.metric,
        against.margin_of(sample.metric),
        against.correction,
        tested=sample.independent,
        anytime=against.anytime,
    )
    rows = [replace(row, comparison=comparison) for row, comparison in zip(table.rows, compared, strict=True)]
    return replace(table, rows=tuple(rows), contrast=_contrast(sample, table.keys, against, base, baseline))


def _with_noise(table: Table, sample: Sample, against: Against | None, baseline: Sequence[int | None]) -> Table:
    from regbench.analysis import image_noise

    marks = image_noise.marks(sample.frame, sample.members, sample.select)
    correction = against.correction if against else "none"
    noises = image_noise.noises(marks, baseline, sample.select, correction)
    rows = [replace(row, noise=noise) for row, noise in zip(table.rows, noises, strict=True)]
    return replace(table, rows=tuple(rows), test_noise=True)


def _contrast(
    sample: Sample, keys: Sequence[str], against: Against, base: Values, baseline: Sequence[int | None]
) -> Contrast:
    wanted = {key: shown(value) for key, value in base.items()} if against.is_default else against.wanted
    pairs = [(row, other) for row, other in enumerate(baseline) if other is not None and other != row]
    known = [*keys, *sample.varying, *sample.tuned_keys]
    return Contrast(
        baseline=wanted,
        label=default_run.DEFAULT if against.is_default else written(wanted),
        correction=against.correction,
        margin=against.margin_of(sample.metric),
        shared=tuple(shared(keys, sample.varying)),
        confounded=tuple(confounded(sample.frame, sample.groups, pairs, known)),
        anytime=against.anytime,
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
