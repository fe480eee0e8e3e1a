"""Which knob matters: analysis of variance over a factorial sweep, the seed as block."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from regbench.analysis.groups import checked, column, differing, filtered
from regbench.analysis.inference import adjusted
from regbench.errors import UserError
from regbench.records import epochs
from regbench.records.frame import Runs
from regbench.records.metrics import METRICS, Selection, named
from regbench.text import plural, shown

NAMED = 3  # missing combinations


@dataclass(frozen=True)
class Effect:
    """One source of variance. `share` is of the total sum of squares; F, p and Holm's p only for terms of keys."""

    term: str
    df: int
    sum_of_squares: float
    share: float
    f: float | None
    p: float | None
    p_adjusted: float | None


@dataclass(frozen=True)
class Effects:
    """The terms, greatest share first, then seed and residual; and what to know of the design."""

    terms: tuple[Effect, ...]
    notes: tuple[str, ...]


def effects(
    runs: Runs,
    keys: Sequence[str] = (),
    metric: str = "test_acc",
    select: Selection = "best_val",
    where: str | None = None,
) -> Effects:
    """Main effects and two-way interactions of the keys (default: those that differ) by `statsmodels.anova_lm`.

    Type II sums of squares: each main effect beside the others, each interaction beside all else. In a balanced
    design they are the classical ones, and the shares add up to 1.

    Raises:
        UserError: no metric, key or run like this; fewer than two values or seeds; a combination without a run.
    """
    chosen = named(metric, () if metric in METRICS else epochs.recorded(runs.frame))
    frame = filtered(runs.frame, where, select)
    names = checked(keys, frame) or differing(frame)
    figures = epochs.figures(frame, chosen, select)
    columns = [[_text(value) for value in column(frame, key)] for key in names]
    seeds = column(frame, "seed")
    done = [
        status == "completed" and math.isfinite(x) for status, x in zip(column(frame, "status"), figures, strict=True)
    ]
    table = pd.DataFrame(
        {"y": figures, "seed": list(map(str, seeds))} | {f"k{i}": values for i, values in enumerate(columns)}
    )
    notes = _checked(table, table[done], names)
    table = table[done]
    lost = len(done) - len(table)
    return Effects(
        _terms(table, names),
        (
            f"{chosen.name}: share of its variance over {plural(len(table), 'run')}, by type II sums of squares; "
            f"the seed is the block.",
            "p: F test against the residual; p Holm: corrected for all terms of keys.",
            *notes,
            *(
                [f"{plural(lost, 'run')} diverged, failed, unfinished or without the figure: in no sum."]
                if lost
                else []
            ),
        ),
    )


def _text(value: object) -> str | None:
    return None if isinstance(value, float) and math.isnan(value) else shown(value)


def _checked(every: pd.DataFrame, table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """What is unbalanced.

    Raises:
        UserError: the design has no answer.
    """
    factors = [f"k{i}" for i in range(len(names))]
    if not names:
        raise UserError("effects: no key differs between the runs. Sweep over one: regbench train -m norm=none,batch")
    for factor, name in zip(factors, names, strict=True):
        if every[factor].isna().any():
            raise UserError(f"effects: not every run has {name}. Name keys that all have, or leave runs out by --where")
        if table[factor].nunique() < 2:
            raise UserError(f"effects: {name} has fewer than two values among the completed runs")
    if table["seed"].nunique() < 2:
        raise UserError("effects: one seed has no residual to test against. Train more seeds")
    counts = table.groupby(factors).size()
    cells = itertools.product(*(sorted(table[factor].unique()) for factor in factors))
    present = {key if isinstance(key, tuple) else (key,) for key in counts.index}
    if missing := [cell for cell in cells if cell not in present]:
        some = "; ".join(_named(cell, names) for cell in missing[:NAMED]) + (" …" if len(missing) > NAMED else "")
        raise UserError(
            f"effects: incomplete design, {plural(len(missing), 'combination')} without a completed run: {some}. "
            "Train them, name fewer keys, or leave runs out by --where"
        )
    blocks = table.groupby([*factors, "seed"]).size()
    even = blocks.nunique() == 1 and len(blocks) == len(counts) * table["seed"].nunique()
    if even:
        return []
    return [f"Unbalanced: {counts.min()} to {counts.max()} runs to a combination; the shares need not add up to 1."]


def _named(cell: Sequence[str], names: Sequence[str]) -> str:
    return ",".join(f"{name}={value}" for name, value in zip(names, cell, strict=True))


def _terms(table: pd.DataFrame, names: Sequence[str]) -> tuple[Effect, ...]:
    factors = [f"C(k{i})" for i in range(len(names))]
    pairs = [f"{a}:{b}" for a, b in itertools.combinations(factors, 2)]
    if np.ptp(table["y"]) == 0:
        raise UserError("effects: all runs have the same figure")
    fit = ols(f"y ~ C(seed) + {' + '.join([*factors, *pairs])}", table).fit()
    if fit.df_resid < 1:
        raise UserError("effects: nothing is left for the residual. Train more seeds, or name fewer keys")
    found = anova_lm(fit, typ=2)
    total = float(((table["y"] - table["y"].mean()) ** 2).sum())
    labels = {f"C(k{i})": name for i, name in enumerate(names)}
    tested = [*factors, *pairs]
    ps = adjusted([float(found.loc[term, "PR(>F)"]) for term in tested], "holm")
    terms = [
        Effect(
            " × ".join(labels[part] for part in term.split(":")),
            int(found.loc[term, "df"]),
            float(found.loc[term, "sum_sq"]),
            float(found.loc[term, "sum_sq"]) / total,
            float(found.loc[term, "F"]),
            float(found.loc[term, "PR(>F)"]),
            p,
        )
        for term, p in zip(tested, ps, strict=True)
    ]
    rest = [
        Effect(
            label,
            int(found.loc[row, "df"]),
            float(found.loc[row, "sum_sq"]),
            float(found.loc[row, "sum_sq"]) / total,
            *[None] * 3,
        )
        for label, row in (("seed", "C(seed)"), ("residual", "Residual"))
    ]
    return (*sorted(terms, key=lambda effect: -effect.share), *rest)
