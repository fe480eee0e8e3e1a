"""Who is whose partner, and what a seed's difference is."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regbench.analysis.pairing import pairs, shared


def test_difference_seed_by_seed() -> None:
    found = pairs([((0,), 0.98), ((1,), 0.97)], [((1,), 0.96), ((0,), 0.975)])
    assert (found.seeds, found.differences) == ((0, 1), (0.005, 0.01))
    assert (found.unpaired, found.several) == (0, False)


def test_seeds_that_one_side_lacks_are_counted() -> None:
    found = pairs([((0,), 1.0), ((2,), 3.0)], [((0,), 0.5), ((1,), 9.0), ((3,), 9.0)])
    assert (found.seeds, found.differences, found.unpaired) == ((0,), (0.5,), 3)


def test_partners_agree_in_more_than_the_seed_and_a_seed_counts_once() -> None:
    treated = [((0, "xavier"), 3.0), ((0, "kaiming"), 5.0), ((1, "xavier"), 4.0)]
    baseline = [((0, "xavier"), 1.0), ((0, "kaiming"), 1.0), ((1, "kaiming"), 0.0)]
    found = pairs(treated, baseline)
    assert (found.seeds, found.differences) == ((0,), (3.0,))  # the mean of 2 and 4
    assert (found.unpaired, found.several) == (2, True)


def test_runs_of_the_same_block_are_averaged() -> None:
    found = pairs([((0,), 1.0), ((0,), 2.0)], [((0,), 0.5)])
    assert (found.differences, found.several) == ((1.0,), True)


def test_equal_steps_of_accuracy_are_equal_differences() -> None:
    baseline = [k / 10_000 for k in range(9_700, 9_720)]
    found = pairs([((s,), x + 0.001) for s, x in enumerate(baseline)], [((s,), x) for s, x in enumerate(baseline)])
    assert set(found.differences) == {0.001}


def test_nothing_in_common() -> None:
    assert pairs([], [((0,), 1.0)]).differences == ()


@pytest.mark.parametrize(
    ("keys", "within", "expected"),
    [
        (["norm"], ["init", "optimizer.lr"], ["init", "optimizer.lr"]),
        (["norm"], ["norm.groups", "init"], ["init"]),
        (["optimizer"], ["optimizer.lr"], []),
    ],
)
def test_arguments_of_a_compared_axis_have_no_counterpart(
    keys: list[str], within: list[str], expected: list[str]
) -> None:
    assert shared(keys, within) == expected


FIGURES = st.dictionaries(st.integers(0, 9), st.floats(0, 1), max_size=10)


@settings(deadline=None)
@given(FIGURES, FIGURES, st.randoms())
def test_order_changes_nothing_and_sides_are_opposite(
    left: dict[int, float], right: dict[int, float], shuffler: random.Random
) -> None:
    one, other = [((s,), x) for s, x in left.items()], [((s,), x) for s, x in right.items()]
    found = pairs(one, other)
    assert found.seeds == tuple(sorted(left.keys() & right.keys()))
    assert found.unpaired == len(left.keys() ^ right.keys())
    for seed, difference in zip(found.seeds, found.differences, strict=True):
        assert math.isclose(difference, left[seed] - right[seed], rel_tol=1e-10, abs_tol=1e-14)
    shuffler.shuffle(one)
    assert pairs(one, other) == found
    assert [-x for x in pairs(other, one).differences] == list(found.differences)
