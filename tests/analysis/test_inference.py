"""Each figure against scipy, statsmodels, autorank, rliable or a count by hand."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
import statsmodels.stats.api as sms
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from regbench.analysis import inference
from regbench.analysis.corrections import Correction
from regbench.analysis.intervals import estimate

DIGITS = 1e-10


def normal(n: int, seed: int = 0, mean: float = 0.3) -> list[float]:
    return np.random.default_rng(seed).normal(mean, 1, n).tolist()


@pytest.mark.parametrize("n", [2, 3, 5, 8, 10])
def test_sign_flip_counts_all_patterns(n: int) -> None:
    values = np.array(normal(n, seed=n))
    means = [abs(np.mean(values * signs)) for signs in itertools.product((1, -1), repeat=n)]
    expected = np.mean(np.array(means) >= abs(values.mean()) * (1 - 1e-12))
    assert inference.sign_flip(values[None])[0] == pytest.approx(expected, rel=DIGITS)


@pytest.mark.parametrize("n", range(2, 17))
def test_signs_all_alike_have_the_least_p(n: int) -> None:
    assert inference.sign_flip(np.full((1, n), 0.1))[0] == pytest.approx(inference.smallest_p(n), rel=DIGITS)


def test_least_p_as_tabled() -> None:
    assert [inference.smallest_p(n) for n in (3, 5, 6, 8, 10)] == [0.25, 0.0625, 0.03125, 0.0078125, 0.001953125]


@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.0125, 0.05 / 9, 0.001, 0.25])
def test_fewest_pairs(alpha: float) -> None:
    n = inference.fewest_pairs(alpha)
    assert inference.smallest_p(n) <= alpha < inference.smallest_p(n - 1)


def test_sign_flip_of_zeros_is_one() -> None:
    assert inference.sign_flip(np.zeros((1, 8)))[0] == 1.0


def test_sign_flip_beyond_16_pairs_is_sampled_and_repeats() -> None:
    values = np.array([normal(20, mean=0.55)])
    p = inference.sign_flip(values)[0]
    assert p == inference.sign_flip(values)[0]
    assert p == pytest.approx(scipy.stats.ttest_1samp(values[0], 0).pvalue, rel=0.2)


def test_tables_are_tested_each_by_itself() -> None:
    values = np.random.default_rng(1).normal(0.5, 1, (70, 6))  # more than a chunk
    together = inference.sign_flip(values)
    assert together.tolist() == [inference.sign_flip(row[None])[0] for row in values]
    assert inference.sign_flip(np.empty((0, 5))).shape == (0,)


def test_interval_of_the_difference_is_that_of_ttest_rel() -> None:
    left, right = np.array(normal(9, 1)), np.array(normal(9, 2))
    expected = scipy.stats.ttest_rel(left, right).confidence_interval(0.95)
    found = estimate((left - right).tolist()).interval
    assert found == pytest.approx((expected.low, expected.high), rel=1e-8)  # scipy's quantile has less digits
    by_statsmodels = sms.DescrStatsW(left - right).tconfint_mean(0.05)
    assert found == pytest.approx(by_statsmodels, rel=1e-8)


@pytest.mark.parametrize(("correction", "method"), [("holm", "holm"), ("bh", "fdr_bh")])
def test_corrections(correction: Correction, method: str) -> None:
    ps = [0.001, 0.04, 0.03, 0.2, 0.9]
    assert inference.adjusted(ps, correction) == pytest.approx(multipletests(ps, method=method)[1].tolist(), rel=DIGITS)
    by_hand = [0.005, 0.12, 0.12, 0.4, 0.9]
    expected = scipy.stats.false_discovery_control(ps) if correction == "bh" else by_hand
    assert inference.adjusted(ps, correction) == pytest.approx(list(expected), rel=DIGITS)
    assert inference.adjusted(ps, "none") == ps
    assert inference.adjusted([], correction) == []


@pytest.mark.parametrize("mean", [0.0, 0.2, 0.9, -3.0])
def test_equivalence_is_the_larger_of_two_one_sided_tests(mean: float) -> None:
    values, margin = normal(12, mean=mean), 1.0
    low = scipy.stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    high = scipy.stats.ttest_1samp(values, margin, alternative="less").pvalue
    assert inference.equivalence(values, margin) == pytest.approx(max(low, high), rel=DIGITS)


def test_equal_differences_have_no_t_but_a_bound() -> None:
    assert inference.equivalence([0.1] * 5, 0.2) == 1 / 32
    assert inference.equivalence([0.0] * 3, 0.2) == 1 / 8
    assert inference.equivalence([0.2] * 5, 0.2) == 1.0
    assert inference.equivalence([-0.3] * 5, 0.2) == 1.0


@pytest.mark.parametrize(("won", "n"), [(0, 5), (5, 5), (7, 10), (1, 1)])
def test_wilson(won: int, n: int) -> None:
    assert inference.wilson(won, n) == pytest.approx(proportion_confint(won, n, method="wilson"), rel=DIGITS, abs=1e-15)


def test_wilson_without_trials() -> None:
    assert inference.wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("n", [3, 5, 10, 50])
def test_hedges_g(n: int) -> None:
    values, m = normal(n), n - 1
    exact = math.gamma(m / 2) / (math.sqrt(m / 2) * math.gamma((m - 1) / 2))
    found = inference.hedges_g(values)
    assert found == pytest.approx(exact * np.mean(values) / np.std(values, ddof=1), rel=DIGITS)
    assert found == pytest.approx((1 - 3 / (4 * m - 1)) * np.mean(values) / np.std(values, ddof=1), rel=0.08)


def test_hedges_g_needs_spread_and_three() -> None:
    assert inference.hedges_g([1.0, 2.0]) is None
    assert inference.hedges_g([0.1, 0.1, 0.1]) is None


def test_hedges_g_is_unbiased() -> None:
    values = np.random.default_rng(0).normal(0.5, 1, (4000, 6))
    found = [inference.hedges_g(row.tolist()) for row in values]
    assert np.mean([g for g in found if g is not None]) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("effect", "seeds"), [(0.5, 34), (1.0, 10), (0.2, 199), (5.0, 6)])
def test_seeds_to_differ_as_tabled(effect: float, seeds: int) -> None:
    """Cohen (1988), two-sided 0.05, power 0.8, one sample; 6 is the exact test's own limit."""
    assert inference.seeds_to_differ(effect, 0.05) == seeds
    assert inference.seeds_to_differ(-effect, 0.05) == seeds


