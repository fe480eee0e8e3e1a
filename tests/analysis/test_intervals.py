"""The interval against closed forms, scipy.stats and its own promise."""

import math
import random

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from regbench.analysis.intervals import estimate, t_quantile

FIGURES = st.floats(-1e6, 1e6, allow_subnormal=False)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_quantile_in_closed_form(level: float) -> None:
    assert t_quantile(1, level) == pytest.approx(math.tan(math.pi * level / 2), rel=1e-13)
    assert t_quantile(2, level) == pytest.approx(level * math.sqrt(2 / (1 - level**2)), rel=1e-13)


def test_quantile_as_printed_in_textbooks() -> None:
    printed = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 9: 2.262, 29: 2.045, 120: 1.980}
    assert {degrees: round(t_quantile(degrees), 3) for degrees in printed} == printed


@settings(deadline=None)  # the machine may be busy
@given(st.lists(FIGURES, min_size=2, max_size=30))
def test_interval_is_that_of_scipy(values: list[float]) -> None:
    sem = np.std(values, ddof=1) / math.sqrt(len(values))
    if sem < 1e-6:
        return  # scipy has no interval where nothing varies
    low, high = scipy.stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=sem)
    assert estimate(values).interval == pytest.approx((low, high), rel=1e-7, abs=1e-7)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(FIGURES, min_size=1, max_size=30), st.randoms())
def test_order_changes_no_digit(values: list[float], shuffler: random.Random) -> None:
    shuffled = values.copy()
    shuffler.shuffle(shuffled)
    assert estimate(shuffled) == estimate(values)


def test_too_few_values_have_no_interval() -> None:
    assert (estimate([]).mean, estimate([]).half_width, estimate([]).interval) == (None, None, None)
    assert (estimate([0.5]).mean, estimate([0.5]).half_width, estimate([0.5]).interval) == (0.5, None, None)


def test_equal_values_have_no_width() -> None:
    assert estimate([0.1, 0.1, 0.1]).interval == (0.1, 0.1)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_covers_the_mean_in_95_of_100_samples(n: int) -> None:
    samples = np.random.default_rng(n).normal(0.97, 0.01, size=(4000, n)).tolist()
    intervals = [estimate(sample).interval for sample in samples]
    covered = sum(interval is not None and interval[0] <= 0.97 <= interval[1] for interval in intervals)
    assert covered / len(samples) == pytest.approx(0.95, abs=0.011)  # three standard errors
