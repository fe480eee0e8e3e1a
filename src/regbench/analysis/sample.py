"""The runs of a comparison in their groups, each with its status and figure, and the row that each group makes."""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import pandas as pd

from regbench.analysis.baseline import baselines, default
from regbench.analysis.groups import Group, Values, averaged, column, sortable
from regbench.analysis.intervals import estimate
from regbench.analysis.pairing import Block, Members, blocks, shared
from regbench.analysis.searched import searched
from regbench.analysis.table import Against, Row
from regbench.analysis.tuning import Tuned
from regbench.records import epochs
from regbench.records.metrics import Metric, Selection


class Sample:
    """The runs of a comparison in their groups, each with its status and figure."""

    def __init__(
        self,
        frame: pd.DataFrame,
        groups: Sequence[Group],
        metric: Metric,
        select: Selection,
        shared_clocks: Collection[str],
        tuned: Tuned | None = None,
        as_if_fixed: bool = False,
    ) -> None:
        """Look at the runs.

        Args:
            frame: the runs.
            groups: their places in each row.
            metric: the figure.
            select: the epoch whose figures count.
            shared_clocks: the paths of runs whose clock was not theirs alone.
            tuned: how the runs were chosen.
            as_if_fixed: whether runs that a search chose are independent figures nevertheless.
        """
        self.frame, self.groups, self.metric, self.select, self.tuned = frame, groups, metric, select, tuned
        self.shared = {path for path in column(frame, "path") if path in shared_clocks}
        self.statuses: list[str] = column(frame, "status")
        self.figures = epochs.figures(frame, metric, select)
        chosen = tuned.tuning.keys if tuned else ()
        self.varying = [key for key in averaged(frame, groups) if key not in chosen]  # within a group
        self.searched = searched(frame, [status == "completed" for status in self.statuses])
        self.independent = not self.shared and (as_if_fixed or not self.searched)
        self._seeds, self._stacks = column(frame, "seed"), column(frame, "stack")

    @property
    def tuned_keys(self) -> tuple[str, ...]:
        """The keys whose values were chosen."""
        return self.tuned.tuning.keys if self.tuned else ()

    def counts(self, run: int) -> bool:
        """Tell whether a run is in the figures of its group: it is completed and has a finite figure."""
        return self.statuses[run] == "completed" and math.isfinite(self.figures[run])

    def rows(self) -> list[Row]:
        """Make each group's row; runs that are not completed count in their columns only."""
        rows = [self._row(group, missing) for group, missing in zip(self.groups, self._missing(), strict=True)]
        if not self.tuned:
            return rows
        return [replace(row, choice=choice) for row, choice in zip(rows, self.tuned.choices, strict=True)]

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
            estimate=mean if self.independent else replace(mean, half_width=None),
            best=ranked[0] if ranked else None,
            worst=ranked[-1] if ranked else None,
            diverged=ends["diverged"],
            failed=ends["failed"],
            unfinished=ends["running"] + ends["interrupted"],
            missing=missing,
            figures=tuple(figures),
            pruned=ends["pruned"],
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