def test_seeds_that_nobody_would_train() -> None:
    assert inference.seeds_to_differ(0.001, 0.05) is None
    assert inference.seeds_to_differ(0.0, 0.05) is None
    assert inference.seeds_to_agree(1.0, 1.0, 0.05) is None
    assert inference.seeds_to_differ(math.inf, 0.05) == 6


@pytest.mark.parametrize("alpha", [0.05, 0.005])
def test_every_effect_has_an_answer(alpha: float) -> None:
    """Where statsmodels' root finder gives up, nothing may be NaN."""
    for effect in np.geomspace(1e-6, 1e6, 60):
        for seeds in (inference.seeds_to_differ(effect, alpha), inference.seeds_to_agree(0.0, effect, alpha)):
            assert seeds is None if effect < 0.02 else effect < 0.07 or (seeds is not None and 2 <= seeds <= 10_000)


def test_seeds_to_agree_have_the_power() -> None:
    n = inference.seeds_to_agree(0.0, 0.8, 0.05)
    assert n is not None
    values = np.random.default_rng(0).normal(0, 1, (2000, n))
    assert 0.78 <= np.mean([inference.equivalence(row.tolist(), 0.8) <= 0.05 for row in values[:600]]) <= 0.92


@settings(deadline=None)
@given(st.floats(0.1, 3), st.floats(0.001, 0.05))
def test_more_seeds_for_less_effect(effect: float, alpha: float) -> None:
    more, less = inference.seeds_to_differ(effect, alpha), inference.seeds_to_differ(2 * effect, alpha)
    assert more is not None and less is not None
    assert more >= less >= inference.fewest_pairs(alpha)
