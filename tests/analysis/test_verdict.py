"""From rows of figures to verdicts: baselines, families, margins, and the seeds that would decide."""

import math
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.records import CONFIG, INITS, NORMS, record, write
from regbench.analysis import baseline, divergence, inference, verdict
from regbench.analysis.corrections import Correction
from regbench.analysis.groups import Values
from regbench.analysis.summary import compare
from regbench.analysis.table import Against, Table
from regbench.errors import UserError
from regbench.records.frame import load
from regbench.records.metrics import METRICS
from regbench.tables.footer import footer

ACC, LOSS = METRICS["test_acc"], METRICS["test_loss"]
SGD = {"name": "sgd", "lr": 0.1, "momentum": 0.9}


def rows(*figures: list[float]) -> list[verdict.Runs]:
    """Rows of figures by seed; a NaN is a run that diverged."""
    return [
        verdict.Runs(
            [((seed,), value) for seed, value in enumerate(row) if value == value],
            [((seed,), value != value) for seed, value in enumerate(row)],
        )
        for row in figures
    ]


def judged(*figures: list[float], metric: Any = ACC, margin: float | None = None, **settings: Any) -> list[str]:
    """Verdicts of rows against the first."""
    correction = settings.get("correction", "none")
    found = verdict.compared(rows(*figures), [0] * len(figures), metric, margin, correction)
    assert found[0].verdict == "baseline"
    return [comparison.verdict for comparison in found[1:]]


def noise(n: int, mean: float, sd: float, seed: int) -> list[float]:
    values = np.random.default_rng(seed).normal(0, sd, n)
    return (0.97 + mean + values - values.mean()).tolist()


BASE = [0.97] * 10


def test_direction_decides_between_better_and_worse() -> None:
    up, down = noise(10, 0.01, 0.002, 1), noise(10, -0.01, 0.002, 2)
    assert judged(BASE, up, down) == ["better", "worse"]
    assert judged(BASE, up, down, metric=LOSS) == ["worse", "better"]


def test_within_the_margin_is_equivalent_even_if_it_is_real() -> None:
    tiny = noise(10, 0.0005, 0.0001, 1)
    assert judged(BASE, tiny) == ["better"]
    assert judged(BASE, tiny, margin=0.001) == ["equivalent"]
    assert judged(BASE, tiny, margin=0.0004) == ["better"]


def test_little_evidence_is_undecided() -> None:
    wide = noise(10, 0.001, 0.01, 1)
    assert judged(BASE, wide) == ["undecided"]
    assert judged(BASE, wide, margin=0.002) == ["undecided"]


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_five_pairs_decide_nothing_however_large_the_difference(n: int) -> None:
    assert judged([0.5] * n, [0.9] * n) == ["undecided"]


def test_six_pairs_decide_one_comparison_but_not_two() -> None:
    up = noise(6, 0.1, 0.001, 1)
    assert judged(BASE[:6], up, correction="holm") == ["better"]
    assert judged(BASE[:6], up, noise(6, 0.1, 0.001, 2), correction="holm") == ["undecided", "undecided"]


def test_equal_figures_are_no_difference() -> None:
    (comparison,) = verdict.compared(rows(BASE, BASE), [0, 0], ACC, None, "holm")[1:]
    assert (comparison.p, comparison.half_width, comparison.tied, comparison.won) == (1.0, None, 10, 0)
    assert (comparison.verdict, comparison.seeds, comparison.hedges_g) == ("undecided", None, None)
    assert judged(BASE, BASE, margin=0.001) == ["equivalent"]


def test_constant_differences_are_tested_by_signs_not_by_t() -> None:
    shifted = [x + 0.001 for x in BASE]
    (comparison,) = verdict.compared(rows(BASE, shifted), [0, 0], ACC, None, "holm")[1:]
    assert comparison.p == inference.smallest_p(10)  # ttest_rel says 0.0
    assert (comparison.half_width, comparison.verdict) == (None, "better")


def test_without_pairs_there_is_nothing_to_say() -> None:
    sides = [verdict.Runs([((seed,), 0.9)]) for seed in (0, 1)]
    found = verdict.compared([*sides, verdict.Runs([])], [0, 0, 0], ACC, 0.1, "holm")
    for comparison in found[1:]:
        assert (comparison.verdict, comparison.pairs) == ("undecided", 0)
        assert comparison.difference is comparison.p is comparison.p_equivalence is comparison.won_share is None


