"""Each row at its own best values, chosen by validation: for each seed by the seeds before it, tested on this one.

The noise of choosing is then inside the interval of the row, a row with more values to choose from has no advantage
by luck, and the test set chooses nothing. Only earlier seeds choose: whatever they chose, the figure of this seed
is new, so that the differences stay uncorrelated. If all other seeds chose, two seeds would choose for each other,
and their figures would rise and fall together: between equal rows, of 10 values and of 2, 8 to 19 % of the verdicts
would be false in the place of 5 (simulated; the more, the closer validation and test agree).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import pandas as pd

from regbench.analysis.choice import Choice, Edge, End, Tuning, Values
from regbench.analysis.groups import Group, checked, column, grouped, sortable
from regbench.errors import UserError
from regbench.records import epochs
from regbench.records.metrics import METRICS, Metric, Selection

_FEWEST = 2  # seeds: one chooses, another is reported


@dataclass(frozen=True)
class Tuned:
    """The chosen runs in their groups, with the choice of each group."""

    frame: pd.DataFrame
    groups: Sequence[Group]
    choices: Sequence[Choice]
    tuning: Tuning


@dataclass(frozen=True)
class _Candidates:
    """The runs to choose from, by position: what each has, and how it validated.

    Attributes:
        figures: of validation; NaN unless the run is completed.
        ended: whether a run is completed with a figure, or diverged.
    """

    values: Sequence[Values]
    seeds: Sequence[Any]
    figures: Sequence[float]
    diverged: Sequence[bool]
    higher_is_better: bool

    def ended(self, run: int) -> bool:
        return self.diverged[run] or math.isfinite(self.figures[run])


def tuned(frame: pd.DataFrame, keys: Sequence[str], tune: Sequence[str], metric: Metric, select: Selection) -> Tuned:
    """Choose the values of the tuned keys for each row and seed, and keep the runs that have them.

    The values with the best mean validation figure over the row's earlier seeds are chosen: `val_acc` for accuracies,
    `val_loss` for losses and all else. Values with which runs diverge come last. The first seed only chooses.

    Args:
        frame: the runs.
        keys: those of the rows.
        tune: the keys to choose values of.
        metric: the figure that is reported.
        select: the epoch whose figures count.

    Raises:
        UserError: there is nothing to choose, or nothing to choose by.
    """
    wanted = _checked(tune, frame, keys)
    judge = _validation(metric)
    runs = _candidates(frame, wanted, judge, select)
    groups = grouped(frame, keys)
    _check_choice(groups, runs, wanted)
    picked = [_picked(group.positions, runs) for group in groups]
    _check_seeds(picked, wanted)
    kept = [run for chosen in picked for run in chosen]
    place = {run: number for number, run in enumerate(sorted(kept))}
    return Tuned(
        frame.iloc[sorted(kept)].reset_index(drop=True),
        [Group(g.values, tuple(sorted(place[run] for run in p))) for g, p in zip(groups, picked, strict=True)],
        [_choice(group.positions, chosen, runs, wanted) for group, chosen in zip(groups, picked, strict=True)],
        Tuning(tuple(wanted), judge.name, len(frame)),
    )


def _checked(tune: Sequence[str], frame: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    for key in (wanted := checked(tune, frame, "--tune ")):
        if key in keys:
            raise UserError(f"--tune {key}: the rows are told apart by it. Leave it out of --by, --cols and --baseline")
        if key == "seed":
            raise UserError("--tune seed: a seed is no technique, and the best of several is luck")
    return wanted


def _validation(metric: Metric) -> Metric:
    name = f"val_{metric.name.rpartition('_')[2]}"
    return METRICS[name if name in METRICS else "val_loss"]


def _candidates(frame: pd.DataFrame, tune: Sequence[str], judge: Metric, select: Selection) -> _Candidates:
    statuses = column(frame, "status")
    figures = epochs.figures(frame, judge, select)
    completed = [status == "completed" for status in statuses]
    kept = [figure if done else math.nan for figure, done in zip(figures, completed, strict=True)]
    if any(completed) and not any(map(math.isfinite, kept)):
        raise UserError(
            "--tune: chooses by validation, and no run has validation images. Train with data.val_size=5000"
        )
    return _Candidates(
        values=list(zip(*(column(frame, key) for key in tune), strict=True)),
        seeds=column(frame, "seed"),
        figures=kept,
        diverged=[status == "diverged" for status in statuses],
        higher_is_better=judge.higher_is_better,
    )


def _check_choice(groups: Sequence[Group], runs: _Candidates, tune: Sequence[str]) -> None:
    if all(len({runs.values[run] for run in group.positions}) < 2 for group in groups):
        names = ",".join(tune)
        raise UserError(f"--tune {names}: no row has several values to choose from. Train some: {tune[0]}=VALUE,VALUE")


def _check_seeds(picked: Sequence[Sequence[int]], tune: Sequence[str]) -> None:
    if not any(picked):
        raise UserError(f"--tune {','.join(tune)}: chooses by earlier seeds, and no row has completed {_FEWEST} seeds")


def _picked(positions: Sequence[int], runs: _Candidates) -> list[int]:
    """Return the row's runs with the chosen values, over all its seeds."""
    by_values: defaultdict[Values, list[int]] = defaultdict(list)
    for run in positions:
        if runs.ended(run):
            by_values[runs.values[run]].append(run)
    seeds = dict.fromkeys(runs.seeds[run] for members in by_values.values() for run in members)
    return [run for seed in seeds for run in _of_seed(seed, by_values, runs)]


