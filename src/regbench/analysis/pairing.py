"""Pair runs of two rows: partners share the seed, and every other value that varies within a row."""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any, TypeVar

import pandas as pd

from regbench.analysis.groups import column

Block = tuple[Hashable, ...]  # the seed, then the values of `shared`
_T = TypeVar("_T")
Members = Sequence[tuple[Block, _T]]
Figures = Members[float]


@dataclass(frozen=True)
class Pairs:
    """The differences from a baseline, one for each seed that both sides have, in the order of the seeds.

    `unpaired` counts the runs of both sides that have no partner. `several`: some seed's difference is a mean.
    """

    seeds: tuple[Any, ...]
    differences: tuple[float, ...]
    unpaired: int
    several: bool


def shared(keys: Iterable[str], within: Sequence[str]) -> list[str]:
    """Return the keys, besides the seed, in which partners agree: those that vary `within` a row.

    Arguments of a compared axis do not count: `norm.groups` of one side has no counterpart on the other.
    """
    compared = set(keys)
    return [key for key in within if key.partition(".")[0] not in compared]


def blocks(frame: pd.DataFrame, keys: Sequence[str]) -> list[Block]:
    """Return each run's block: its partners are the runs of the other side in the same block."""
    return list(zip(*(column(frame, key) for key in ("seed", *keys)), strict=True))


def partners(treated: Members[_T], baseline: Members[_T]) -> dict[Hashable, list[tuple[list[_T], list[_T]]]]:
    """Return, by seed in order, the members of both sides in each block that both have."""
    left, right = _by_block(treated), _by_block(baseline)
    by_seed: defaultdict[Hashable, list[tuple[list[_T], list[_T]]]] = defaultdict(list)
    for block in left:
        if block in right:
            by_seed[block[0]].append((left[block], right[block]))
    return {seed: by_seed[seed] for seed in sorted(by_seed, key=lambda seed: (str(type(seed)), seed))}


def pairs(treated: Figures, baseline: Figures) -> Pairs:
    """Take differences by block, then the mean over a seed's blocks: the seed is the unit, however many runs it has."""
    by_seed = partners(treated, baseline)
    sides = [side for blocks in by_seed.values() for both in blocks for side in both]
    return Pairs(
        seeds=tuple(by_seed),
        differences=tuple(mean(_difference(mean(a), mean(b)) for a, b in blocks) for blocks in by_seed.values()),
        unpaired=len(treated) + len(baseline) - sum(map(len, sides)),
        several=len(sides) > 2 * len(by_seed) or any(len(side) > 1 for side in sides),
    )


def _difference(left: float, right: float) -> float:
    """Round to the 15 digits that floats of this size have, so that equal steps of accuracy stay equal."""
    size = max(abs(left), abs(right))
    return round(left - right, 14 - math.floor(math.log10(size))) if size else 0.0


def _by_block(members: Members[_T]) -> Mapping[Block, list[_T]]:
    by_block: defaultdict[Block, list[_T]] = defaultdict(list)
    for block, member in members:
        by_block[block].append(member)
    return by_block
