"""The design of a factorial sweep: the table that a model is fitted to, and whether it can be fitted."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from regbench.analysis.groups import column
from regbench.errors import UserError
from regbench.text import plural, shown

_NAMED = 3  # missing combinations


@dataclass(frozen=True)
class Design:
    """Runs by the values of some keys and the seed.

    Attributes:
        names: the keys.
        factors: the columns of the keys, `k0`, `k1`, …: formulas are evaluated, so that no key may reach one.
        every: a row for each run: `y`, `seed` and the factors, whose values are text.
        counted: the rows of the completed runs with a finite figure.
    """

    names: Sequence[str]
    factors: Sequence[str]
    every: pd.DataFrame
    counted: pd.DataFrame

    @property
    def lost(self) -> int:
        """The number of runs without a figure."""
        return len(self.every) - len(self.counted)

    def check(self) -> None:
        """Raise UserError if the design has no answer."""
        if not self.names:
            example = "regbench train -m norm=none,batch"
            raise UserError(f"effects: no key differs between the runs. Sweep over one: {example}")
        for factor, name in zip(self.factors, self.names, strict=True):
            if self.every[factor].isna().any():
                raise UserError(
                    f"effects: not every run has {name}. Name keys that all have, or leave runs out by --where"
                )
            if self.counted[factor].nunique() < 2:
                raise UserError(f"effects: {name} has fewer than two values among the completed runs")
        if self.counted["seed"].nunique() < 2:
            raise UserError("effects: one seed has no residual to test against. Train more seeds")
        self._check_complete()

    def _check_complete(self) -> None:
        present = set(self.counted[list(self.factors)].itertuples(index=False, name=None))
        cells = itertools.product(*(sorted(self.counted[factor].unique()) for factor in self.factors))
        missing = [",".join(map("=".join, zip(self.names, cell, strict=True))) for cell in cells if cell not in present]
        if missing:
            some = "; ".join(missing[:_NAMED]) + (" …" if len(missing) > _NAMED else "")
            raise UserError(
                f"effects: incomplete design, {plural(len(missing), 'combination')} without a completed run: {some}. "
                "Train them, name fewer keys, or leave runs out by --where"
            )

    def unbalanced(self) -> str | None:
        """Say so if combinations or their seeds have different numbers of runs."""
        counts = self.counted.groupby(list(self.factors)).size()
        blocks = self.counted.groupby([*self.factors, "seed"]).size()
        if blocks.nunique() == 1 and len(blocks) == len(counts) * self.counted["seed"].nunique():
            return None
        return f"Unbalanced: {counts.min()} to {counts.max()} runs per combination; the shares need not add up to 1."


def design(frame: pd.DataFrame, names: Sequence[str], figures: Sequence[float]) -> Design:
    """Lay out the runs of a frame by keys, with a figure for each run."""
    factors = [f"k{number}" for number in range(len(names))]
    columns = {factor: list(map(_text, column(frame, name))) for factor, name in zip(factors, names, strict=True)}
    every = pd.DataFrame({"y": figures, "seed": list(map(str, column(frame, "seed")))} | columns)
    statuses = column(frame, "status")
    counts = [status == "completed" and math.isfinite(y) for status, y in zip(statuses, figures, strict=True)]
    return Design(names, factors, every, every[counts])


def _text(value: object) -> str | None:
    return None if isinstance(value, float) and math.isnan(value) else shown(value)