def _of_seed(seed: Any, by_values: Mapping[Values, Sequence[int]], runs: _Candidates) -> list[int]:
    """Return the seed's runs with the values that are best on the earlier seeds; none if nothing can be chosen."""
    ranks = {}
    for values, members in by_values.items():
        earlier = [run for run in members if runs.seeds[run] < seed]
        if earlier and any(runs.seeds[run] == seed for run in members):
            ranks[values] = _rank(earlier, runs)
    if not ranks:
        return []
    best = min(ranks, key=lambda values: (ranks[values], _order(values)))
    return [run for run in by_values[best] if runs.seeds[run] == seed]


def _rank(earlier: Sequence[int], runs: _Candidates) -> tuple[float, float]:
    """Rank values by their runs at earlier seeds: those that diverge last, then by the mean."""
    figures = [runs.figures[run] for run in earlier if not runs.diverged[run]]
    mean = fmean(figures) if figures else 0.0
    return fmean(runs.diverged[run] for run in earlier), -mean if runs.higher_is_better else mean


def _order(values: Values) -> tuple[tuple[int, float, str], ...]:
    return tuple(sortable({"": value} if value is not math.nan else {}, "") for value in values)


def _choice(positions: Sequence[int], picked: Sequence[int], runs: _Candidates, tune: Sequence[str]) -> Choice:
    tried = sorted({runs.values[run] for run in positions}, key=_order)
    seeds_of = {values: {runs.seeds[run] for run in picked if runs.values[run] == values} for values in tried}
    chosen = [(values, len(seeds)) for values, seeds in seeds_of.items() if seeds]
    diverged = Counter(runs.values[run] for run in positions if runs.diverged[run])
    return Choice(
        chosen=tuple(sorted(chosen, key=lambda pair: -pair[1])),
        values=len(tried),
        runs=len(positions),
        edges=tuple(_edges([values for values, _ in chosen], tried, tune)),
        missing=math.prod(len({values[place] for values in tried}) for place in range(len(tune))) - len(tried),
        diverged=tuple((values, diverged[values]) for values in tried if diverged[values]),
        fewer=_fewer(tried, positions, runs),
    )


def _edges(chosen: Sequence[Values], tried: Sequence[Values], tune: Sequence[str]) -> list[Edge]:
    """Find the chosen numbers that are the least or the greatest of the row's values, if it has several."""
    edges = []
    for place, key in enumerate(tune):
        grid = sorted({values[place] for values in tried if _is_number(values[place])})
        ends: Sequence[tuple[End, Callable[[Sequence[float]], float]]] = (("smallest", min), ("largest", max))
        mine = {values[place] for values in chosen}
        edges += [Edge(key, of(grid), end) for end, of in ends if len(grid) > 1 and of(grid) in mine]
    return edges


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _fewer(tried: Sequence[Values], positions: Sequence[int], runs: _Candidates) -> tuple[tuple[Values, int], ...]:
    seeds = {v: len({runs.seeds[r] for r in positions if runs.values[r] == v and runs.ended(r)}) for v in tried}
    most = max(seeds.values(), default=0)
    return tuple((values, number) for values, number in seeds.items() if number < most)