def test_seeds_that_would_decide() -> None:
    values = noise(10, 0.004, 0.009, 1)
    (comparison,) = verdict.compared(rows(BASE, values), [0, 0], ACC, None, "none")[1:]
    effect = 0.004 / np.std(values, ddof=1)
    assert comparison.verdict == "undecided"
    assert comparison.seeds == max(11, inference.seeds_to_differ(effect, 0.05) or 0)
    (few,) = verdict.compared(rows(BASE[:3], noise(3, 0.1, 0.001, 1)), [0, 0], ACC, None, "none")[1:]
    assert few.seeds == 6
    even = noise(10, 0.0, 0.006, 1)
    (close,) = verdict.compared(rows(BASE, even), [0, 0], ACC, 0.002, "none")[1:]
    assert close.seeds == inference.seeds_to_agree(0.0, 0.002 / np.std(even, ddof=1), 0.05)


@pytest.mark.parametrize("correction", ["holm", "bh", "none"])
def test_all_rows_are_one_family(correction: Correction) -> None:
    figures = [BASE, *(noise(10, 0.002 * k, 0.005, k) for k in range(5))]
    found = verdict.compared(rows(*figures), [0] * 6, ACC, None, correction)[1:]
    ps = [comparison.p for comparison in found if comparison.p is not None]
    assert [c.p_adjusted for c in found] == inference.adjusted(ps, correction)


LOST = [math.nan] * 6


def test_a_row_that_diverges_on_every_seed_is_said_to_and_tested() -> None:
    found = verdict.compared(rows(BASE[:6], LOST, noise(6, 0.1, 0.001, 1)), [0, 0, 0], ACC, None, "holm")
    assert [comparison.verdict for comparison in found] == ["baseline", "diverged", "undecided"]
    assert (found[1].p_diverged, found[1].p, found[1].difference) == (0.03125, None, None)
    assert found[1].p_diverged_adjusted == found[2].p_adjusted == 0.0625, "both tests are one family"


def test_a_baseline_that_diverges_is_compared_by_its_diverged_runs() -> None:
    found = verdict.compared(rows(LOST, BASE[:6]), [0, 0], ACC, None, "holm")
    assert [comparison.verdict for comparison in found] == ["baseline", "diverges less"]
    assert (found[1].p_diverged_adjusted, found[1].pairs) == (0.03125, 0)


def test_some_diverged_runs_are_tested_if_they_could_prove_anything() -> None:
    some = [math.nan] * 7 + noise(3, 0.1, 0.001, 1)
    (more,) = verdict.compared(rows(BASE, some), [0, 0], ACC, None, "holm")[1:]
    assert (more.verdict, more.p_diverged) == ("diverges more", 0.015625)
    (few,) = verdict.compared(rows(BASE, [math.nan] * 5 + noise(5, 0.1, 0.001, 1)), [0, 0], ACC, None, "holm")[1:]
    assert (few.verdict, few.p_diverged, few.p_adjusted) == ("undecided", None, few.p)
    (both,) = verdict.compared(rows(LOST, LOST), [0, 0], ACC, None, "holm")[1:]
    assert (both.verdict, both.p_diverged) == ("diverged", None)


def test_divergence_is_mcnemars_exact_test() -> None:
    """7 seeds diverge with the row alone, 1 with the baseline alone, 1 with both: binomial of 1 in 8, doubled."""
    row, base = [True] * 7 + [False, True, False], [False] * 7 + [True, True, False]
    sides = [[((seed,), end) for seed, end in enumerate(side)] for side in (row, base)]
    assert divergence.test(*sides) == (pytest.approx(2 * (1 + 8) / 2**8), 1)
    assert divergence.test(*reversed(sides)) == (pytest.approx(2 * (1 + 8) / 2**8), -1)


def groups(*values: dict[str, Any]) -> list[Values]:
    return list(values)


