"""Tests and intervals for a number of seeds that was fixed beforehand: exact, and by Student's t."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from regbench.analysis import inference
from regbench.analysis.intervals import estimate


def tests(differences: Mapping[int, Sequence[float]]) -> dict[int, float]:
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


def half_width(differences: Sequence[float]) -> float | None:
    """Return half of the 95 % t interval of the mean; None for fewer than two values, and if all are equal."""
    return estimate(differences).half_width if len(set(differences)) > 1 else None


def sequence(differences: Sequence[float]) -> tuple[float, float] | None:
    """Return None: a number of seeds that is fixed beforehand needs no confidence sequence."""
    del differences
    return None


def equivalence(differences: Sequence[float], margin: float) -> float:
    """Return the p of two one-sided t tests that the mean lies within ± margin."""
    return inference.equivalence(differences, margin)


def sign_test(differences: Sequence[float]) -> float:
    """Return the exact two-sided p that either sign is as likely."""
    return inference.sign_test(*(sum(sign * value > 0 for value in differences) for sign in (1, -1)))


def seeds_to_decide(differences: Sequence[float], margin: float | None, alpha: float) -> int | None:
    """Return how many pairs would decide if mean and spread stay as they are: more than there are now."""
    if len(differences) < 2:
        return None
    if len(set(differences)) < 2:
        enough = _if_constant(differences[0], margin, alpha)
    else:
        enough = _if_spread(differences, margin, alpha)
    return max(len(differences) + 1, min(enough)) if enough else None


def _if_constant(value: float, margin: float | None, alpha: float) -> list[int]:
    """Equal differences have no spread: the exact test alone says how many pairs it needs."""
    differ = [inference.fewest_pairs(alpha)] if value else []
    agree = [inference.fewest_pairs(2 * alpha)] if margin is not None and abs(value) < margin else []
    return differ + agree


def _if_spread(values: Sequence[float], margin: float | None, alpha: float) -> list[int]:
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    differ = inference.seeds_to_differ(mean / deviation, alpha)
    agree = None if margin is None else inference.seeds_to_agree(mean / deviation, margin / deviation, alpha)
    return [seeds for seeds in (differ, agree) if seeds is not None]
