"""A comparison as data: its rows, what they were compared with, what was left out."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regbench.analysis.baseline import spec
from regbench.analysis.choice import Choice, Tuning
from regbench.analysis.corrections import CORRECTIONS, Correction
from regbench.analysis.default_run import DEFAULT
from regbench.analysis.groups import Values
from regbench.analysis.intervals import Estimate
from regbench.analysis.together import Together
from regbench.errors import UserError, no_such
from regbench.records.metrics import Metric, Selection

if TYPE_CHECKING:
    from regbench.analysis.image_noise import Noise
    from regbench.analysis.verdict import Comparison

LOST = ("diverged", "failed", "unfinished", "pruned")  # ends of runs that are in no figure


def ends(diverged: int, failed: int, unfinished: int, pruned: int) -> dict[str, int]:
    """Name the numbers of runs in no figure, in the order of LOST; pruned ones only if there are any."""
    counts = dict(zip(LOST, (diverged, failed, unfinished, pruned), strict=True))
    return counts if pruned else {end: counts[end] for end in LOST[:-1]}


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
    figures: tuple[tuple[Any, float], ...] = ()  # the seed and figure of each run that counts, by seed
    change: str | None = None  # from the table's base
    stack: int | None = None  # the most runs that trained together with one of these; None where files do not say
    comparison: "Comparison | None" = None
    noise: "Noise | None" = None
    choice: Choice | None = None  # of the tuned values
    shrunk: float | None = None  # the mean without what is luck
    pruned: int = 0

    @property
    def lost(self) -> dict[str, int]:
        """The number of runs that are in no figure, by their end, in the order of LOST."""
        return ends(self.diverged, self.failed, self.unfinished, self.pruned)

    @property
    def ended(self) -> int:
        """The number of runs that trained to an end: completed with a figure, or diverged."""
        return self.estimate.n + self.diverged

    @property
    def std(self) -> float | None:
        """The sample standard deviation over runs, n - 1 in the denominator."""
        return statistics.stdev(self._values) if len(self._values) > 1 else None

    @property
    def standard_error(self) -> float | None:
        """The standard error of the mean."""
        return None if self.std is None else self.std / math.sqrt(len(self._values))

    @property
    def median(self) -> float | None:
        """The median over runs."""
        return statistics.median(self._values) if self._values else None

    @property
    def _values(self) -> list[float]:
        return [value for _, value in self.figures]


@dataclass(frozen=True)
class Contrast:
    """How rows were compared with their baseline. The margin is in the figure's unit."""

    baseline: dict[str, str]
    label: str  # the baseline as the user names it: `norm=none`, or `default`
    correction: Correction
    margin: float | None
    shared: tuple[str, ...]  # keys, besides the seed, in which partners agree
    confounded: tuple[str, ...]  # keys that are not named and differ between a row and its baseline
    anytime: bool = False  # whether tests and intervals are valid at any number of seeds


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
    unreadable: Mapping[str, str]  # files, each with the reason
    columns: tuple[str, ...] = ()  # the last keys, whose values a pivot puts across
    contrast: Contrast | None = None
    where: str | None = None
    left_out: int = 0  # runs that do not fulfil `where`, or whose values were not chosen
    mixed: tuple[tuple[str, tuple[str, ...]], ...] = ()  # the ORIGINS that differ, each with its values
    test_noise: bool = False
    together: tuple[Together, ...] = ()  # keys that are not named and differ between rows
    base: Values | None = None  # what the rows' changes are from, if a column of changes stands for those of keys
    clocks: int | None = None  # for a figure that is a time: how many runs shared the machine while it ran
    tuning: Tuning | None = None  # how the rows' values were chosen
    luck: float | None = None  # by how much the first of several rows is expected to stand too high
    shrink: bool = False  # whether rows have a `shrunk` mean
    searched: int = 0  # completed runs whose values a search chose
    as_if_fixed: bool = False  # whether intervals and tests are wanted all the same
    absent: tuple[str, ...] = ()  # values that `where` asks for and no run has, each in a sentence
    note: str = ""  # the user's, on the study that all runs are in

    @property
    def has_intervals(self) -> bool:
        """Whether its figures are independent, as intervals and tests suppose."""
        return not self.clocks and (not self.searched or self.as_if_fixed)

    @property
    def lost(self) -> dict[str, int]:
        """The number of runs that are in no figure, by their end, over all rows."""
        return ends(*(sum(row.lost.get(end, 0) for row in self.rows) for end in LOST))

    @property
    def missing(self) -> int:
        """The number of seeds that rows lack, over all rows."""
        return sum(row.missing for row in self.rows)

    @property
    def family(self) -> int:
        """The number of tests, of figures and of divergence: a correction is for all of these."""
        comparisons = [row.comparison for row in self.rows if row.comparison]
        return sum((found.p is not None) + (found.p_diverged is not None) for found in comparisons)


@dataclass(frozen=True)
class Against:
    """The baseline of rows, and how to compare with it.

    Attributes:
        baseline: `norm=none` compares a row with the one that differs from it in this; commas join several. `default`
            compares each row with the default run, or the most common values where no run has the default.
        margin: differences smaller than this do not matter; in percentage points for accuracies.
        correction: for many comparisons.
        anytime: whether tests and intervals must be valid at any number of seeds, however it was chosen.
    """

    baseline: Sequence[str]
    margin: float | None = None
    correction: Correction = "holm"
    anytime: bool = False

    def __post_init__(self) -> None:
        """Raise UserError if there is no such correction, or the margin decides nothing or everything."""
        if self.correction not in CORRECTIONS:
            wrong = no_such("value", self.correction, "--correction", CORRECTIONS)
            raise UserError(f"--correction {self.correction}: {wrong}")
        if self.margin is not None and not 0 < self.margin < math.inf:
            raise UserError(f"--margin {self.margin}: must be a finite number above 0")

    @property
    def is_default(self) -> bool:
        """Whether the default run is the baseline."""
        return [text.strip() for text in self.baseline] == [DEFAULT]

    @property
    def wanted(self) -> dict[str, str]:
        """The baseline's keys and values; raises UserError unless each part is KEY=VALUE, and of no seed."""
        wanted = {} if self.is_default else spec(self.baseline)
        if "seed" in wanted:
            cure = "Name another key, like norm=none"
            raise UserError(f"--baseline seed={wanted['seed']}: rows are compared seed by seed. {cure}")
        return wanted

    def margin_of(self, metric: Metric) -> float | None:
        """Return the margin in the figure's unit."""
        return None if self.margin is None else self.margin / metric.scale
