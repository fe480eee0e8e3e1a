"""Simulations with planted truth: `scripts/simulate`. How often verdicts are false, and how often they find the truth.

The tests call the same functions with few tables. A difference is normal with a standard deviation of 1, unless said.
"""

import math
from collections.abc import Callable, Sequence

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regbench.analysis import anytime, inference, luck, power
from regbench.analysis.intervals import estimate
from regbench.analysis.table import Row, Table
from regbench.analysis.tuning import tuned
from regbench.records.metrics import METRICS

ALPHA = inference.ALPHA
FIRST, LAST = 6, 40  # seeds between which somebody looks
ACC = METRICS["test_acc"]
_Floats = NDArray[np.float64]
Shares = dict[str, float]


def unequal_budgets(tables: int, values: Sequence[int] = (10, 2), agreement: float = 0.5, seeds: int = 10) -> Shares:
    """Compare two techniques that are equal at all their values, one with more values to choose from.

    Returns the share of tables in which the one with more is called better and worse; and, for the usual way, which
    chooses the values of the best mean on the very figures that it reports, the same.

    Args:
        tables: the number of comparisons.
        values: the number of values of each technique.
        agreement: the share of the variance of a run's figures that validation and test have in common.
        seeds: those of each value.
    """
    draw = np.random.default_rng(1)
    fair, usual = np.empty((tables, seeds - 1)), np.empty((tables, seeds))
    for table in range(tables):
        frame = _grids(draw, values, agreement, seeds)
        chosen = tuned(frame, ["norm"], ["dropout"], ACC, "best_val").frame
        by_norm = chosen.pivot(index="seed", columns="norm", values="best_val.test_acc")
        fair[table] = by_norm["0"] - by_norm["1"]
        means = frame.pivot_table(index="seed", columns=["norm", "dropout"], values="best_val.test_acc")
        best = [means[norm][means[norm].mean().idxmax()] for norm in ("0", "1")]
        usual[table] = best[0] - best[1]
    return _sides("tuned", fair) | _sides("the usual way", usual)


def _grids(draw: np.random.Generator, values: Sequence[int], agreement: float, seeds: int) -> pd.DataFrame:
    """Make runs of techniques without a difference; a seed does the same to all."""
    names = [(str(norm), value) for norm, number in enumerate(values) for value in range(number)]
    of_seed = np.tile(draw.normal(size=seeds), len(names))
    of_run, val, test = draw.normal(size=(3, len(names) * seeds))
    of_run, val, test = math.sqrt(agreement) * of_run, math.sqrt(1 - agreement) * val, math.sqrt(1 - agreement) * test
    return pd.DataFrame(
        {
            "norm": np.repeat([norm for norm, _ in names], seeds),
            "dropout": np.repeat([value for _, value in names], seeds),
            "seed": np.tile(np.arange(seeds), len(names)),
            "status": "completed",
            "best_val.val_acc": of_seed + of_run + val,
            "best_val.test_acc": of_seed + of_run + test,
        }
    )


def _sides(name: str, differences: _Floats) -> Shares:
    found = inference.sign_flip(differences) <= ALPHA
    above = differences.mean(axis=1) > 0
    return {
        f"{name}: more values called better": float(np.mean(found & above)),
        f"{name}: more values called worse": float(np.mean(found & ~above)),
    }


def looking_often(tables: int, rows: int, heavy: bool = False) -> Shares:
    """Look at each number of seeds from 6 to 40, and stop at the first verdict on rows that equal their baseline.

    Returns the share of families with a false verdict; and that of the fixed-n test at 6, 10, 15, 20, 30, 40 seeds.
    """
    values = _against_one(np.random.default_rng(2), tables, rows, heavy)
    flat = values.reshape(-1, LAST)
    money = np.maximum(anytime.evidence(flat), anytime.evidence(-flat))[:, FIRST - 1 :]
    false = (money.max(axis=1) >= 2 * rows / ALPHA).reshape(tables, rows).any(axis=1)
    looks = [_t_test(flat[:, :seeds]) <= ALPHA / rows for seeds in (6, 10, 15, 20, 30, 40)]
    fixed = np.any(looks, axis=0).reshape(tables, rows).any(axis=1)
    return {"anytime: any false verdict": float(false.mean()), "t test at six looks": float(fixed.mean())}


def _against_one(draw: np.random.Generator, tables: int, rows: int, heavy: bool) -> _Floats:
    """Draw differences [tables, rows, seeds] from one baseline, whose noise all rows of a table share."""

    def noise(number: int) -> _Floats:
        size = (tables, number, LAST)
        drawn: _Floats = draw.standard_t(3, size) if heavy else draw.normal(size=size)
        return drawn

    return noise(rows) - noise(1)


def _t_test(differences: _Floats) -> _Floats:
    import scipy.stats

    return np.asarray(scipy.stats.ttest_1samp(differences, 0, axis=1).pvalue)


def coverage(tables: int, truth: float = 0.7) -> Shares:
    """Return the share of confidence sequences that hold the truth at each of 6, 10, 15, 20, 30 and 40 seeds."""
    values = np.random.default_rng(3).normal(truth, 1, (tables, LAST))
    held, widths = np.ones(tables, dtype=bool), []
    for table, row in enumerate(values.tolist()):
        for seeds in (6, 10, 15, 20, 30, 40):
            ends = anytime.sequence(row[:seeds])
            held[table] &= ends is None or ends[0] <= truth <= ends[1]
        widths.append(ends[1] - ends[0] if ends else math.inf)
    t = np.mean([2 * (estimate(row).half_width or 0) for row in values.tolist()])
    return {"held at all six looks": float(held.mean()), "width at 40 seeds, of t": float(np.median(widths) / t)}


