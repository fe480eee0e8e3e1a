"""What differences of pairs can prove. A page over scipy.stats and statsmodels: import it only where it is needed."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import scipy.stats
from numpy.typing import NDArray
from scipy.special import gammaln, ndtr
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

from regbench.analysis.intervals import t_quantile

Floats = NDArray[np.float64]
Correction = Literal["holm", "bh", "none"]

ALPHA = 0.05
POWER = 0.8
MOST_SEEDS = 10_000
LARGEST = 10.0  # effect that is told apart from larger ones
RESAMPLES = 99_999  # sign patterns drawn where there are more: from n = 17
CHUNK = 64  # tables of differences at once, so that memory stays small
AT_ONCE = 2**21  # signs and differences, likewise: 16 MB
METHODS = {"holm": "holm", "bh": "fdr_bh"}


def sign_flip(differences: Floats) -> Floats:
    """The two-sided p of the mean against a symmetric null, exact while all 2^n sign patterns can be tried.

    Fisher's randomization test for pairs (1935), by `scipy.stats.permutation_test`; beyond that a random sample of
    the patterns, the same one each time. Makes no assumption on the shape of the noise but symmetry under the null.

    Args:
        differences: [tables, pairs].

    Returns:
        One p for each table.
    """
    chunks = np.split(differences, range(CHUNK, len(differences), CHUNK))
    return np.concatenate([_sign_flip(chunk) for chunk in chunks]) if len(differences) else np.empty(0)


def _sign_flip(differences: Floats) -> Floats:
    found = scipy.stats.permutation_test(
        (differences,),
        lambda sample, axis: sample.mean(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, AT_ONCE // differences.size),  # changes no pattern
        axis=-1,
        rng=np.random.default_rng(0),
    )
    return np.atleast_1d(np.asarray(found.pvalue, dtype=np.float64))


def smallest_p(pairs: int) -> float:
    """The least two-sided p that the exact sign-flip test can give: all signs alike, 2/2^n."""
    return min(1.0, 2.0 ** (1 - pairs))


def fewest_pairs(alpha: float) -> int:
    """The fewest pairs with which the exact sign-flip test can reach alpha."""
    return math.ceil(1 - math.log2(alpha) - 1e-12)


def adjusted(ps: Sequence[float], correction: Correction) -> list[float]:
    """p-values of one family: Holm (1979) against any false one, Benjamini-Hochberg (1995) for their expected share."""
    if correction == "none" or not ps:
        return list(ps)
    return [float(p) for p in multipletests(ps, ALPHA, METHODS[correction])[1]]


def equivalence(differences: Sequence[float], margin: float) -> float:
    """The p of two one-sided tests (Schuirmann 1987) that the mean difference lies within ± margin.

    Equal differences have no t: there the exact sign-flip bound counts, 2^-n inside the margin and 1 outside.
    """
    values = np.asarray(differences)
    if np.ptp(values) == 0:
        return 2.0 ** -len(values) if abs(values[0]) < margin else 1.0
    return float(ttost_paired(values, np.zeros_like(values), -margin, margin)[0])


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927); all of [0, 1] without a trial."""
    if not trials:
        return 0.0, 1.0
    found: Any = scipy.stats.binomtest(successes, trials).proportion_ci(1 - ALPHA, method="wilson")
    return float(found.low), float(found.high)


def of_images(right: float, images: int) -> tuple[float, float]:
    """The 95 % interval of an accuracy over the drawing of as many test images (Wilson 1927), by statsmodels.

    `right` may be the mean over several runs: the variance of a mean of shares is at most the binomial one.
    """
    low, high = proportion_confint(right, images, ALPHA, "wilson")
    return float(low), float(high)


def mcnemar(differences: Floats) -> float:
    """The two-sided p that other test images would show no difference.

    Of one pair of runs, whose differences are 1, 0 and -1, McNemar's test (1947), exact, by statsmodels. Of several,
    the seeds of an image are a cluster of equal size: z = Σd / √Σd² (Durkalski, Palesch, Lipsitz and Rust 2003,
    Statistics in Medicine 22, 2417-2428), which for one pair is McNemar's z.

    Args:
        differences: of each image, the share of seeds that classify it rightly minus the baseline's.
    """
    spread = math.sqrt(math.fsum(differences**2))
    if not spread:
        return 1.0
    if np.isin(differences, (-1, 0, 1)).all():
        gained, lost = int((differences == 1).sum()), int((differences == -1).sum())
        return float(statsmodels_mcnemar([[0, gained], [lost, 0]], exact=True).pvalue)
    return float(2 * ndtr(-abs(math.fsum(differences)) / spread))


def over_images(differences: Floats) -> tuple[float, float | None]:
    """The mean of many differences and half of its 95 % t interval, None where all are equal; sums are exact."""
    n, mean = len(differences), math.fsum(differences) / len(differences)
    if np.ptp(differences) == 0:
        return mean, None
    return mean, t_quantile(n - 1) * math.sqrt(math.fsum((differences - mean) ** 2) / (n - 1) / n)


def hedges_g(differences: Sequence[float]) -> float | None:
    """The mean difference in standard deviations of the differences, freed of its bias for small n.

    g = J(n - 1) · mean / s with J(m) = Γ(m/2) / (√(m/2) Γ((m - 1)/2)) (Hedges 1981, eq. 6e). None where s is 0 or
    n < 3, where J does not exist.
    """
    n = len(differences)
    if n < 3 or np.ptp(differences) == 0:
        return None
    m = n - 1
    correction = math.exp(gammaln(m / 2) - gammaln((m - 1) / 2)) / math.sqrt(m / 2)
    return float(correction * np.mean(differences) / np.std(differences, ddof=1))


def seeds_to_differ(effect: float, alpha: float) -> int | None:
    """The pairs that find a difference of `effect` standard deviations with 80 % power (`TTestPower`).

    Never fewer than let the exact test reach alpha; None beyond MOST_SEEDS.
    """
    return _seeds(abs(effect), alpha, POWER, "two-sided", fewest_pairs(alpha))


def seeds_to_agree(effect: float, margin: float, alpha: float) -> int | None:
    """The pairs that show a difference of `effect` to lie within ± `margin`, all in standard deviations.

    For both one-sided tests together to have 80 % power it is enough that the one with less room has 90 %. None
    where the difference does not lie within, or beyond MOST_SEEDS.
    """
    room = margin - abs(effect)
    return _seeds(room, alpha, 1 - (1 - POWER) / 2, "larger", 2) if room > 0 else None


def _seeds(effect: float, alpha: float, power: float, alternative: str, least: int) -> int | None:
    """Bisected, as `solve_power` does not always converge; power is NaN, not 1, where the effect is overwhelming."""

    def enough(seeds: int) -> bool:
        return not TTestPower().power(min(effect, LARGEST), seeds, alpha, alternative=alternative) < power

    seeds = least + bisect_left(range(least, MOST_SEEDS + 1), True, key=enough)
    return seeds if seeds <= MOST_SEEDS else None
