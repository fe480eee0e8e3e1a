"""Mean ranks of rows over seeds, and which of them differ: Friedman's test and Nemenyi's critical difference."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from regbench.analysis.joined import by_seed
from regbench.analysis.table import Row, Table
from regbench.errors import UserError

_FEWEST = 3  # rows, which Friedman's test needs


@dataclass(frozen=True)
class Ranks:
    """Rows by mean rank over `seeds`, the best first; rank 1 is the best.

    `p` is Friedman's. Rows whose ranks differ by less than `critical` are not told apart; `cliques` are the largest
    sets of them, by their first and last place. `left_out` counts rows or seeds that are not complete.
    """

    rows: tuple[Row, ...]
    ranks: tuple[float, ...]
    seeds: int
    p: float
    critical: float
    cliques: tuple[tuple[int, int], ...]
    left_out: int


def ranks(table: Table) -> Ranks:
    """Rank the rows within each seed that all have; ties share their mean rank.

    Raises:
        UserError: fewer than three rows have figures, or they have fewer than two seeds in common.
    """
    from scipy.stats import friedmanchisquare, rankdata

    rows = [row for row in table.rows if row.figures]
    figures = [by_seed(row) for row in rows]
    if len(rows) < _FEWEST:
        raise UserError(f"plot cd: ranks need {_FEWEST} rows or more with figures, not {len(rows)}")
    seeds = [seed for seed in figures[0] if all(seed in of_row for of_row in figures)]
    if len(seeds) < 2:
        raise UserError(f"plot cd: the {len(rows)} rows have {len(seeds)} seeds in common, and need 2 or more")
    sign = -1 if table.metric.higher_is_better else 1
    values = np.array([[sign * of_row[seed] for of_row in figures] for seed in seeds])
    mean = rankdata(values, axis=1).mean(0)
    order = sorted(range(len(rows)), key=lambda place: mean[place])
    ordered = tuple(float(mean[place]) for place in order)
    difference = critical_difference(len(rows), len(seeds))
    return Ranks(
        tuple(rows[place] for place in order),
        ordered,
        len(seeds),
        float(friedmanchisquare(*values.T).pvalue) if np.ptp(values) else 1.0,
        difference,
        tuple(_cliques(ordered, difference)),
        len(set().union(*figures)) - len(seeds),
    )


def critical_difference(rows: int, seeds: int) -> float:
    """Return Nemenyi's critical difference at 0.05: q · √(k(k + 1) / 6n) (Demšar 2006, JMLR 7, section 3.2.2).

    q is the Studentized range quantile with infinite degrees of freedom, divided by √2.
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(0.95, rows, math.inf)) / math.sqrt(2)
    return q * math.sqrt(rows * (rows + 1) / (6 * seeds))


def _cliques(ordered: tuple[float, ...], difference: float) -> list[tuple[int, int]]:
    """Return the runs of places, two or more, within the difference, and in no longer one."""
    spans = []
    for first, rank in enumerate(ordered):
        last = max(place for place, other in enumerate(ordered) if other - rank < difference)
        spans.append((first, last))
    longest = [spans[0], *(span for before, span in pairwise(spans) if span[1] > before[1])]
    return [(first, last) for first, last in longest if last > first]
