"""What a sweep can show: the smallest difference that its seeds find, by the spread of runs that are trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from regbench.config.location import user_path
from regbench.config.run_config import NO_EFFECT_ON_NUMBERS
from regbench.experiment.run import Run
from regbench.records.metrics import METRICS
from regbench.sweep import comparison
from regbench.sweep.rows import METRIC, Rows
from regbench.text import plural

if TYPE_CHECKING:
    import pandas as pd

_PILOT_ROWS = 5  # that a pilot trains: the baseline and four more
FEWEST = 3  # seeds in common, for a spread
_MATTER = {"model", "data", "optimizer", "epochs", "batch_size"}  # what runs must share for their spread to be alike
_NO_MATTER = {"seed", "study", *NO_EFFECT_ON_NUMBERS}
_Figures = dict[Any, float]  # by seed


@dataclass(frozen=True)
class Resolution:
    """The smallest difference that seeds find with 80 % power.

    Attributes:
        seeds: of each row.
        comparisons: with the baseline, corrected by Holm.
        fewest: seeds that can show a difference at all.
        deviations: the difference in standard deviations of the paired differences; None: these seeds show none.
        difference: the difference as a fraction; None where no spread is known.
        source: where the spread is known from; None where it is not.
    """

    seeds: int
    comparisons: int
    fewest: int
    deviations: float | None = None
    difference: float | None = None
    source: str | None = None

    def line(self) -> str:
        """Say it in words."""
        seeds, tests = plural(self.seeds, "seed"), f"{plural(self.comparisons, 'comparison')} by Holm"
        if self.deviations is None:
            return f"Smallest difference: {seeds} can show none with {tests}, {self.fewest} seeds can."
        power_of = f"found with 80 % power by {seeds} with {tests}"
        if self.difference is None:
            size = f"{self.deviations:.2g} standard deviations"
            return f"Smallest difference: {size}, {power_of}. --pilot 3 measures how much that is."
        least = f"{self.difference * METRICS[METRIC].scale:.2g} points of {METRIC}"
        return f"Smallest difference: {least}, {power_of} ({self.source})."


def resolution(runs: Sequence[Run]) -> Resolution | None:
    """Find the smallest difference that the runs' seeds show with 80 % power; None where rows are not compared."""
    from regbench.analysis import inference, power  # scipy.stats and statsmodels take their time

    rows, seeds = Rows(runs), len({run.config.seed for run in runs})
    compared = len(rows.words) - 1
    if compared < 1:
        return None
    level = inference.ALPHA / compared
    size = power.smallest_difference(seeds, level)
    resolved = Resolution(seeds, compared, inference.fewest_pairs(level), size)
    if size is None:
        return resolved
    differences, source = _spread(rows, runs)
    deviation = power.spread(differences)
    return replace(resolved, difference=size * deviation, source=source) if deviation else resolved


def pilot(runs: Sequence[Run], seeds: int) -> list[Run]:
    """Choose the runs of a pilot: the first seeds of the baseline and of some more rows, all of them of the sweep."""
    from regbench.sweep.rows import words_of

    rows = Rows(runs)
    base = _baseline(rows)
    chosen = {words for place, words in enumerate(rows.words) if place < _PILOT_ROWS - 1 or place == base}
    first = sorted({run.config.seed for run in runs})[:seeds]
    return [run for run in runs if run.config.seed in first and words_of(run.overrides) in chosen]


def _baseline(rows: Rows) -> int:
    """Return the number of the row that is most likely compared with: the sweep's own baseline, or the first."""
    base = comparison.base_values(rows.first)
    places = [place for place, words in enumerate(rows.words) if rows.values(words) == base]
    return places[0] if places else 0


def _spread(rows: Rows, runs: Sequence[Run]) -> tuple[list[list[float]], str]:
    """Return differences from a row by seed, a list for each other row, and where they come from."""
    figures = [{seed: value for (seed,), value in row.figures} for row in rows.outcomes(runs)]
    if differences := _differences(figures, _baseline(rows)):
        return differences, f"spread of {plural(len(differences), 'row')} of this sweep that are trained"
    figures = _known(runs)
    most = max(range(len(figures)), key=lambda place: len(figures[place]), default=0)
    differences = _differences(figures, most)
    return differences, f"spread of {plural(len(differences), 'row')} of runs like these"


def _differences(figures: Sequence[_Figures], base: int) -> list[list[float]]:
    """Take the differences of each row from one of them, where they have seeds in common."""
    shared = [
        [row[seed] - figures[base][seed] for seed in row if seed in figures[base]]
        for place, row in enumerate(figures)
        if place != base
    ]
    return [row for row in shared if len(row) >= FEWEST]


def _known(runs: Sequence[Run]) -> list[_Figures]:
    """Read the figures, by row and seed, of the completed runs in the folder that are near those of the sweep."""
    from regbench.analysis.groups import all_differing, column, grouped
    from regbench.errors import UserError
    from regbench.records.frame import load

    try:
        frame = load([user_path("runtime.dir", runs[0].config.runtime.dir)]).frame
    except UserError:  # there is no run
        return []
    frame = frame[frame["status"] == "completed"].reset_index(drop=True)
    near = frame[[not is_far for is_far in _far(frame, _fixed(runs))]].reset_index(drop=True)
    seeds, values = column(near, "seed"), column(near, f"best_val.{METRIC}")
    groups = grouped(near, all_differing(near)) if len(near) else []
    return [{seeds[run]: values[run] for run in group.positions} for group in groups]


def _fixed(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the values that all runs of the sweep share."""
    from regbench.analysis.groups import axis_of

    free = _NO_MATTER | set(map(axis_of, comparison.base_values(runs)))
    return {key: value for key, value in comparison.values(runs[0]).items() if axis_of(key) not in free}


def _far(frame: "pd.DataFrame", like: Mapping[str, Any]) -> list[bool]:
    """Tell of each run whether it differs from the sweep in several options, or in what the spread depends on most."""
    from regbench.analysis.groups import axis_of, column

    changed: list[set[str]] = [set() for _ in range(len(frame))]
    for key, value in like.items():
        plain = tuple(value) if isinstance(value, list) else value
        if key in frame:
            for place, known in enumerate(column(frame, key)):
                changed[place] |= {key} if known != plain else set()
    axes = [set(map(axis_of, keys)) for keys in changed]
    return [len(a) > 1 or bool(a & _MATTER) or not a <= keys for a, keys in zip(axes, changed, strict=True)]
