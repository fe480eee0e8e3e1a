"""What differences of pairs can prove, by scipy.stats and statsmodels. It is slow to import: do so only when needed."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray
from scipy.special import gammaln, ndtr
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

from regbench.analysis.corrections import Correction
from regbench.analysis.intervals import t_quantile

_Floats = NDArray[np.float64]

ALPHA = 0.05
_POWER = 0.8
_MOST_SEEDS = 10_000
_LARGEST = 10.0  # all larger effects count as this one
_RESAMPLES = 99_999  # sign patterns to draw if there are more: from n = 17
_CHUNK = 64  # tables of differences at once, so that memory stays small
_AT_ONCE = 2**21  # signs and differences at once, for the same reason: 16 MB
_METHODS = {"holm": "holm", "bh": "fdr_bh"}  # names of statsmodels


def sign_flip(differences: _Floats) -> _Floats:
    """Return the two-sided p of the mean against a symmetric null: exact if all 2^n sign patterns can be tried.

    It is Fisher's randomization test for pairs (1935), by `scipy.stats.permutation_test`. If there are too many
    patterns, it draws a random sample of them, the same one each time. The only assumption is symmetry under the null.

    Args:
        differences: [tables, pairs].

    Returns:
        One p for each table.
    """
    chunks = np.split(differences, range(_CHUNK, len(differences), _CHUNK))
    return np.concatenate([_sign_flip(chunk) for chunk in chunks]) if len(differences) else np.empty(0)


def _sign_flip(differences: _Floats) -> _Floats:
    result = scipy.stats.permutation_test(
        (differences,),
        lambda sample, axis: sample.mean(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_RESAMPLES,
        batch=max(1, _AT_ONCE // differences.size),  # changes no pattern
        axis=-1,
        rng=np.random.default_rng(0),
    )
    return np.atleast_1d(np.asarray(result.pvalue, dtype=np.float64))


def sign_test(more: int, less: int) -> float:
    """Return the two-sided p that either is as likely: exact binomial; 1 without a trial."""
    return float(scipy.stats.binomtest(more, more + less).pvalue) if more + less else 1.0


def smallest_p(pairs: int) -> float:
    """Return the smallest two-sided p of the exact sign-flip test: all signs are alike, 2/2^n."""
    return min(1.0, 2.0 ** (1 - pairs))


def fewest_pairs(alpha: float) -> int:
    """Return the smallest number of pairs with which the exact sign-flip test can reach alpha."""
    return math.ceil(1 - math.log2(alpha) - 1e-12)


def adjusted(ps: Sequence[float], correction: Correction) -> list[float]:
    """Correct the p-values of one family: Holm (1979) for any false one, Benjamini-Hochberg (1995) for their share."""
    if correction == "none" or not ps:
        return list(ps)
    return [float(p) for p in multipletests(ps, ALPHA, _METHODS[correction])[1]]


def equivalence(differences: Sequence[float], margin: float) -> float:
    """Return the p of two one-sided tests (Schuirmann 1987) that the mean difference lies within ± margin.

    Equal differences have no t: the exact sign-flip bound takes its place, 2^-n inside the margin and 1 outside.
    """
    values = np.asarray(differences)
    if np.ptp(values) == 0:
        return 2.0 ** -len(values) if abs(values[0]) < margin else 1.0
    return float(ttost_paired(values, np.zeros_like(values), -margin, margin)[0])


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927); all of [0, 1] without a trial."""
    if not trials:
        return 0.0, 1.0
    interval: Any = scipy.stats.binomtest(successes, trials).proportion_ci(1 - ALPHA, method="wilson")
    return float(interval.low), float(interval.high)


def of_images(right: float, images: int) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy over random draws of n test images (Wilson 1927), by statsmodels.

    `right` may be the mean over several runs: the variance of a mean of shares is at most the binomial one.
    """
    low, high = proportion_confint(right, images, ALPHA, "wilson")
    return float(low), float(high)


def mcnemar(differences: _Floats) -> float:
    """Return the two-sided p that other test images would show no difference.

    For one pair of runs, whose differences are 1, 0 and -1, it is McNemar's exact test (1947), by statsmodels. For
    several pairs, the seeds of an image are a cluster of equal size: z = Σd / √Σd² (Durkalski, Palesch, Lipsitz and
    Rust 2003, Statistics in Medicine 22, 2417-2428), which for one pair is McNemar's z.

    Args:
        differences: for each image, the share of seeds that classify it correctly, minus the baseline's share.
    """
    spread = math.sqrt(math.fsum(differences**2))
    if not spread:
        return 1.0
    if np.isin(differences, (-1, 0, 1)).all():
        gained, lost = int((differences == 1).sum()), int((differences == -1).sum())
        return float(statsmodels_mcnemar([[0, gained], [lost, 0]], exact=True).pvalue)
    return float(2 * ndtr(-abs(math.fsum(differences)) / spread))


def over_images(differences: _Floats) -> tuple[float, float | None]:
    """Return the mean of many differences and half of its 95 % t interval: None if all are equal. Sums are exact."""
    n, mean = len(differences), math.fsum(differences) / len(differences)
    if np.ptp(differences) == 0:
        return mean, None
    return mean, t_quantile(n - 1) * math.sqrt(math.fsum((differences - mean) ** 2) / (n - 1) / n)


def hedges_g(differences: Sequence[float]) -> float | None:
    """Return the mean difference in standard deviations of the differences, without its bias for small n.

    g = J(n - 1) · mean / s with J(m) = Γ(m/2) / (√(m/2) Γ((m - 1)/2)) (Hedges 1981, eq. 6e). It is None if s is 0, and
    for n < 3, where J does not exist.
    """
    n = len(differences)
    if n < 3 or np.ptp(differences) == 0:
        return None
    m = n - 1
    correction = math.exp(gammaln(m / 2) - gammaln((m - 1) / 2)) / math.sqrt(m / 2)
    return float(correction * np.mean(differences) / np.std(differences, ddof=1))


def seeds_to_differ(effect: float, alpha: float) -> int | None:
    """Return how many pairs find a difference of `effect` standard deviations with 80 % power (`TTestPower`).

    At least as many as the exact test needs to reach alpha; None beyond 10,000.
    """
    return _seeds(abs(effect), alpha, _POWER, "two-sided", fewest_pairs(alpha))


def seeds_to_agree(effect: float, margin: float, alpha: float) -> int | None:
    """Return how many pairs show that a difference of `effect` lies within ± `margin`, in standard deviations.

    Both one-sided tests together have 80 % power if the one with less room has 90 %. None if the difference does not
    lie within the margin, and beyond 10,000.
    """
    room = margin - abs(effect)
    return _seeds(room, alpha, 1 - (1 - _POWER) / 2, "larger", 2) if room > 0 else None


def _seeds(effect: float, alpha: float, power: float, alternative: str, least: int) -> int | None:
    """Bisect: `solve_power` does not always converge, and power is NaN instead of 1 for a very large effect."""

    def enough(seeds: int) -> bool:
        return not TTestPower().power(min(effect, _LARGEST), seeds, alpha, alternative=alternative) < power

    seeds = least + bisect_left(range(least, _MOST_SEEDS + 1), True, key=enough)
    return seeds if seeds <= _MOST_SEEDS else None
