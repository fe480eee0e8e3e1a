"""The design of a factorial sweep: the table that a model is fitted to, and whether it can be fitted."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from regbench.analysis.groups import column
from regbench.errors import UserError
from regbench.text import shown

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
        if self._is_one_change_at_a_time():
            number = f"{self._lacking():,} combinations without a run"
            raise UserError(
                f"effects: one change at a time is no factorial design ({number}). "
                "Compare each change with the default: regbench summary --baseline default"
            )
        self._check_values()
        self._check_complete()

    def _is_one_change_at_a_time(self) -> bool:
        """Tell whether each combination differs in one key at most from that of the most common values."""
        cells = self.every[list(self.factors)].drop_duplicates()
        changes = sum((cells[factor] != self.every[factor].mode()[0]).astype(int) for factor in self.factors)
        return len(self.factors) > 1 and bool((changes <= 1).all()) and self._lacking() > 0

    def _check_values(self) -> None:
        for factor, name in zip(self.factors, self.names, strict=True):
            if lost := sorted(set(self.every[factor]) - set(self.counted[factor])):
                raise UserError(
                    f"effects: no completed run has {name}={lost[0]}. Leave it out by --where '{name} != {lost[0]}'; "
                    f"summary --baseline {name}=VALUE compares how often runs diverge"
                )
            if self.counted[factor].nunique() < 2:
                raise UserError(f"effects: {name} has fewer than two values among the runs")
        if self.counted["seed"].nunique() < 2:
            raise UserError("effects: one seed has no residual to test against. Train more seeds")

    def _present(self) -> set[tuple[str, ...]]:
        return set(self.counted[list(self.factors)].itertuples(index=False, name=None))

    def _lacking(self) -> int:
        """Count the combinations without a completed run: there may be far too many to list."""
        return math.prod(self.every[factor].nunique() for factor in self.factors) - len(self._present())

    def _check_complete(self) -> None:
        if not (lacking := self._lacking()):
            return
        present, values = self._present(), [sorted(self.counted[factor].unique()) for factor in self.factors]
        missing = itertools.islice((cell for cell in itertools.product(*values) if cell not in present), _NAMED)
        some = "; ".join(",".join(map("=".join, zip(self.names, cell, strict=True))) for cell in missing)
        number = f"{lacking:,} combination{'s' * (lacking > 1)} without a completed run"
        raise UserError(
            f"effects: incomplete design, {number}: {some}{' …' if lacking > _NAMED else ''}. "
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