def finding(tables: int, effect: float) -> Shares:
    """Return how often, and after how many seeds, an effect is found by 40 seeds; and by the exact test of 10."""
    values = np.random.default_rng(4).normal(effect, 1, (tables, LAST))
    hits = anytime.evidence(values) >= 2 / ALPHA
    hits[:, : FIRST - 1] = False
    seeds = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, LAST)
    fixed = inference.sign_flip(values[:, :10]) <= ALPHA
    return {
        "anytime, up to 40 seeds": float(hits.any(axis=1).mean()),
        "seeds on average": float(seeds.mean()),
        "fixed 10 seeds": float(fixed.mean()),
    }


def agreeing(tables: int, margin: float, truth: float) -> Shares:
    """Return how often a difference is called equivalent at any of up to 40 seeds."""
    values = np.random.default_rng(5).normal(truth, 1, (tables, LAST))
    sides = [anytime.evidence(margin + sign * values)[:, FIRST - 1 :].max(axis=1) for sign in (1, -1)]
    return {"called equivalent": float(np.mean(np.minimum(*sides) >= 1 / ALPHA))}


def first_of_many(tables: int, rows: int, spread: float, seeds: int = 10) -> Shares:
    """Return by how much the first row stands too high: its mean, its shrunk mean, and what the footer says of it.

    `spread` is the standard deviation of the true means. All in standard errors of a mean.
    """
    draw = np.random.default_rng(6)
    raw, shrunk, said = np.empty((3, tables))
    for number in range(tables):
        truth = draw.normal(0, spread, rows)
        figures = truth[:, None] + draw.normal(size=(rows, seeds)) + draw.normal(size=seeds)
        table = luck.with_luck(_table(figures), shrink=True, is_ranked=True)
        first = int(figures.mean(axis=1).argmax())
        raw[number], said[number] = figures[first].mean() - truth[first], table.luck or 0.0
        shrunk[number] = (table.rows[first].shrunk or 0.0) - truth[first]
    unit = 1 / math.sqrt(seeds)
    return {"mean": raw.mean() / unit, "shrunk": shrunk.mean() / unit, "the footer says": said.mean() / unit}


def _table(figures: _Floats) -> Table:
    rows = [
        Row({"norm": str(n)}, estimate(row), max(row), min(row), 0, 0, 0, figures=tuple(enumerate(row)))
        for n, row in enumerate(figures.tolist())
    ]
    runs = figures.size
    return Table(("norm",), tuple(rows), ACC, "best_val", (), runs, runs, 0, 0, (), ())


def planned(tables: int, seeds: int, rows: int, pilot: int | None = None) -> Shares:
    """Return how often the smallest difference of a plan is found, by that many seeds of rows and a baseline.

    The spread is known, or measured by n seeds of a `pilot` with four rows.
    """
    draw, level = np.random.default_rng(7), ALPHA / rows
    size = power.smallest_difference(seeds, level)
    if size is None:
        return {}
    spreads = [1.0] * tables
    if pilot:
        spreads = [power.spread(draw.normal(size=(4, pilot)).tolist()) or 1.0 for _ in range(tables)]
    values = draw.normal(size=(tables, seeds)) + size * np.array(spreads)[:, None]
    return {"found": float(np.mean(inference.sign_flip(values) <= level + 1e-12)), "in standard deviations": size}


SIMULATIONS: dict[str, Callable[[int], Shares]] = {
    "--tune, 10 values against 2": lambda n: unequal_budgets(n // 2),
    "--tune, 10 values against 2, validation equals test": lambda n: unequal_budgets(n // 2, agreement=1.0),
    "--tune, 30 values against 1": lambda n: unequal_budgets(n // 5, (30, 1)),
    "--anytime, 1 row": lambda n: looking_often(2 * n, 1),
    "--anytime, 4 rows": lambda n: looking_often(n, 4),
    "--anytime, 4 rows, heavy tails (t with 3 degrees)": lambda n: looking_often(n, 4, heavy=True),
    "confidence sequence": lambda n: coverage(n // 4),
    "effect 0.5": lambda n: finding(n, 0.5),
    "effect 0.8": lambda n: finding(n, 0.8),
    "effect 1.2": lambda n: finding(n, 1.2),
    "effect 2.0": lambda n: finding(n, 2.0),
    "equivalence, no difference, margin 1": lambda n: agreeing(n, 1.0, 0.0),
    "equivalence, difference equal to the margin": lambda n: agreeing(n, 1.0, 1.0),
    "first of 3 equal rows": lambda n: first_of_many(n // 10, 3, 0.0),
    "first of 10 equal rows": lambda n: first_of_many(n // 10, 10, 0.0),
    "first of 10 rows that differ by one standard error": lambda n: first_of_many(n // 10, 10, math.sqrt(0.1)),
    "--plan, 8 seeds, 4 rows": lambda n: planned(n, 8, 4),
    "--plan, 10 seeds, 4 rows": lambda n: planned(n, 10, 4),
    "--plan, 12 seeds, 1 row": lambda n: planned(n, 12, 1),
    "--plan, 10 seeds, 4 rows, pilot of 3 seeds": lambda n: planned(n, 10, 4, 3),
}


@click.command()
@click.option("--tables", default=4000, show_default=True, help="Simulated tables; some simulations take fewer.")
@click.option("--only", default="", help="Only simulations whose name holds this.")
def main(tables: int, only: str) -> None:
    """Print what each simulation finds."""
    for name, simulate in SIMULATIONS.items():
        if only in name:
            print(name)
            for what, number in simulate(tables).items():
                print(f"    {what}: {number:.4g}")


if __name__ == "__main__":
    main()
