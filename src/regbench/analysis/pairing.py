"""Which runs are each other's partners: the same seed, and the same of everything else that varies within a row."""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any, TypeVar

import pandas as pd

from regbench.analysis.groups import column

Block = tuple[Hashable, ...]  # the seed, then the values of `shared`
T = TypeVar("T")
Members = Sequence[tuple[Block, T]]
Figures = Members[float]


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


def partners(treated: Members[T], baseline: Members[T]) -> dict[Hashable, list[tuple[list[T], list[T]]]]:
    """By seed, in order: for each block that both sides have, what each has there."""
    left, right = _by_block(treated), _by_block(baseline)
    by_seed: defaultdict[Hashable, list[tuple[list[T], list[T]]]] = defaultdict(list)
    for block in left:
        if block in right:
            by_seed[block[0]].append((left[block], right[block]))
    return {seed: by_seed[seed] for seed in sorted(by_seed, key=lambda seed: (str(type(seed)), seed))}


def pairs(treated: Figures, baseline: Figures) -> Pairs:
    """Difference by block, then the mean of a seed's blocks: the seed is the unit, however many runs it has."""
    found = partners(treated, baseline)
    sides = [side for blocks in found.values() for both in blocks for side in both]
    return Pairs(
        seeds=tuple(found),
        differences=tuple(mean(_difference(mean(a), mean(b)) for a, b in blocks) for blocks in found.values()),
        unpaired=len(treated) + len(baseline) - sum(map(len, sides)),
        several=len(sides) > 2 * len(found) or any(len(side) > 1 for side in sides),
    )


def _difference(left: float, right: float) -> float:
    """To the 15 digits that floats of this size have, so that equal steps of accuracy stay equal."""
    size = max(abs(left), abs(right))
    return round(left - right, 14 - math.floor(math.log10(size))) if size else 0.0


def _by_block(members: Members[T]) -> Mapping[Block, list[T]]:
    found: defaultdict[Block, list[T]] = defaultdict(list)
    for block, member in members:
        found[block].append(member)
    return found
