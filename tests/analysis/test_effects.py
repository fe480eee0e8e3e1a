"""Analysis of variance against sums of squares by hand, and the designs that it refuses."""

import itertools
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from golden.records import CONFIG, INITS, NORMS, generate_everything, record, write
from regbench.analysis.effects import Effect, Effects, effects
from regbench.errors import UserError
from regbench.records.frame import Runs, load
from regbench.tables.effects import cells

SEEDS = 4
Y = 0.9 + np.random.default_rng(0).normal(0, 0.01, (len(NORMS), len(INITS), SEEDS)).round(6)


def sweep(tmp_path: Path, *without: tuple[str, str, int]) -> Runs:
    cells = itertools.product(enumerate(NORMS), enumerate(INITS), range(SEEDS))
    for (i, norm), (j, init), seed in cells:
        status = "failed" if (norm, init, seed) in without else "completed"
        content = record(status, float(Y[i, j, seed]), norm=NORMS[norm], init=INITS[init], seed=seed)
        write(tmp_path, content, f"{norm}-{init}-{seed}")
    return load([tmp_path])


def by_term(runs: Runs, **settings: Any) -> dict[str, Effect]:
    return {effect.term: effect for effect in effects(runs, **settings).terms}


def test_balanced_design_by_hand(tmp_path: Path) -> None:
    """Sums of squares of means, as in any textbook on randomized blocks."""
    found, grand = by_term(sweep(tmp_path)), Y.mean()
    norm, init, seed = Y.mean((1, 2)) - grand, Y.mean((0, 2)) - grand, Y.mean((0, 1)) - grand
    both = Y.mean(2) - grand - norm[:, None] - init[None, :]
    squares = {
        "norm": (norm**2).sum() * len(INITS) * SEEDS,
        "init": (init**2).sum() * len(NORMS) * SEEDS,
        "norm × init": (both**2).sum() * SEEDS,
        "seed": (seed**2).sum() * len(NORMS) * len(INITS),
    }
    total = ((Y - grand) ** 2).sum()
    squares["residual"] = total - sum(squares.values())
    for term, expected in squares.items():
        assert found[term].sum_of_squares == pytest.approx(expected, rel=1e-8)
        assert found[term].share == pytest.approx(expected / total, rel=1e-8)
    assert sum(effect.share for effect in found.values()) == pytest.approx(1)
    df = 15
    f = squares["norm"] / 2 / (squares["residual"] / df)
    assert (found["residual"].df, found["norm"].df, found["norm × init"].df) == (df, 2, 2)
    assert (found["norm"].f, found["norm"].p) == (pytest.approx(f), pytest.approx(stats.f.sf(f, 2, df)))


def test_greatest_share_first_and_the_rest_last(tmp_path: Path) -> None:
    terms = effects(sweep(tmp_path)).terms
    shares = [effect.share for effect in terms[:-2]]
    assert shares == sorted(shares, reverse=True)
    assert [effect.term for effect in terms[-2:]] == ["seed", "residual"]


def test_a_planted_effect_has_its_share(tmp_path: Path) -> None:
    for seed, norm in itertools.product(range(SEEDS), NORMS):
        shift = 0.05 * (norm == "batch") + 0.001 * ((seed * 7 + len(norm)) % 3)
        write(tmp_path, record(test_acc=0.9 + shift, norm=NORMS[norm], seed=seed), f"{norm}-{seed}")
    found = by_term(load([tmp_path]))
    assert found["norm"].share > 0.98
    assert (found["norm"].p or 1) < 1e-6


def test_a_lost_run_is_named_and_handled(tmp_path: Path) -> None:
    found = effects(sweep(tmp_path, ("batch", "xavier", 2)))
    assert "Unbalanced: 3 to 4 runs per combination; the shares need not add up to 1." in found.notes
    assert any(note.startswith("1 run diverged, failed, unfinished") for note in found.notes)
    assert not any("Unbalanced" in note for note in effects(sweep(tmp_path / "whole")).notes)


