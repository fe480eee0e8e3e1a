"""A comparison as data: its rows, what they were compared with, what was left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regbench.analysis.baseline import spec
from regbench.analysis.corrections import Correction
from regbench.analysis.groups import Values
from regbench.analysis.intervals import Estimate
from regbench.records.metrics import Metric, Selection

if TYPE_CHECKING:
    from regbench.analysis.image_noise import Noise
    from regbench.analysis.verdict import Comparison

LOST = ("diverged", "failed", "unfinished")  # ends of runs that are in no figure


@dataclass(frozen=True)
class Row:
    """One group: the runs that share these values. A key that the group's option does not have is missing."""

    group: Values
    estimate: Estimate
    best: float | None
    worst: float | None
    diverged: int
    failed: int
    unfinished: int
    missing: int = 0  # seeds that other rows have and this one lacks
    comparison: "Comparison | None" = None
    noise: "Noise | None" = None

    @property
    def lost(self) -> dict[str, int]:
        """The number of runs that are in no figure, by their end, in the order of LOST."""
        return {"diverged": self.diverged, "failed": self.failed, "unfinished": self.unfinished}


@dataclass(frozen=True)
class Contrast:
    """How rows were compared with their baseline. The margin is in the figure's unit."""

    baseline: dict[str, str]
    correction: Correction
    margin: float | None
    shared: tuple[str, ...]  # keys, besides the seed, in which partners agree
    confounded: tuple[str, ...]  # keys that differ between rows without being named


@dataclass(frozen=True)
class Table:
    """A comparison, ready for every format. `completed` includes `without_figure`; figures are fractions."""

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
    columns: tuple[str, ...] = ()  # the last keys, whose values a pivot puts across
    contrast: Contrast | None = None
    where: str | None = None
    left_out: int = 0  # runs that do not fulfil `where`
    mixed: tuple[tuple[str, tuple[str, ...]], ...] = ()  # the ORIGINS that differ, each with its values
    test_noise: bool = False

    @property
    def lost(self) -> dict[str, int]:
        """The number of runs that are in no figure, by their end, over all rows."""
        return {end: sum(row.lost[end] for row in self.rows) for end in LOST}

    @property
    def missing(self) -> int:
        """The number of seeds that rows lack, over all rows."""
        return sum(row.missing for row in self.rows)

    @property
    def family(self) -> int:
        """The number of comparisons that were tested: a correction is for all of these."""
        return sum(row.comparison is not None and row.comparison.p is not None for row in self.rows)


@dataclass(frozen=True)
class Against:
    """The baseline of rows, and how to compare with it.

    Attributes:
        baseline: `norm=none` compares a row with the one that differs from it in this; commas join several.
        margin: differences smaller than this do not matter; in percentage points for accuracies.
        correction: for many comparisons.
    """

    baseline: Sequence[str]
    margin: float | None = None
    correction: Correction = "holm"

    @property
    def wanted(self) -> dict[str, str]:
        """The baseline's keys and values; raises UserError unless each part is KEY=VALUE."""
        return spec(self.baseline)

    def margin_of(self, metric: Metric) -> float | None:
        """Return the margin in the figure's unit."""
        return None if self.margin is None else self.margin / metric.scale
