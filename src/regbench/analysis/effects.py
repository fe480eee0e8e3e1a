"""Which knob matters: an analysis of variance over a factorial sweep, with the seed as block."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from regbench.analysis import clocks
from regbench.analysis.clocks import is_clock
from regbench.analysis.design import Design, design
from regbench.analysis.groups import checked, differing
from regbench.analysis.searched import note, searched
from regbench.analysis.selection import Where, metric_of, selected
from regbench.errors import UserError
from regbench.records import epochs
from regbench.records.frame import Runs
from regbench.records.metrics import Metric, Selection
from regbench.text import plural

_SEED, _RESIDUAL = "seed", "residual"
_ROUNDING = 1e-12  # of a figure, relative: what fitting leaves of float64's 16 digits


@dataclass(frozen=True)
class Effect:
    """One source of variance. `share` is of the total sum of squares; only terms of keys have F, p and Holm's p.

    They have none either where a search chose the runs.
    """

    term: str
    df: int
    sum_of_squares: float
    share: float
    f: float | None = None
    p: float | None = None
    p_adjusted: float | None = None

    @property
    def is_of_keys(self) -> bool:
        """Whether it is a key or an interaction, not the seed or what is left."""
        return self.term not in (_SEED, _RESIDUAL)


@dataclass(frozen=True)
class Effects:
    """The terms of keys, greatest share first, then seed and residual; and notes on the design."""

    terms: tuple[Effect, ...]
    notes: tuple[str, ...]


def effects(
    runs: Runs,
    keys: Sequence[str] = (),
    metric: str = "test_acc",
    select: Selection = "best_val",
    where: Where = None,
    statuses: Sequence[str] = (),
    as_if_fixed: bool = False,
) -> Effects:
    """Estimate main effects and two-way interactions of the keys (default: those that differ) by `anova_lm`.

    Sums of squares are of type II: each main effect beside the others, each interaction beside all else. In a balanced
    design they are the classical ones, and the shares add up to 1. Runs that a search chose by the figures of others
    get no F and no p unless they are taken `as_if_fixed`.

    Raises:
        UserError: the metric or a key does not exist, no run fulfils `where`, a key or the seed has fewer than two
            values, a combination of values has no completed run, or the figure is a time on a shared machine.
    """
    chosen = metric_of(metric, runs.frame)
    frame = selected(runs, where, select, statuses, keys).frame
    if is_clock(chosen) and (others := set(frame["path"]) & clocks.shared(runs.frame)):
        raise UserError(
            f"effects: {len(others)} of {plural(len(frame), 'run')} shared the machine while they were timed, so that "
            f"{chosen.name} cannot be tested. Train with runtime.stack=1, one run at a time"
        )
    names = checked(keys, frame) or differing(frame)
    runs_by_key = design(frame, names, epochs.figures(frame, chosen, select))
    runs_by_key.check()
    chosen_runs = searched(frame, list(runs_by_key.every.index.isin(runs_by_key.counted.index)))
    terms, tested = _terms(runs_by_key), as_if_fixed or not chosen_runs
    return Effects(
        terms if tested else tuple(replace(term, f=None, p=None, p_adjusted=None) for term in terms),
        (*_notes(runs_by_key, chosen, tested), *_searched(chosen_runs, len(runs_by_key.counted), tested)),
    )


def _searched(number: int, of: int, tested: bool) -> Iterator[str]:
    if number and tested:
        yield note(number, of, "F and p do not account for that.")
    elif number:
        yield note(number, of, "no F, no p. --searched shows them all the same.")


def _notes(runs: Design, metric: Metric, tested: bool) -> Iterator[str]:
    number = plural(len(runs.counted), "run")
    yield f"{metric.name}: share of its variance over {number}, by type II sums of squares; the seed is the block."
    if tested:
        yield "p: F test against the residual; p Holm: corrected for all terms of keys."
    if unbalanced := runs.unbalanced():
        yield unbalanced
    if runs.lost:
        yield f"{plural(runs.lost, 'run')} diverged, failed, unfinished or without the figure: not in these sums."


def _terms(runs: Design) -> tuple[Effect, ...]:
    labels = {f"C({factor})": name for factor, name in zip(runs.factors, runs.names, strict=True)}
    labels |= {f"{a}:{b}": f"{labels[a]} × {labels[b]}" for a, b in itertools.combinations(list(labels), 2)}
    from regbench.analysis.inference import adjusted  # statsmodels takes a second to import, also below

    variance = _variance(runs.counted, list(labels))
    total = float(((runs.counted["y"] - runs.counted["y"].mean()) ** 2).sum())
    corrected = adjusted([variance[term]["PR(>F)"] for term in labels], "holm")
    terms = [
        Effect(
            **_size(variance[term], label, total),
            f=variance[term]["F"],
            p=variance[term]["PR(>F)"],
            p_adjusted=p,
        )
        for (term, label), p in zip(labels.items(), corrected, strict=True)
    ]
    rest = [
        Effect(**_size(variance[row], label, total)) for row, label in (("C(seed)", _SEED), ("Residual", _RESIDUAL))
    ]
    return (*sorted(terms, key=lambda effect: -effect.share), *rest)


def _variance(table: pd.DataFrame, terms: Sequence[str]) -> dict[str, dict[str, float]]:
    """Fit the model and split its variance: for each term, seed and residual its df, sum_sq, F and PR(>F).

    Raises:
        UserError: the figures are all the same, or nothing or only rounding is left for the residual.
    """
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    rounding = _ROUNDING * np.abs(table["y"]).max()
    if np.ptp(table["y"]) <= rounding:
        raise UserError("effects: all runs have the same figure")
    model = ols(f"y ~ C(seed) + {' + '.join(terms)}", table)
    if model.df_resid < 1:  # before the fit, which would warn of it
        raise UserError("effects: nothing is left for the residual. Train more seeds, or name fewer keys")
    fit = model.fit()
    if fit.ssr <= len(table) * rounding**2:
        raise UserError("effects: no residual: each seed shifts all combinations alike, so that nothing can be tested")
    variance: dict[str, dict[str, float]] = anova_lm(fit, typ=2).to_dict("index")
    return variance


def _size(row: dict[str, float], label: str, total: float) -> dict[str, Any]:
    squares = row["sum_sq"]
    return {"term": label, "df": int(row["df"]), "sum_of_squares": squares, "share": squares / total}