def test_what_has_no_answer_is_refused(tmp_path: Path) -> None:
    lost = [("batch", "xavier", seed) for seed in range(SEEDS)]
    with pytest.raises(UserError, match=r"incomplete design, 1 combination .*: norm=batch,init=xavier. Train them"):
        effects(sweep(tmp_path / "incomplete", *lost))
    runs = sweep(tmp_path / "whole")
    with pytest.raises(UserError, match="one seed has no residual"):
        effects(runs, where="seed==0")
    with pytest.raises(UserError, match=r"not every run has norm.eps"):
        effects(runs, ["norm.eps"])
    with pytest.raises(UserError, match="dropout has fewer than two values"):
        effects(runs, ["dropout"])
    with pytest.raises(UserError, match="no key differs"):
        effects(runs, where="norm=='batch' and init=='xavier'")
    with pytest.raises(UserError, match="Did you mean 'norm'"):
        effects(runs, ["nrom"])


def test_one_change_at_a_time_is_said_at_once(tmp_path: Path) -> None:
    """14 keys have 3.7 · 10^8 combinations: a list of those missing would fill the memory."""
    generate_everything(tmp_path)
    runs = load([tmp_path])
    tracemalloc.start()
    with pytest.raises(UserError, match=r"one change at a time .* \([\d,]{11,} combinations .* --baseline default$"):
        effects(runs)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_a_level_that_always_diverges_is_named(tmp_path: Path) -> None:
    for seed, rate in itertools.product(range(3), (0.001, 0.1, 10.0)):
        ended = "diverged" if rate == 10 else "completed"
        optimizer = CONFIG["optimizer"] | {"lr": rate}
        accuracy = 0.9 + (1 + seed % 2) * rate / 1000
        write(tmp_path, record(ended, accuracy, optimizer=optimizer, seed=seed), f"{rate}-{seed}")
    runs = load([tmp_path])
    with pytest.raises(
        UserError, match=r"no completed run has optimizer.lr=10. Leave it out by --where 'optimizer.lr !="
    ):
        effects(runs)
    assert by_term(runs, where="optimizer.lr != 10")


def test_a_residual_of_rounding_is_none(tmp_path: Path) -> None:
    """Each seed shifts every norm alike: what is left of the figures is what floats lose."""
    shifts = {"none": 0.1, "batch": 0.123, "layer": 0.0456}
    for seed, (norm, shift) in itertools.product(range(4), shifts.items()):
        write(tmp_path, record(test_acc=0.7 + shift + 0.0123 * seed, norm=NORMS[norm], seed=seed), f"{norm}-{seed}")
    with pytest.raises(UserError, match="effects: no residual: each seed shifts all combinations alike"):
        effects(load([tmp_path]))


def test_equal_figures_but_for_rounding_are_equal(tmp_path: Path) -> None:
    for number, (seed, norm) in enumerate(itertools.product(range(2), ("none", "batch"))):
        write(tmp_path, record(test_acc=0.9 + number * 1e-16, norm=NORMS[norm], seed=seed), f"{norm}-{seed}")
    with pytest.raises(UserError, match="all runs have the same figure"):
        effects(load([tmp_path]))


def test_a_large_f_has_few_digits() -> None:
    found = Effects((Effect("norm", 2, 1.0, 0.9, f=123456789.123, p=1e-9, p_adjusted=1e-9),), ())
    assert cells(found).rows[0][3] == "1.23e+08"


def test_values_are_never_code(tmp_path: Path) -> None:
    """Formulas are evaluated by patsy: no key or value may reach one."""
    optimizers = [CONFIG["optimizer"] | {"lr": rate} for rate in (0.1, 0.2)]
    for seed, (n, optimizer) in itertools.product(range(3), enumerate(optimizers)):
        content = record(test_acc=0.9 + n / 50 + (seed * (n + 1) % 3) / 100, optimizer=optimizer, seed=seed)
        content["config"]["__import__('os').abort()"] = f"__import__('os').abort({n})"
        write(tmp_path, content, f"{n}-{seed}")
    assert "optimizer.lr" in by_term(load([tmp_path]))
    assert "__import__('os').abort()" in by_term(load([tmp_path]), keys=["__import__('os').abort()"])