def test_baseline_differs_in_the_named_key_only() -> None:
    found = groups(
        {"norm": "none", "init": "a"},
        {"norm": "batch", "init": "a"},
        {"norm": "batch", "init": "b"},
        {"norm": "none", "init": "b"},
        {"norm": "batch", "init": "c"},
    )
    assert baseline.baselines(found, {"norm": "none"}) == [0, 0, 3, 3, None]
    assert baseline.baselines(found, {"norm": "none", "init": "b"}) == [3] * 5


def test_arguments_of_the_compared_option_need_not_agree() -> None:
    found = groups({"norm": "none"}, {"norm": "group", "norm.groups": 4}, {"norm": "group", "norm.groups": 8})
    assert baseline.baselines(found, {"norm": "none"}) == [0, 0, 0]
    with pytest.raises(UserError, match=r"--baseline norm=group: 2 rows have it. Add one of norm.groups"):
        baseline.baselines(found, {"norm": "group"})
    assert baseline.baselines(found, {"norm": "group", "norm.groups": "8"}) == [2, 2, 2]


@pytest.mark.parametrize(
    ("value", "text"), [(0.001, "1e-3"), (None, "null"), (True, "true"), ((64, 32), "[64, 32]"), (1, "1.0")]
)
def test_values_as_on_the_command_line(value: Any, text: str) -> None:
    assert baseline.baselines(groups({"key": value}, {"key": "x"}), {"key": text}) == [0, 0]


def test_specification() -> None:
    assert baseline.spec(["norm=none,init=xavier", "model.hidden=[64,32]"]) == {
        "norm": "none",
        "init": "xavier",
        "model.hidden": "[64,32]",
    }


@pytest.mark.parametrize("text", ["norm", "=none", "norm=", "norm=none,,init=a", ""])
def test_no_key_and_value(text: str) -> None:
    with pytest.raises(UserError, match="must be KEY=VALUE, like norm=none"):
        baseline.spec([text])


def table(tmp_path: Path, *records: dict[str, Any], **arguments: Any) -> Table:
    for number, content in enumerate(records):
        write(tmp_path, content, f"run{number:03}")
    against = Against(arguments.pop("baseline"), arguments.pop("margin", None), arguments.pop("correction", "holm"))
    return compare(load([tmp_path]), arguments.pop("by", ()), against=against, **arguments)


def sweep(norms: dict[str, float], seeds: int, **changes: Any) -> list[dict[str, Any]]:
    draw = random.Random(1)
    return [
        record(test_acc=0.9 + shift + draw.gauss(0, 0.0005), norm=NORMS[norm], seed=seed, **changes)
        for norm, shift in norms.items()
        for seed in range(seeds)
    ]


def test_margin_is_in_percentage_points(tmp_path: Path) -> None:
    found = table(tmp_path, *sweep({"none": 0, "batch": 0.0001}, 8), baseline=["norm=none"], margin=0.15)
    assert found.contrast and found.contrast.margin == pytest.approx(0.0015)
    assert {row.comparison.verdict for row in found.rows if row.comparison} == {"baseline", "equivalent"}
    assert any("within ± 0.15 percentage points" in line for line in footer(found))


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        ("dropout=0", "--baseline dropout=0: all rows have it, and nothing is compared. Name one of norm"),
        ("norm=none,norm=batch", "--baseline norm=batch: norm=none is given too. Name each key once"),
        ("seed=0", "--baseline seed=0: rows are compared seed by seed. Name another key, like norm=none"),
        ("default,norm=none", "must be KEY=VALUE, like norm=none. The default run stands alone: --baseline default"),
    ],
)
def test_a_baseline_that_compares_nothing_is_refused(baseline: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        table(tmp_path, *sweep({"none": 0, "batch": 0}, 2), baseline=[baseline])


def test_a_baseline_of_a_single_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"all rows have it, and nothing is compared. No other key differs"):
        table(tmp_path, *sweep({"none": 0}, 2), baseline=["norm=none"])


def test_a_baseline_without_a_partner_is_refused(tmp_path: Path) -> None:
    runs = sweep({"none": 0}, 2, init=INITS["xavier"]) + sweep({"batch": 0}, 2)
    runs += sweep({"layer": 0}, 2, dropout=0.5)
    with pytest.raises(UserError, match=r"no other row has the same .*, and nothing is compared. Name these too, or"):
        table(tmp_path, *runs, baseline=["norm=none"], by=["norm", "init", "dropout"])


