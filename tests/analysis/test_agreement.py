"""The same table by other programs."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

import regbench
from golden.records import HERE as GOLDEN

DIGITS = 1e-10
T_DIGITS = DIGITS if tuple(map(int, scipy.__version__.split(".")[:2])) >= (1, 17) else 1e-8  # of older t quantiles
BASE = {"norm": "none"}


@pytest.fixture(scope="module")
def wide() -> pd.DataFrame:
    """Seeds by norms, only seeds that all norms have."""
    runs = regbench.load(GOLDEN / "verdicts")
    done = runs[runs["status"] == "completed"]
    return done.pivot(index="seed", columns="norm", values="best_val.test_acc").astype(float).dropna()


@pytest.fixture(scope="module")
def ours(wide: pd.DataFrame) -> pd.DataFrame:
    runs = regbench.load(GOLDEN / "verdicts")
    runs = runs[runs["seed"].isin(wide.index)]
    return regbench.compare(runs, baseline=BASE, margin=0.1).set_index("norm")


@pytest.mark.slow  # its imports take seconds
def test_means_are_those_of_autorank_and_rliable(wide: pd.DataFrame, ours: pd.DataFrame) -> None:
    from autorank import autorank
    from rliable import metrics as rliable_metrics

    ranked = autorank(wide, force_mode="parametric", approach="frequentist", verbose=False).rankdf
    for norm in wide:
        assert ours.loc[norm, "mean"] == pytest.approx(ranked.loc[norm, "mean"], rel=DIGITS)
        assert ours.loc[norm, "mean"] == pytest.approx(
            rliable_metrics.aggregate_mean(wide[[norm]].to_numpy()), rel=DIGITS
        )
        sem = wide[norm].std(ddof=1) / np.sqrt(len(wide))
        assert ours.loc[norm, "ci95"] == pytest.approx(stats.t.ppf(0.975, len(wide) - 1) * sem, rel=T_DIGITS)


@pytest.mark.slow  # its import takes seconds
def test_seeds_won_are_rliables_probability_of_improvement_seed_by_seed(wide: pd.DataFrame, ours: pd.DataFrame) -> None:
    """Its estimate over one seed each, averaged over the seeds; a tie is half there."""
    from rliable import metrics as rliable_metrics

    for norm in wide.columns.drop("none"):
        one = [
            rliable_metrics.probability_of_improvement(np.array([[x]]), np.array([[y]]))
            for x, y in zip(wide[norm], wide["none"], strict=True)
        ]
        row = ours.loc[norm]
        assert (row["won"] + row["tied"] / 2) / row["pairs"] == pytest.approx(np.mean(one), rel=DIGITS)


def test_differences_are_those_of_scipy(wide: pd.DataFrame, ours: pd.DataFrame) -> None:
    others = list(wide.columns.drop("none"))
    ps = {}
    for norm in others:
        found = stats.ttest_rel(wide[norm], wide["none"])
        interval = found.confidence_interval()
        row = ours.loc[norm]
        assert row["diff"] == pytest.approx((wide[norm] - wide["none"]).mean(), rel=DIGITS, abs=1e-15)
        assert (row["diff_ci95_low"], row["diff_ci95_high"]) == pytest.approx(
            (interval.low, interval.high), rel=T_DIGITS
        )
        images = [np.rint(10_000 * wide[column]).astype(int) for column in (norm, "none")]  # ties are ties
        ps[norm] = stats.permutation_test(
            images,
            lambda x, y: np.mean(x - y),
            permutation_type="samples",
            n_resamples=np.inf,
        ).pvalue
        assert row["p"] == pytest.approx(ps[norm], rel=DIGITS)
    ordered = sorted(others, key=lambda norm: ps[norm])
    running = 0.0
    for place, norm in enumerate(ordered):  # Holm's steps
        running = min(1.0, max(running, (len(others) - place) * ps[norm]))
        assert ours.loc[norm, "p_adjusted"] == pytest.approx(running, rel=DIGITS)


def test_equivalence_and_the_correction_are_those_of_statsmodels(wide: pd.DataFrame, ours: pd.DataFrame) -> None:
    others = list(wide.columns.drop("none"))
    ps = [ttost_paired(wide[norm], wide["none"], -0.001, 0.001)[0] for norm in others]
    assert ours.loc[others, "p_equivalence"].tolist() == pytest.approx(ps, rel=DIGITS)
    for name in ("p", "p_equivalence"):
        adjusted = multipletests(ours.loc[others, name].astype(float), method="holm")[1]
        assert ours.loc[others, f"{name}_adjusted"].tolist() == pytest.approx(adjusted, rel=DIGITS)


def test_hedges_g_is_the_t_of_scipy_per_seed_without_its_bias(wide: pd.DataFrame, ours: pd.DataFrame) -> None:
    n, m = len(wide), len(wide) - 1
    unbiased = math.gamma(m / 2) / (math.sqrt(m / 2) * math.gamma((m - 1) / 2))
    for norm in wide.columns.drop("none"):
        t = stats.ttest_rel(wide[norm], wide["none"]).statistic
        assert ours.loc[norm, "hedges_g"] == pytest.approx(unbiased * t / math.sqrt(n), rel=1e-8)


@pytest.mark.slow  # its import takes seconds
def test_cohens_d_of_autorank_is_the_difference_over_another_spread(wide: pd.DataFrame, ours: pd.DataFrame) -> None:
    """It divides by the spread of the rows, and Hedges g by that of the paired differences."""
    from autorank import autorank

    ranked = autorank(wide[["batch", "none"]], force_mode="parametric", approach="frequentist", verbose=False).rankdf
    spread = math.sqrt((wide["batch"].var(ddof=1) + wide["none"].var(ddof=1)) / 2)
    assert abs(ranked["effect_size"]).max() == pytest.approx(ours.loc["batch", "diff"] / spread, rel=DIGITS)


def test_api_and_csv_are_the_same_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)
    found = regbench.compare(regbench.load("verdicts"), baseline="norm=none", margin=0.1)
    expected = pd.read_csv(GOLDEN / "verdicts.csv")
    pd.testing.assert_frame_equal(found.convert_dtypes(), expected.convert_dtypes(), check_dtype=False)
    assert found.attrs["notes"][0] == "test_acc in %, at the epoch with the best validation loss, higher is better."
