"""Planted truth: what the intervals cover, how often verdicts are wrong, and how often they find what is there."""

import gc

import numpy as np
import pytest
from numpy.typing import NDArray
from statsmodels.stats.power import TTestPower

from regbench.analysis import inference, verdict
from regbench.analysis.corrections import Correction
from regbench.analysis.intervals import estimate
from regbench.records.metrics import METRICS

pytestmark = pytest.mark.slow

ACC = METRICS["test_acc"]
TABLES = 1500
SEEDS = 8  # 256 sign patterns: the simulations take seconds, not minutes
ROUNDING = 1e-4  # an image of 10,000


@pytest.fixture(autouse=True)
def _no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """multipletests collects garbage at each call, which takes longer than all the rest of a table."""
    monkeypatch.setattr(gc, "collect", lambda: 0)


def differences(
    effects: list[float], tables: int = TABLES, seeds: int = SEEDS, sd: float = 0.002
) -> NDArray[np.float64]:
    """[tables, rows, seeds] of differences from one baseline, whose own noise all rows of a table share."""
    draw = np.random.default_rng(len(effects) * 1000 + seeds)
    own = draw.normal(0, sd, (tables, len(effects), seeds))
    shared = draw.normal(0, sd, (tables, 1, seeds))
    return np.round((own - shared + np.array(effects)[:, None]) / ROUNDING) * ROUNDING


def wrong(values: NDArray[np.float64], correction: Correction = "holm") -> NDArray[np.bool_]:
    """[tables, rows]: whether a row would be called better or worse."""
    tables, rows, seeds = values.shape
    ps = inference.sign_flip(values.reshape(-1, seeds)).reshape(tables, rows)
    return np.array([[p <= inference.ALPHA for p in inference.adjusted(row.tolist(), correction)] for row in ps])


def verdicts(table: NDArray[np.float64], margin: float | None) -> list[str]:
    baseline = [((seed,), 0.97) for seed in range(table.shape[1])]
    rows = [[((seed,), 0.97 + x) for seed, x in enumerate(row)] for row in table.tolist()]
    runs = [verdict.Runs(row) for row in (baseline, *rows)]
    found = verdict.compared(runs, [0] * len(runs), ACC, margin, "holm")
    return [comparison.verdict for comparison in found[1:]]


@pytest.mark.parametrize("seeds", [3, 5, 10, 20])
def test_intervals_of_differences_cover_the_truth(seeds: int) -> None:
    values = differences([0.003], 1200, seeds)[:, 0]
    intervals = [estimate(row).interval for row in values.tolist()]
    covered = np.mean([interval is not None and interval[0] <= 0.003 <= interval[1] for interval in intervals])
    assert covered == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("correction", ["holm", "none"])
def test_false_verdicts_among_true_nulls(rows: int, correction: Correction) -> None:
    """Holm keeps the share of families with any false one at 5 %; without a correction four rows have far more."""
    share = wrong(differences([0.0] * rows, TABLES), correction).any(axis=1).mean()
    if correction == "none" and rows > 1:
        assert share > 0.08
    else:
        assert share <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / TABLES)


def test_false_verdicts_among_the_nulls_of_a_mixed_family() -> None:
    found = wrong(differences([0.0, 0.0, 0.02, -0.02], TABLES))
    assert found[:, :2].any(axis=1).mean() <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / TABLES)
    assert found[:, 2:].all()


def test_benjamini_hochberg_keeps_the_share_of_false_among_the_found() -> None:
    found = wrong(differences([0.0, 0.0, 0.004, -0.004], TABLES), "bh")
    false, all_found = found[:, :2].sum(axis=1), found.sum(axis=1)
    assert np.mean(false / np.maximum(all_found, 1)) <= 0.05


@pytest.mark.parametrize("effect", [0.5, 0.8, 1.2])
def test_planted_effects_are_found_with_the_power_that_statsmodels_predicts(effect: float) -> None:
    """On normal noise, whose spread here is √2·0.002, signs tell about as much as t at the level that they reach."""
    reached = np.floor(inference.ALPHA / inference.smallest_p(SEEDS)) * inference.smallest_p(SEEDS)
    found = wrong(differences([effect * 0.002 * np.sqrt(2)], TABLES)).mean()
    assert found == pytest.approx(TTestPower().power(effect, SEEDS, reached), abs=0.05)


def test_verdicts_have_the_right_sign_and_equivalence_is_found() -> None:
    tables = differences([0.008, -0.008, 0.0], 12, sd=0.0008)
    for table in tables:
        assert verdicts(table, margin=0.004) == ["better", "worse", "equivalent"]


@pytest.mark.parametrize("effect", [0.0, 0.3])
def test_planted_equivalences_are_called_so(effect: float) -> None:
    """By as many seeds as are said to decide it, with the power of 80 % that was planned with, or somewhat more."""
    spread = 0.002 * np.sqrt(2)
    seeds = inference.seeds_to_agree(effect, 1.2, inference.ALPHA)
    assert seeds is not None
    values = differences([effect * spread], TABLES, seeds)[:, 0]
    found = np.mean([inference.equivalence(row, 1.2 * spread) <= inference.ALPHA for row in values.tolist()])
    assert 0.78 <= found <= 0.93


def test_equivalence_is_claimed_falsely_at_most_in_5_of_100() -> None:
    """At the edge of the margin, where it is hardest not to."""
    values = differences([0.003], TABLES)[:, 0]
    share = np.mean([inference.equivalence(row, 0.003) <= inference.ALPHA for row in values.tolist()])
    assert share <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / TABLES)


def test_the_number_of_seeds_that_would_decide_does() -> None:
    seeds = inference.seeds_to_differ(1.3, inference.ALPHA)
    assert seeds is not None
    found = wrong(differences([1.3 * 0.002 * np.sqrt(2)], TABLES, seeds)).mean()
    assert found == pytest.approx(0.8, abs=0.06)
