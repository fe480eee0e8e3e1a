"""Verdicts that are valid at any number of seeds: the game against numbers worked out another way, and its limits."""

import math
from pathlib import Path

import numpy as np
import pytest

import regbench
from golden.records import NORMS, record, write
from regbench.analysis import anytime, verdict
from regbench.analysis.summary import compare
from regbench.analysis.table import Against
from regbench.errors import UserError
from regbench.records.frame import load
from regbench.records.metrics import METRICS
from regbench.tables.cells import cells
from regbench.tables.footer import footer
from regbench.tables.formats import to_html, to_latex, to_markdown

ACC = METRICS["test_acc"]


def money(differences: list[float], stake: float) -> float:
    """The product of the payments at one stake, one after the other."""
    total, squares = 1.0, 0.0
    for number, difference in enumerate(differences, start=1):
        squares += difference**2
        total *= 2 / (1 + math.exp(-2 * stake * difference / math.sqrt(squares / number)))
    return total


def test_the_money_is_the_mean_over_the_stakes() -> None:
    values = [0.3, -0.1, 0.8, 0.2, -0.4]
    expected = [np.mean([money(values[:n], stake) for stake in (0.2, 0.4, 0.8, 1.6, 8.0)]) for n in range(1, 6)]
    assert anytime.evidence(np.array([values]))[0] == pytest.approx(expected)


def test_it_is_fair_given_the_sizes_whatever_they_are() -> None:
    """Over all patterns of signs its mean is 1 at each seed: the money of a martingale."""
    sizes = np.array([0.3, 5.0, 0.01, 0.7, 0.7, 2.0])
    patterns = 1 - 2 * (np.arange(64)[:, None] >> np.arange(6) & 1)
    assert anytime.evidence(patterns * sizes).mean(axis=0) == pytest.approx(np.ones(6))


def test_p_never_rises_while_seeds_of_one_sign_come() -> None:
    values = [0.2, 0.3, 0.1, 0.25, 0.2, 0.3, 0.15, 0.2]
    ps = [anytime.two_sided(values[:n]) for n in range(2, 9)]
    assert ps == sorted(ps, reverse=True)
    assert ps[-1] < 0.05 < ps[2]


def test_equal_and_absent_differences_decide_nothing() -> None:
    assert anytime.two_sided([0.0] * 10) == 1.0
    assert anytime.sequence([0.1] * 10) is None
    assert anytime.tests({0: [0.5], 1: []}) == {}
    assert anytime.equivalence([0.0] * 10, 0.1) < 0.05


def test_the_sequence_ends_where_the_two_sided_test_does() -> None:
    values = np.random.default_rng(1).normal(0.5, 1, 20)
    ends = anytime.sequence(values.tolist())
    assert ends is not None and ends[0] < values.mean() < ends[1]
    for end, inward in zip(ends, (1e-4, -1e-4), strict=True):
        assert anytime.two_sided((values - end - inward).tolist()) > 0.05
        assert anytime.two_sided((values - end + inward).tolist()) <= 0.05


def test_too_few_seeds_have_no_interval() -> None:
    assert anytime.sequence([0.1, 0.2, 0.15, 0.12]) is None


def test_the_number_of_seeds_that_would_decide_is_reached_in_most_futures() -> None:
    draw = np.random.default_rng(2)
    drawn = draw.normal(0, 1, 8)
    none = (drawn - drawn.mean()).tolist()
    assert anytime.seeds_to_decide(none, None, 0.05) is None
    agreed, differ = anytime.seeds_to_decide(none, 2.0, 0.05), anytime.seeds_to_decide((drawn + 2).tolist(), None, 0.05)
    assert agreed is not None and differ is not None
    assert 9 <= differ <= 14 and 9 <= agreed <= 20


def rows(*figures: list[float]) -> list[verdict.Runs]:
    return [
        verdict.Runs(
            [((seed,), value) for seed, value in enumerate(row) if value == value],
            [((seed,), value != value) for seed, value in enumerate(row)],
        )
        for row in figures
    ]


def test_verdicts_directions_and_the_family() -> None:
    noise = np.random.default_rng(3).normal(0, 0.001, (4, 12))
    base = [0.9] * 12
    figures = [base, (0.91 + noise[0]).tolist(), (0.89 + noise[1]).tolist(), (0.9 + noise[2]).tolist()]
    found = verdict.compared(rows(*figures), [0] * 4, ACC, 0.005, "holm", anytime=True)
    assert [comparison.verdict for comparison in found] == ["baseline", "better", "worse", "equivalent"]
    better = found[1]
    assert better.half_width is None and better.ends == better.sequence
    assert better.p is not None and better.p_adjusted == pytest.approx(min(1, 3 * better.p), rel=0.5)


def test_runs_that_diverge_are_tested_at_any_number_of_seeds_too() -> None:
    lost = [math.nan] * 12
    found = verdict.compared(rows([0.9] * 12, lost), [0, 0], ACC, None, "holm", anytime=True)
    assert found[1].verdict == "diverged"
    assert found[1].p_diverged == pytest.approx(anytime.two_sided([1.0] * 12))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    noise = np.random.default_rng(4).normal(0, 0.001, (2, 12))
    for seed in range(12):
        write(tmp_path, record(test_acc=round(0.95 + noise[0, seed], 4), seed=seed))
        write(tmp_path, record(test_acc=round(0.953 + noise[1, seed], 4), seed=seed, norm=NORMS["batch"]))
    return tmp_path


def test_the_table_says_what_its_verdicts_are_valid_for(study: Path) -> None:
    fixed, free = (compare(load([study]), against=Against(["norm=none"], anytime=a)) for a in (False, True))
    assert "p is for a number of seeds fixed beforehand." in footer(fixed, explain=False)
    short = footer(free, explain=False)
    assert "p, interval and verdicts are valid at any number of seeds, however often you look and add some." in short
    assert any("95 % confidence sequence" in line for line in short)
    assert "interval" in cells([free]).headings and "±" not in cells([free]).headings
    for write_format in (to_markdown, to_latex, to_html):
        assert "interval" in write_format([free])


def test_python_has_the_same_objects(study: Path) -> None:
    frame = regbench.compare(regbench.load(study), baseline="norm=none", anytime=True).set_index("norm")
    row = compare(load([study]), against=Against(["norm=none"], anytime=True)).rows[0]
    assert row.comparison is not None and row.comparison.sequence is not None
    assert (frame.loc["batch", "diff_ci95_low"], frame.loc["batch", "diff_ci95_high"]) == row.comparison.sequence
    assert frame.loc["batch", "p"] == row.comparison.p
    assert frame["anytime"].all()
    with pytest.raises(UserError, match=r"compare\(anytime=…\): needs a baseline"):
        regbench.compare(regbench.load(study), anytime=True)