def test_what_differs_beside_the_key_is_said(tmp_path: Path) -> None:
    other = CONFIG["optimizer"] | {"lr": 0.01}
    runs = sweep({"none": 0}, 6) + sweep({"batch": 0.01}, 6, optimizer=other)
    found = table(tmp_path, *runs, baseline=["norm=none"], by=["norm"])
    assert [row.comparison and row.comparison.pairs for row in found.rows] == [6, 0]
    assert "Rows differ from their baseline in optimizer.lr too: diff may come from that." in footer(found)
    assert "optimizer.lr goes with norm: 0.001 at none, 0.01 at batch." in footer(found, explain=False)


def test_no_warning_of_what_differs_between_rows_that_are_not_compared(tmp_path: Path) -> None:
    """Two pairs with rates of their own: within each pair the rate is the same."""
    other, wide = CONFIG["optimizer"] | {"lr": 0.01}, {"name": "mlp", "hidden": [512, 512]}
    runs = sweep({"none": 0, "batch": 0.01}, 6) + sweep({"none": 0, "batch": 0.01}, 6, optimizer=other, model=wide)
    found = table(tmp_path, *runs, baseline=["norm=none"], by=["norm", "model.hidden"])
    assert not any("too: diff may" in line for line in footer(found))
    assert "optimizer.lr goes with model.hidden: 0.001 at [256,256], 0.01 at [512,512]." in footer(found)


def test_partners_share_what_varies_within_rows(tmp_path: Path) -> None:
    runs = [r for init in INITS for r in sweep({"none": 0, "batch": 0.01}, 6, init=INITS[init])]
    found = table(tmp_path, *runs, baseline=["norm=none"], by=["norm"])
    comparison = found.rows[0].comparison
    assert comparison and (comparison.pairs, comparison.several, comparison.verdict) == (6, True, "better")
    assert any("paired by seed and init" in line for line in footer(found))
    assert "A seed with several runs in a row counts once, by the mean of its differences." in footer(found)


def test_optimizers_with_their_own_arguments(tmp_path: Path) -> None:
    runs = [
        *sweep({"none": 0}, 8),
        *sweep({"none": 0.01}, 8, optimizer=SGD),
        *sweep({"none": 0.02}, 8, optimizer=SGD | {"lr": 0.2}),
    ]
    found = table(tmp_path, *runs, baseline=["optimizer=adam"])
    assert [row.comparison and row.comparison.verdict for row in found.rows] == ["better", "better", "baseline"]
    by_option = table(tmp_path / "again", *runs, baseline=["optimizer=adam"], by=["optimizer"])
    comparison = by_option.rows[0].comparison
    assert comparison and comparison.pairs == 8
    assert comparison.difference == pytest.approx(0.015, abs=0.001)


def test_footer_names_the_number_of_seeds_that_could(tmp_path: Path) -> None:
    three = table(tmp_path / "3", *sweep({"none": 0, "batch": 0.01, "layer": 0.01}, 3), baseline=["norm=none"])
    expected = "3 pairs: no exact paired test can reach 0.05, its least p is 0.25; 6 pairs can "
    assert f"{expected}(7 with a correction for 2 tests)." in footer(three)
    six = table(tmp_path / "6", *sweep({"none": 0, "batch": 0.01, "layer": 0.01}, 6), baseline=["norm=none"])
    assert any("least p is 0.03125, corrected for 2 tests 0.0625; 7 pairs" in line for line in footer(six))
    seven = table(tmp_path / "7", *sweep({"none": 0, "batch": 0.01, "layer": 0.01}, 7), baseline=["norm=none"])
    assert not any("least p" in line for line in footer(seven))


@pytest.mark.parametrize(
    ("baseline", "by", "message"),
    [
        ("nrom=none", (), "no key 'nrom' in the runs. Did you mean 'norm'"),
        ("norm=nune", (), r"no value 'nune' in the rows of 'norm'. Did you mean 'none'\?"),
        ("norm=none", ("init",), "--baseline norm: no key 'norm' in the rows"),
        ("norm=none,dropout=0", ("norm",), "--baseline dropout: no key 'dropout' in the rows"),
    ],
)
def test_mistakes(baseline: str, by: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        table(tmp_path, *sweep({"none": 0, "batch": 0}, 1), baseline=[baseline], by=by)
