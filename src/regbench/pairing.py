"""Which runs are each other's partners: the same seed, and the same of everything else that varies within a row."""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import pandas as pd

from regbench.groups import column

Block = tuple[Hashable, ...]  # the seed, then the values of `shared`
Figures = Sequence[tuple[Block, float]]


@dataclass(frozen=True)
class Pairs:
    """The differences from a baseline, one for each seed that both have, in the order of the seeds.

    `unpaired` counts the runs of either side without a partner; `several` says that a seed's difference is a mean.
    """

    seeds: tuple[Any, ...]
    differences: tuple[float, ...]
    unpaired: int
    several: bool


def shared(keys: Iterable[str], within: Sequence[str]) -> list[str]:
    """The keys beside the seed in which partners agree: those that vary `within` a row.

    The arguments of an axis that is compared are left out: `norm.groups` of one side has no counterpart in the other.
    """
    compared = set(keys)
    return [key for key in within if key.partition(".")[0] not in compared]


def blocks(frame: pd.DataFrame, keys: Sequence[str]) -> list[Block]:
    """Each run's block: a run's partners are those of the other side in the same one."""
    return list(zip(*(column(frame, key) for key in ("seed", *keys)), strict=True))


def pairs(treated: Figures, baseline: Figures) -> Pairs:
    """Difference by block, then the mean of a seed's blocks: the seed is the unit, however many runs it has."""
    left, right = _by_block(treated), _by_block(baseline)
    by_seed: defaultdict[Hashable, list[float]] = defaultdict(list)
    for block in left.keys() & right.keys():
        by_seed[block[0]].append(_difference(mean(left[block]), mean(right[block])))
    seeds = sorted(by_seed, key=lambda seed: (str(type(seed)), seed))
    alone = [runs for side, other in ((left, right), (right, left)) for b, runs in side.items() if b not in other]
    paired = [runs for side, other in ((left, right), (right, left)) for b, runs in side.items() if b in other]
    return Pairs(
        seeds=tuple(seeds),
        differences=tuple(mean(sorted(by_seed[seed])) for seed in seeds),
        unpaired=sum(map(len, alone)),
        several=any(len(found) > 1 for found in by_seed.values()) or any(len(runs) > 1 for runs in paired),
    )


def _difference(left: float, right: float) -> float:
    """To the 15 digits that floats of this size have, so that equal steps of accuracy stay equal."""
    size = max(abs(left), abs(right))
    return round(left - right, 14 - math.floor(math.log10(size))) if size else 0.0


def _by_block(figures: Figures) -> Mapping[Block, list[float]]:
    found: defaultdict[Block, list[float]] = defaultdict(list)
    for block, figure in sorted(figures, key=lambda pair: pair[1]):
        found[block].append(figure)
    return found
