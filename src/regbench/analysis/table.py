"""A comparison as data: rows, what they were compared with, what was left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regbench.analysis.groups import Values
from regbench.analysis.intervals import Estimate
from regbench.records.metrics import Metric, Selection

if TYPE_CHECKING:
    from regbench.analysis.image_noise import Noise
    from regbench.analysis.inference import Correction
    from regbench.analysis.verdict import Comparison


@dataclass(frozen=True)
class Row:
    """One group: the runs that share these values. A key that the group's option does not have is left out."""

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


@dataclass(frozen=True)
class Contrast:
    """How rows were compared with their baseline. The margin is in the figure's unit."""

    baseline: dict[str, str]
    correction: "Correction"
    margin: float | None
    shared: tuple[str, ...]  # keys beside the seed in which partners agree
    confounded: tuple[str, ...]  # keys that differ between rows without being named


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
    columns: tuple[str, ...] = ()  # the keys, the last ones, that a pivot has across
    contrast: Contrast | None = None
    where: str | None = None
    left_out: int = 0  # runs that `where` does not hold for
    mixed: tuple[tuple[str, tuple[str, ...]], ...] = ()  # what of ORIGINS differs, and its values
    test_noise: bool = False


@dataclass(frozen=True)
class Against:
    """What rows are to be compared with.

    Attributes:
        baseline: `norm=none`: a row is compared with the one that differs from it in this; several join with commas.
        margin: differences smaller than this do not matter; in percentage points for accuracies.
        correction: for many comparisons.
    """

    baseline: Sequence[str]
    margin: float | None = None
    correction: "Correction" = "holm"

    @property
    def wanted(self) -> dict[str, str]:
        """The baseline's keys and values; raises UserError for what is no KEY=VALUE."""
        from regbench.analysis.baseline import spec

        return spec(self.baseline)
