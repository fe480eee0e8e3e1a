"""What is known of tuned values: what a row had to choose from, what it chose, and what is doubtful about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from regbench.text import shown

Values = tuple[Any, ...]  # one for each tuned key; NaN where the row's option does not have the key
End = Literal["smallest", "largest"]


@dataclass(frozen=True)
class Edge:
    """A chosen value at an end of its grid: a better one may lie beyond."""

    key: str
    value: float
    end: End


@dataclass(frozen=True)
class Choice:
    """What a row had to choose from, and what it chose.

    Attributes:
        chosen: values of the tuned keys, each with the number of seeds that it was chosen for, the most frequent first.
        values: the number of combinations that the row was trained with.
        runs: the number of its runs with these.
        edges: the chosen values that are the least or the greatest of theirs.
        missing: the number of combinations of the row's own values that were not trained.
        diverged: combinations with diverged runs, and the number of these.
        fewer: combinations that trained to an end at fewer seeds than others of the row, and the number of their seeds.
    """

    chosen: tuple[tuple[Values, int], ...] = ()
    values: int = 0
    runs: int = 0
    edges: tuple[Edge, ...] = ()
    missing: int = 0
    diverged: tuple[tuple[Values, int], ...] = ()
    fewer: tuple[tuple[Values, int], ...] = ()

    @property
    def words(self) -> str:
        """All chosen values in a word or two: `0.001`, `0.01 0.9 (8), 0.1 0.9 (2)`; empty if there are none."""
        if len(self.chosen) == 1:
            return written(self.chosen[0][0])
        return ", ".join(f"{written(values)} ({seeds})" for values, seeds in self.chosen)


def written(values: Sequence[Any]) -> str:
    """Write values of tuned keys: `0.01 0.9`; a key that the row's option lacks is `-`."""
    return " ".join("-" if value != value else shown(value) for value in values)


@dataclass(frozen=True)
class Tuning:
    """How values were chosen: the keys, the figure whose mean over earlier seeds chose, and from how many runs."""

    keys: tuple[str, ...]
    metric: str
    runs: int
