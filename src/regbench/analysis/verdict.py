"""Compare rows with their baseline: difference by seed, test, correction over the family, verdict."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from regbench.analysis import inference
from regbench.analysis.corrections import Correction
from regbench.analysis.inference import ALPHA
from regbench.analysis.intervals import estimate
from regbench.analysis.pairing import Figures, Pairs, pairs
from regbench.records.metrics import Metric

_Verdict = Literal["baseline", "better", "worse", "equivalent", "undecided", "no baseline"]


@dataclass(frozen=True)
class Comparison:
    """A row's difference from its baseline, in the figure's unit; a figure is None if there are too few pairs for it.

    `half_width` is half of the 95 % t interval, None also if all differences are equal. `won` counts seeds that are
    better than the baseline's. `seeds` is the number that would decide an undecided comparison; None if it is too big.
    """

    verdict: _Verdict
    pairs: int = 0
    difference: float | None = None
    half_width: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    won: int = 0
    tied: int = 0
    won_share: tuple[float, float] | None = None
    hedges_g: float | None = None
    p_equivalence: float | None = None
    p_equivalence_adjusted: float | None = None
    seeds: int | None = None
    unpaired: int = 0
    several: bool = False


def compared(
    figures: Sequence[Figures],
    baseline: Sequence[int | None],
    metric: Metric,
    margin: float | None,
    correction: Correction,
) -> list[Comparison]:
    """Compare each row with its baseline's row; all comparisons are one family for the correction.

    Args:
        figures: the blocks and figures of each row's completed runs.
        baseline: the number of each row's baseline.
        metric: it says which direction is better.
        margin: differences smaller than this do not matter; in the figure's unit.
        correction: for many comparisons.
    """
    paired = {
        row: pairs(figures[row], figures[base]) for row, base in enumerate(baseline) if base is not None and base != row
    }
    ps = _sign_flips({row: pairing.differences for row, pairing in paired.items()})
    measured = {row: _measured(pairing, ps.get(row), metric, margin) for row, pairing in paired.items()}
    corrected = _corrected(measured, correction)
    alpha = ALPHA if correction == "none" else ALPHA / max(1, len(ps))
    judged = {row: _judged(corrected[row], paired[row].differences, metric, margin, alpha) for row in paired}
    return [
        judged.get(row) or Comparison("no baseline" if base is None else "baseline")
        for row, base in enumerate(baseline)
    ]


def _sign_flips(differences: Mapping[int, Sequence[float]]) -> dict[int, float]:
    """Return the p of each row with at least two pairs; rows with the same number of pairs are tested together."""
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    for row, values in differences.items():
        by_size[len(values)].append(row)
    ps: dict[int, float] = {}
    for size, rows in by_size.items():
        if size > 1:
            tested = inference.sign_flip(np.array([differences[row] for row in rows]))
            ps |= dict(zip(rows, tested.tolist(), strict=True))
    return ps


def _measured(pairing: Pairs, p: float | None, metric: Metric, margin: float | None) -> Comparison:
    """Compute all of a comparison except what depends on the family."""
    values = pairing.differences
    mean = estimate(values)
    sign = 1 if metric.higher_is_better else -1
    won = sum(sign * value > 0 for value in values)
    return Comparison(
        verdict="undecided",
        pairs=len(values),
        difference=mean.mean,
        half_width=mean.half_width if len(set(values)) > 1 else None,
        p=p,
        won=won,
        tied=sum(value == 0 for value in values),
        won_share=inference.wilson(won, len(values)) if values else None,
        hedges_g=inference.hedges_g(values),
        p_equivalence=inference.equivalence(values, margin) if margin is not None and len(values) > 1 else None,
        unpaired=pairing.unpaired,
        several=pairing.several,
    )


def _corrected(measured: Mapping[int, Comparison], correction: Correction) -> dict[int, Comparison]:
    """Correct both kinds of p, each as one family."""
    ps = _adjusted({row: comparison.p for row, comparison in measured.items()}, correction)
    agreeing = _adjusted({row: comparison.p_equivalence for row, comparison in measured.items()}, correction)
    return {
        row: replace(comparison, p_adjusted=ps.get(row), p_equivalence_adjusted=agreeing.get(row))
        for row, comparison in measured.items()
    }


def _adjusted(ps: Mapping[int, float | None], correction: Correction) -> dict[int, float]:
    family = {row: p for row, p in ps.items() if p is not None}
    return dict(zip(family, inference.adjusted(list(family.values()), correction), strict=True))


def _judged(
    comparison: Comparison, differences: Sequence[float], metric: Metric, margin: float | None, alpha: float
) -> Comparison:
    verdict = _verdict(comparison, metric)
    seeds = _seeds(differences, margin, alpha) if verdict == "undecided" else None
    return replace(comparison, verdict=verdict, seeds=seeds)


def _verdict(comparison: Comparison, metric: Metric) -> _Verdict:
    """Equivalent comes first: a real difference within the margin does not matter."""
    agree, p, difference = comparison.p_equivalence_adjusted, comparison.p_adjusted, comparison.difference
    if agree is not None and agree <= ALPHA:
        return "equivalent"
    if p is None or p > ALPHA or not difference:
        return "undecided"
    return "better" if (difference > 0) == metric.higher_is_better else "worse"


def _seeds(values: Sequence[float], margin: float | None, alpha: float) -> int | None:
    """Return how many pairs would decide if mean and spread stay as they are: more than there are now."""
    if len(values) < 2:
        return None
    constant = len(set(values)) < 2
    enough = _seeds_if_constant(values[0], margin, alpha) if constant else _seeds_if_spread(values, margin, alpha)
    return max(len(values) + 1, min(enough)) if enough else None


def _seeds_if_constant(value: float, margin: float | None, alpha: float) -> list[int]:
    """Equal differences have no spread: the exact test alone says how many pairs it needs."""
    differ = [inference.fewest_pairs(alpha)] if value else []
    agree = [inference.fewest_pairs(2 * alpha)] if margin is not None and abs(value) < margin else []
    return differ + agree


def _seeds_if_spread(values: Sequence[float], margin: float | None, alpha: float) -> list[int]:
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    differ = inference.seeds_to_differ(mean / deviation, alpha)
    agree = None if margin is None else inference.seeds_to_agree(mean / deviation, margin / deviation, alpha)
    return [seeds for seeds in (differ, agree) if seeds is not None]
