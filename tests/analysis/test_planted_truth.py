"""The simulations of `scripts/simulate`, with few tables: false verdicts, coverage, power, luck, plans."""

import math

import numpy as np
import pytest

import simulate
from regbench.analysis import power


def at_most(share: float, tables: int) -> float:
    """The largest share that so many tables may show if the true one is this: 2.6 standard errors more."""
    return share + 2.6 * math.sqrt(share * (1 - share) / tables)


@pytest.mark.slow
@pytest.mark.parametrize("agreement", [0.5, 1.0])
def test_more_values_to_choose_from_win_no_more_often_than_they_lose(agreement: float) -> None:
    found = simulate.unequal_budgets(250, agreement=agreement)
    better, worse = found["tuned: more values called better"], found["tuned: more values called worse"]
    assert max(better, worse) <= at_most(0.025, 250)
    assert better + worse <= at_most(0.05, 250)


@pytest.mark.slow
def test_the_usual_way_favours_the_larger_grid() -> None:
    found = simulate.unequal_budgets(100, (30, 1))
    assert found["the usual way: more values called better"] > 0.08 > at_most(0.025, 100)


@pytest.mark.parametrize(("rows", "heavy"), [(1, False), (4, False), (4, True)])
def test_looking_often_gives_few_false_verdicts(rows: int, heavy: bool) -> None:
    found = simulate.looking_often(600, rows, heavy)
    assert found["anytime: any false verdict"] <= at_most(0.05, 600)
    assert found["t test at six looks"] > 0.08, "so the looks matter"


@pytest.mark.slow
def test_confidence_sequences_hold_the_truth_at_all_numbers_of_seeds() -> None:
    found = simulate.coverage(80)
    assert found["held at all six looks"] >= 0.95 - 2.6 * math.sqrt(0.95 * 0.05 / 80)
    assert 1.2 < found["width at 40 seeds, of t"] < 2


@pytest.mark.parametrize(("effect", "least", "seeds"), [(0.8, 0.93, 20), (1.2, 0.99, 12.5), (2.0, 1.0, 8.5)])
def test_effects_are_found_early(effect: float, least: float, seeds: float) -> None:
    found = simulate.finding(400, effect)
    assert found["anytime, up to 40 seeds"] >= least
    assert found["seeds on average"] <= seeds


def test_equivalence_is_found_within_the_margin_and_not_at_its_edge() -> None:
    assert simulate.agreeing(400, 1.0, 0.0)["called equivalent"] > 0.97
    assert simulate.agreeing(400, 1.0, 1.0)["called equivalent"] <= at_most(0.05, 400)


@pytest.mark.parametrize("spread", [0.0, math.sqrt(0.1)])
def test_shrinking_takes_away_most_of_the_luck_and_the_footer_tells_its_size(spread: float) -> None:
    found = simulate.first_of_many(60, 10, spread)
    assert found["mean"] > 0.7
    assert abs(found["shrunk"]) < 0.5 * found["mean"]
    assert found["the footer says"] == pytest.approx(found["mean"], abs=0.45)


@pytest.mark.parametrize(("seeds", "rows"), [(6, 1), (8, 4), (10, 4), (20, 3)])
def test_the_smallest_difference_of_a_plan_is_found_in_80_of_100(seeds: int, rows: int) -> None:
    tables = 800 if seeds <= 10 else 60  # beyond 13 seeds the test draws patterns, which takes long
    assert simulate.planned(tables, seeds, rows)["found"] == pytest.approx(0.8, abs=3 * math.sqrt(0.16 / tables))


def test_too_few_seeds_show_no_difference() -> None:
    assert power.smallest_difference(5, 0.05) is None
    assert power.smallest_difference(7, 0.0125) is None


def test_a_spread_is_in_the_middle_of_those_of_rows() -> None:
    draw = np.random.default_rng(0)
    found = [power.spread(draw.normal(0, 2, (5, 3)).tolist()) for _ in range(400)]
    assert np.median([spread for spread in found if spread]) == pytest.approx(2, rel=0.1)
    assert power.spread([[0.1, 0.1], []]) is None
