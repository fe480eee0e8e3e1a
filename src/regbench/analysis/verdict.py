"""Rows against their baseline: difference by seed, test, correction over the family, verdict."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from regbench.analysis import inference
from regbench.analysis.inference import ALPHA, Correction
from regbench.analysis.intervals import estimate
from regbench.analysis.pairing import Figures, Pairs, pairs
from regbench.records.metrics import Metric

Verdict = Literal["baseline", "better", "worse", "equivalent", "undecided", "no baseline"]


@dataclass(frozen=True)
class Comparison:
    """A row's difference from its baseline, in the figure's unit; None is what there are too few pairs to say.

    `half_width` is of the 95 % t interval, also None where all differences are equal. `won` counts seeds that are
    better than the baseline's. `seeds`: how many would decide an undecided one, None where no sensible number would.
    """

    verdict: Verdict
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
    """Each row's comparison with its baseline's row; all of them are one family for the correction.

    Args:
        figures: of each row, the completed runs' blocks and figures.
        baseline: of each row, the number of its baseline's row.
        metric: tells which direction is better.
        margin: in the figure's unit; differences smaller than this do not matter.
        correction: for many comparisons.
    """
    paired = {
        number: pairs(figures[number], figures[base])
        for number, base in enumerate(baseline)
        if base is not None and base != number
    }
    found = [Comparison("no baseline" if base is None else "baseline") for base in baseline]
    for number, its in paired.items():
        found[number] = _measured(its, metric, margin)
    differences = {number: its.differences for number, its in paired.items()}
    return _judged(_tested(found, differences), differences, metric, margin, correction)


def _measured(pairs: Pairs, metric: Metric, margin: float | None) -> Comparison:
    """All of a comparison but what depends on the family."""
    values = pairs.differences
    found = estimate(values)
    sign = 1 if metric.higher_is_better else -1
    won, tied = sum(sign * value > 0 for value in values), sum(value == 0 for value in values)
    constant = len(set(values)) < 2
    return Comparison(
        verdict="undecided",
        pairs=len(values),
        difference=found.mean,
        half_width=None if constant else found.half_width,
        won=won,
        tied=tied,
        won_share=inference.wilson(won, len(values)) if values else None,
        hedges_g=inference.hedges_g(values),
        p_equivalence=inference.equivalence(values, margin) if margin is not None and len(values) > 1 else None,
        unpaired=pairs.unpaired,
        several=pairs.several,
    )


def _tested(found: Sequence[Comparison], differences: Mapping[int, Sequence[float]]) -> list[Comparison]:
    """With their p: rows of as many pairs are tested together."""
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    for number, values in differences.items():
        if len(values) > 1:
            by_size[len(values)].append(number)
    tested = list(found)
    for numbers in by_size.values():
        ps = inference.sign_flip(np.array([differences[number] for number in numbers]))
        for number, p in zip(numbers, ps.tolist(), strict=True):
            tested[number] = replace(tested[number], p=p)
    return tested


def _judged(
    found: Sequence[Comparison],
    differences: Mapping[int, Sequence[float]],
    metric: Metric,
    margin: float | None,
    correction: Correction,
) -> list[Comparison]:
    family = [number for number, comparison in enumerate(found) if comparison.p is not None]
    ps = inference.adjusted([p for c in found if (p := c.p) is not None], correction)
    agree = [number for number, comparison in enumerate(found) if comparison.p_equivalence is not None]
    agreeing = inference.adjusted([p for c in found if (p := c.p_equivalence) is not None], correction)
    judged = list(found)
    for number, p in zip(family, ps, strict=True):
        judged[number] = replace(judged[number], p_adjusted=p)
    for number, p in zip(agree, agreeing, strict=True):
        judged[number] = replace(judged[number], p_equivalence_adjusted=p)
    alpha = ALPHA if correction == "none" else ALPHA / max(1, len(family))
    for number in differences:
        verdict = _verdict(judged[number], metric)
        seeds = _seeds(differences[number], margin, alpha) if verdict == "undecided" else None
        judged[number] = replace(judged[number], verdict=verdict, seeds=seeds)
    return judged


def _verdict(comparison: Comparison, metric: Metric) -> Verdict:
    """Equivalent first: a difference that is real and within the margin is one that does not matter."""
    agree, p, difference = comparison.p_equivalence_adjusted, comparison.p_adjusted, comparison.difference
    if agree is not None and agree <= ALPHA:
        return "equivalent"
    if p is None or p > ALPHA or not difference:
        return "undecided"
    return "better" if (difference > 0) == metric.higher_is_better else "worse"


def _seeds(values: Sequence[float], margin: float | None, alpha: float) -> int | None:
    """The pairs that would decide if the mean and spread stay as they are, and more than there are now."""
    if len(values) < 2:
        return None
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    if len(set(values)) < 2:
        enough = [inference.fewest_pairs(alpha)] if mean else []
        enough += [inference.fewest_pairs(2 * alpha)] if margin is not None and abs(mean) < margin else []
    else:
        found = [inference.seeds_to_differ(mean / deviation, alpha)]
        if margin is not None:
            found.append(inference.seeds_to_agree(mean / deviation, margin / deviation, alpha))
        enough = [seeds for seeds in found if seeds is not None]
    return max(len(values) + 1, min(enough)) if enough else None
