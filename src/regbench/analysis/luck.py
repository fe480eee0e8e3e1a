"""Luck in the order of rows: the first of many is first also by chance, and stands too high (the winner's curse).

The noise of the means is taken from the rows' own spread over seeds, the same seeds in every row: what a seed does to
all rows alike moves no row past another. Rows that noise cannot have brought to the place of the first are left alone,
as in the limited translation of Efron and Morris (1972, JASA 67, 130-139).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regbench.analysis.table import Row, Table

_Floats = NDArray[np.float64]

_FEWEST = 3  # rows: of two, the difference says it all
_REACH = 4.0  # standard errors from the first row, beyond which a row is no rival
_DRAWS = 20_000
_AT_ONCE = 2**21  # draws of all rows together: 16 MB
_HALVINGS = 60  # until tau² is found


@dataclass(frozen=True)
class _Rivals:
    """The rows among which luck decides: their places in the table, means, and noise.

    `noise` is [seeds, rows]: multiplied by independent standard normal numbers for the seeds, it is a draw of the
    errors of the means, with the variances and covariances that the figures have.
    """

    places: Sequence[int]
    means: _Floats
    noise: _Floats


def with_luck(table: Table, *, shrink: bool, is_ranked: bool) -> Table:
    """Add by how much the first row is expected to stand too high, and the shrunk means if they are wanted.

    Args:
        table: a comparison.
        shrink: whether to add shrunk means.
        is_ranked: whether the best mean stands first; only then is the first row first by luck, too.
    """
    sign = 1 if table.metric.higher_is_better else -1
    rivals = _rivals(table.rows, sign)
    usable = rivals is not None and table.has_intervals
    shrunk = _shrunk(rivals) if rivals and usable else None
    luck = None
    if rivals and shrunk is not None and is_ranked and not table.columns:
        luck = _excess(sign * shrunk, rivals.noise)
    rows = _with_shrunk(table.rows, rivals, shrunk) if shrink else table.rows
    return replace(table, rows=tuple(rows), luck=luck, shrink=shrink)


def _rivals(rows: Sequence[Row], sign: int) -> _Rivals | None:
    """Find the rows with two or more seeds that are within reach of the best; None if there are too few."""
    figures = [_by_seed(row) for row in rows]
    places = [place for place, values in enumerate(figures) if len(values) > 1]
    if len(places) < _FEWEST:
        return None
    seeds = list(dict.fromkeys(seed for place in places for seed in figures[place]))
    means = np.array([fmean(figures[place].values()) for place in places])
    noise = np.array([_noise(figures[place], seeds) for place in places]).T
    best = int(np.argmax(sign * means))
    apart = np.sqrt(((noise - noise[:, [best]]) ** 2).sum(axis=0))
    near = np.abs(means - means[best]) <= _REACH * apart
    near[best] = True
    if near.sum() < _FEWEST:
        return None
    return _Rivals([place for place, is_near in zip(places, near, strict=True) if is_near], means[near], noise[:, near])


def _by_seed(row: Row) -> dict[Any, float]:
    """Return the mean figure of each seed of a row."""
    seeds: dict[Any, list[float]] = {}
    for seed, value in row.figures:
        seeds.setdefault(seed, []).append(value)
    return {seed: fmean(values) for seed, values in seeds.items()}


def _noise(figures: dict[Any, float], seeds: Sequence[Any]) -> list[float]:
    """Return each seed's deviation, scaled so that the squares sum to the variance of the mean."""
    n, mean = len(figures), fmean(figures.values())
    return [(figures[seed] - mean) / (n * (n - 1)) ** 0.5 if seed in figures else 0.0 for seed in seeds]


def _shrunk(rivals: _Rivals) -> _Floats:
    """Draw the means to their common mean, as far as noise explains their spread (empirical Bayes, Morris 1983).

    The share of noise is v / (v + τ²), with the variance v of a mean about the common one, and the variance τ² of the
    true means that makes the weighted squares sum to rows - 1 (Paule and Mandel 1982, J. Res. NBS 87, 377-385). Morris:
    *Parametric empirical Bayes inference*, JASA 78, 47-55. With equal v it is the positive-part estimator of James and
    Stein (1961), except for a factor near 1 that depends on the number of rows.
    """
    noise = rivals.noise - rivals.noise.mean(axis=1, keepdims=True)
    variances = (noise**2).sum(axis=0)
    if not variances.any():
        return rivals.means
    tau = _spread_of_truth(rivals.means, variances)
    total = variances + tau
    weights = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
    centre = (weights * rivals.means).sum() / weights.sum()
    share = np.divide(variances, total, out=np.zeros_like(total), where=total > 0)
    shrunk: _Floats = centre + (1 - share) * (rivals.means - centre)
    return shrunk


def _spread_of_truth(means: _Floats, variances: _Floats) -> float:
    """Solve for τ² by halving; 0 if noise alone explains the spread of the means."""
    usable = np.maximum(variances, 1e-12 * variances.max())

    def excess(tau: float) -> float:
        weights = 1 / (usable + tau)
        centre = (weights * means).sum() / weights.sum()
        return float((weights * (means - centre) ** 2).sum()) - (len(means) - 1)

    low, high = 0.0, float(np.ptp(means)) ** 2 * len(means)
    if excess(low) <= 0:
        return 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return high


def _excess(truth: _Floats, noise: _Floats) -> float:
    """Return the mean error of whichever row comes first, over draws of the noise: the two digits that they tell."""
    if len(noise) > len(truth):  # as many numbers as rows have the same variances and covariances
        noise = np.linalg.qr(noise).R
    number = min(_DRAWS, 1 + _AT_ONCE // len(truth))
    draws = np.random.default_rng(0).standard_normal((number, len(noise))) @ noise
    first = np.argmax(truth + draws, axis=1)
    error = float((draws[np.arange(number), first] - draws.mean(axis=1)).mean())
    return float(f"{max(error, 0.0):.2g}")


def _with_shrunk(rows: Sequence[Row], rivals: _Rivals | None, shrunk: _Floats | None) -> list[Row]:
    """Add the shrunk mean of each rival; other rows keep their mean."""
    found = dict(zip(rivals.places, shrunk.tolist(), strict=True)) if rivals and shrunk is not None else {}
    return [replace(row, shrunk=found.get(place, row.estimate.mean)) for place, row in enumerate(rows)]
