"""What a number of seeds can show: the smallest difference that the exact test finds with 80 % power."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from statsmodels.stats.power import TTestPower

from regbench.analysis import inference

_Floats = NDArray[np.float64]

_POWER = 0.8
_SIMULATED = 12  # pairs: with more of them the power of t at the reachable level is that of signs
_DRAWS = 3000
_HALVINGS = 12
_AT_ONCE = 250  # draws in memory at a time, with all patterns: 4 MB
_LARGEST = 6.0  # standard deviations: the largest difference to look for


@lru_cache
def smallest_difference(pairs: int, alpha: float) -> float | None:
    """Return the difference, in standard deviations of the paired differences, that is found with 80 % power.

    The test is the exact sign-flip test at level alpha, the differences are normal. Up to 12 pairs its power is
    simulated; beyond, it is that of the paired t test at the largest level up to alpha that the exact test can reach.
    None if it can reach none, or finds no difference below 6 standard deviations.
    """
    if pairs < inference.fewest_pairs(alpha):
        return None
    if pairs <= _SIMULATED:
        noise = np.random.default_rng(0).standard_normal((_DRAWS, pairs))
        flips = _flips(pairs)
        return _least(lambda size: float(np.mean(_ps(noise + size, flips) <= alpha + 1e-12)))
    least = inference.smallest_p(pairs)
    level = math.floor(alpha / least + 1e-9) * least
    return _least(lambda size: _power_of_t(size, pairs, level))


def _least(power: Callable[[float], float]) -> float | None:
    """Bisect for the least size with enough power."""
    low, high = 0.0, _LARGEST
    if power(high) < _POWER:
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= _POWER else (middle, high)
    return high


def _power_of_t(size: float, pairs: int, level: float) -> float:
    power = float(TTestPower().power(size, pairs, level))
    return 1.0 if math.isnan(power) else power  # statsmodels has none for very large effects


def _flips(pairs: int) -> _Floats:
    """Return all patterns of signs, [pairs, patterns], except those that are another with all signs changed."""
    patterns = np.arange(2 ** (pairs - 1))
    signs = 1.0 - 2.0 * (patterns[None] >> np.arange(pairs)[:, None] & 1)
    return np.asarray(signs, dtype=np.float64)


def _ps(tables: _Floats, flips: _Floats) -> _Floats:
    """Return the exact p of each table of [tables, pairs]."""
    observed = np.abs(tables.sum(axis=1)) - 1e-9
    ps = [(np.abs(part @ flips) >= least[:, None]).mean(axis=1) for part, least in _parts(tables, observed)]
    return np.concatenate(ps)


def _parts(tables: _Floats, observed: _Floats) -> Iterator[tuple[_Floats, _Floats]]:
    starts = range(0, len(tables), _AT_ONCE)
    return ((tables[i : i + _AT_ONCE], observed[i : i + _AT_ONCE]) for i in starts)


def spread(differences: Sequence[Sequence[float]]) -> float | None:
    """Return the standard deviation of paired differences, from several lists of them: the middle one.

    The variance of each list is divided by the median that a variance of so few values has (of chi-squared), so that
    the middle one is neither too large nor too small. A row that spreads like no other does not count for more.
    """
    sizes = [np.var(row, ddof=1) * (len(row) - 1) / chi2.ppf(0.5, len(row) - 1) for row in differences if len(row) > 1]
    middle = math.sqrt(float(np.median(sizes))) if sizes else 0.0
    return middle or None
