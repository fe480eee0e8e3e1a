"""Tests and intervals that are valid at any number of seeds, however it was chosen: bets on signs.

Take the differences d₁, d₂, … in the order of the seeds, and suppose that they are symmetric about 0. Then,
given all sizes |dᵢ|, the signs are fair coins. A gambler who bets on positive signs multiplies his money at
each seed by 2 / (1 + exp(-2 c dᵢ / sᵢ)), where sᵢ is the root mean square of d₁ … dᵢ: a fair game, as both
signs together pay 2. His money E is a test martingale: the chance that it ever reaches 1/α is at most α (Ville
1939), so p = 1 / max E is valid at each seed and over all of them (Ramdas, Grünwald, Vovk and Shafer 2023,
Statistical Science 38, 576-601). Several stakes c share the money. Bets on the signs of symmetric variables are
those of Efron (1969, JASA 64, 1278-1302) and of de la Peña (1999, Annals of Probability 27, 537-564), with the
exact price of a coin in the place of their bound.

Two one-sided games of α/2 each make the two-sided test; the centres m at which neither has succeeded for d - m make the
confidence sequence; and games against ± margin show equivalence. For one side, a single peak in the middle is assumed.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from regbench.analysis.inference import ALPHA

_Floats = NDArray[np.float64]

# Of grids with 2 to 9 stakes, simulated over effects of 0.5 to 2 standard deviations and 40 seeds, one of the best
_STAKES = np.array([0.2, 0.4, 0.8, 1.6, 8.0])
_AT_ONCE = 2**20  # numbers in memory at a time: 8 MB
_GRID = 64  # centres to try at a time, ...
_ZOOMS = 4  # ... each time between two neighbours of the last: to 1e-7 of the range
_FUTURES = 200  # simulated, to say how many seeds would decide
_MOST_SEEDS = 500  # that a simulated future has
_SHARE = 0.8  # of the futures that must be decided


def evidence(differences: _Floats) -> _Floats:
    """Return the money E of the bet on positive signs after each seed, 1 at first.

    Args:
        differences: [tables, seeds], in the order of the seeds.

    Returns:
        [tables, seeds].
    """
    tables, seeds = differences.shape
    step = max(1, _AT_ONCE // max(1, seeds * len(_STAKES)))
    parts = [_evidence(differences[first : first + step]) for first in range(0, tables, step)]
    return np.concatenate(parts) if parts else np.empty((0, seeds))


def _evidence(differences: _Floats) -> _Floats:
    number = np.arange(1, differences.shape[1] + 1)
    size = np.sqrt(np.cumsum(differences**2, axis=1) / number)
    ratio = np.divide(differences, size, out=np.zeros_like(differences), where=size > 0)
    logs = math.log(2) - np.logaddexp(0.0, -2 * _STAKES * ratio[:, :, None])
    money = np.cumsum(logs, axis=1)
    most: _Floats = money.max(axis=2)
    shares: _Floats = np.exp(money - most[:, :, None]).mean(axis=2)
    return np.exp(most) * shares


def _one_sided(differences: _Floats) -> _Floats:
    """Return the p, for each table of [tables, seeds], of differences that are not above 0: 1 / max E."""
    if not differences.shape[1]:
        return np.ones(len(differences))
    most: _Floats = evidence(differences).max(axis=1)
    return 1 / np.maximum(1.0, most)


def tests(differences: Mapping[int, Sequence[float]]) -> dict[int, float]:
    """Return the two-sided p of each row with at least two pairs, in the direction of its mean difference."""
    return {row: two_sided(values) for row, values in differences.items() if len(values) > 1}


def two_sided(differences: Sequence[float]) -> float:
    """Return twice the p of the side to which the mean difference points: at least as much as a two-sided p."""
    values = np.asarray(differences, dtype=np.float64)
    side = 1.0 if values.mean() >= 0 else -1.0
    return min(1.0, 2 * float(_one_sided(side * values[None])[0]))


def half_width(differences: Sequence[float]) -> float | None:
    """Return None: a confidence sequence lies on both sides of the mean, not equally far."""
    del differences
    return None


def sequence(differences: Sequence[float], alpha: float = ALPHA) -> tuple[float, float] | None:
    """Return the confidence sequence at the last seed: the centres that no game has refuted at any seed so far.

    None if so few seeds have no end, or if every centre is refuted, as symmetric differences rarely have it.
    """
    values = np.asarray(differences, dtype=np.float64)
    low, high = _lower(values, alpha / 2), _lower(-values, alpha / 2)
    if low is None or high is None or low > -high:
        return None
    return low, -high


def _lower(values: _Floats, alpha: float) -> float | None:
    """Return the least centre that the game on larger differences has not refuted; None if it refutes none."""
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    low, high = float(values.min() - np.ptp(values)), float(values.max())
    for _ in range(_ZOOMS):
        centres = np.linspace(low, high, _GRID)
        kept = np.flatnonzero(_one_sided(values - centres[:, None]) > alpha)
        first = int(kept[0]) if len(kept) else _GRID - 1
        if first == 0:
            return None
        low, high = float(centres[first - 1]), float(centres[first])
    return high


def equivalence(differences: Sequence[float], margin: float) -> float:
    """Return the p of two one-sided games that the differences lie within ± margin: the larger of both."""
    values = np.asarray(differences, dtype=np.float64)
    return float(_one_sided(np.stack([values + margin, margin - values])).max())


def sign_test(differences: Sequence[float]) -> float:
    """Return the two-sided p that either sign is as likely, at any number of seeds."""
    return two_sided(differences)


def seeds_to_decide(differences: Sequence[float], margin: float | None, alpha: float) -> int | None:
    """Return how many seeds decide in 80 % of simulated futures; None beyond 500.

    They continue these differences by normal ones with their mean and spread.
    """
    known = np.asarray(differences, dtype=np.float64)
    if len(known) < 2 or np.ptp(known) == 0:
        return None
    draw = np.random.default_rng(0)
    future = draw.normal(known.mean(), known.std(ddof=1), (_FUTURES, max(0, _MOST_SEEDS - len(known))))
    for seeds in _lengths(len(known)):
        whole = np.hstack([np.tile(known, (_FUTURES, 1)), future[:, : seeds - len(known)]])
        decided = _first_decided(whole, margin, alpha)
        enough = float(np.quantile(decided, _SHARE, method="higher"))
        if enough <= seeds:
            return max(int(enough), len(known) + 1)
    return None


def _lengths(known: int) -> list[int]:
    """Return lengths of futures to try: each twice the last, to end early where few seeds are enough."""
    lengths = [2 * known + 10]
    while lengths[-1] < _MOST_SEEDS:
        lengths.append(2 * lengths[-1])
    return [min(length, _MOST_SEEDS) for length in lengths]


def _first_decided(differences: _Floats, margin: float | None, alpha: float) -> _Floats:
    """Return after how many seeds each table is decided; infinite if it is not."""
    differ = np.maximum(evidence(differences), evidence(-differences)) >= 2 / alpha
    decided = differ
    if margin is not None:
        low, high = (np.maximum.accumulate(evidence(margin + sign * differences), axis=1) for sign in (1, -1))
        decided = differ | (np.minimum(low, high) >= 1 / alpha)
    first: _Floats = np.where(decided.any(axis=1), decided.argmax(axis=1) + 1.0, np.inf)
    return first
