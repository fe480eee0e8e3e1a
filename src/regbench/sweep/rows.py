"""The rows that the runs of a sweep make in its table, known from their overrides before any is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from regbench.experiment.run import Run
from regbench.sweep import comparison

if TYPE_CHECKING:
    from regbench.analysis.verdict import Runs

Words = tuple[str, ...]  # the overrides of a row: those of its runs without the seed
METRIC = "test_acc"


def words_of(overrides: Sequence[str]) -> Words:
    """Return the overrides of a run's row."""
    return tuple(word for word in overrides if not sets_seed(word))


def sets_seed(word: str) -> bool:
    """Tell whether an override is that of the seed."""
    return word.lstrip("+").startswith("seed=")


@dataclass(frozen=True)
class Rows:
    """The runs of a sweep by row. Rows that a `first` round of runs has are all that there are."""

    first: Sequence[Run]

    @cached_property
    def words(self) -> list[Words]:
        """The overrides of each row."""
        return list(dict.fromkeys(words_of(run.overrides) for run in self.first))

    @cached_property
    def keys(self) -> list[str]:
        """The keys in which rows differ."""
        return list(comparison.base_values(self.first))

    def names(self, places: Sequence[int]) -> str:
        """Name rows by the overrides that not all rows share."""
        shared = set.intersection(*map(set, self.words))
        return ", ".join(" ".join(word for word in self.words[place] if word not in shared) for place in places)

    def baselines(self, wanted: str | None) -> tuple[str, Sequence[int | None]]:
        """Return the baseline as a user names it, and the number of each row's baseline.

        Args:
            wanted: the baseline that the user names; None: the one that `comparison` chooses.

        Raises:
            UserError: there is no such row, or nothing to compare.
        """
        from regbench.analysis import baseline  # pandas takes its time
        from regbench.errors import UserError, no_such

        if len(self.words) < 2 or not self.keys:
            raise UserError(
                "--until-decided: compares rows, and the sweep has one. Sweep over a key, as norm=none,batch"
            )
        label = wanted or comparison.baseline(self.first)
        if label is None:
            raise UserError(f"--until-decided: needs a --baseline to compare with: a value of {', '.join(self.keys)}")
        groups = [self.values(words) for words in self.words]
        for key in baseline.spec([label]) if label != "default" else ():
            if key not in self.keys:
                raise UserError(f"--baseline {key}: {no_such('key', key, 'the sweep', self.keys)}")
        if label == "default":
            return label, baseline.default(groups, comparison.base_values(self.first))
        return label, baseline.baselines(groups, baseline.spec([label]))

    def values(self, words: Words) -> Mapping[str, Any]:
        """Return a row's values of the keys in which rows differ."""
        values = comparison.values(self._one_of[words])
        return {key: values[key] for key in self.keys if key in values}

    @cached_property
    def _one_of(self) -> Mapping[Words, Run]:
        return {words_of(run.overrides): run for run in reversed(self.first)}

    def outcomes(self, runs: Sequence[Run]) -> "list[Runs]":
        """Return the figures that the runs have so far, by row and seed, and which of them diverged."""
        from regbench.analysis.verdict import Runs

        figures: dict[Words, dict[int, float]] = {words: {} for words in self.words}
        diverged: dict[Words, dict[int, bool]] = {words: {} for words in self.words}
        for run in runs:
            status, row = run.status(), words_of(run.overrides)
            if status.state in ("completed", "diverged"):
                diverged[row][run.config.seed] = status.state == "diverged"
            if status.state == "completed" and status.result:
                figures[row][run.config.seed] = status.result["best_val"][METRIC]
        return [
            Runs(
                [((seed,), value) for seed, value in figures[words].items()],
                [((seed,), is_lost) for seed, is_lost in diverged[words].items()],
            )
            for words in self.words
        ]
