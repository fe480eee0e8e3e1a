"""Each row's figures beside those of its baseline, seed by seed."""

from collections import defaultdict
from dataclasses import dataclass
from statistics import mean
from typing import Any

from regbench.analysis.baseline import baselines
from regbench.analysis.default_run import DEFAULT
from regbench.analysis.table import Row, Table
from regbench.errors import UserError


@dataclass(frozen=True)
class Joined:
    """A row, its baseline, and for each seed of both: the seed, the baseline's figure and the row's."""

    row: Row
    baseline: Row
    pairs: tuple[tuple[Any, float, float], ...]


def joined(table: Table) -> list[Joined]:
    """Join each row's figures to its baseline's; several of one seed are averaged.

    Raises:
        UserError: the table has no baseline.
    """
    return [
        Joined(row, base, tuple((seed, theirs[seed], value) for seed, value in by_seed(row).items() if seed in theirs))
        for row, base in partners(table)
        for theirs in (by_seed(base),)
    ]


def partners(table: Table) -> list[tuple[Row, Row]]:
    """Return each row that has a baseline, with its baseline's row.

    Raises:
        UserError: the table has no baseline.
    """
    if table.contrast is None:
        raise UserError("this picture compares rows with a baseline: add --baseline, as in --baseline norm=none")
    if table.contrast.label == DEFAULT:
        base = next(row for row in table.rows if row.comparison and row.comparison.verdict == "baseline")
        return [(row, base) for row in table.rows if row is not base]
    numbers = baselines([row.group for row in table.rows], table.contrast.baseline)
    pairs = [(row, table.rows[base]) for row, base in zip(table.rows, numbers, strict=True) if base is not None]
    return [(row, base) for row, base in pairs if row is not base]


def by_seed(row: Row) -> dict[Any, float]:
    """Return a row's figure for each seed, the mean where it has several runs."""
    values: defaultdict[Any, list[float]] = defaultdict(list)
    for seed, value in row.figures:
        values[seed].append(value)
    return {seed: mean(of_seed) for seed, of_seed in values.items()}
