"""Whether a search gives a trial up: asked after each epoch, in whatever process trains it.

The answer depends on the trial's own epochs and on trials that were over before its batch began, not on those beside
it: it is the same in any company and on any engine, and after any interruption.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from regbench.sweep.search_settings import Direction

_Rows = Sequence[Mapping[str, Any]]  # of metrics.csv


class Median:
    """Optuna's MedianPruner: it gives a trial up whose best figure is worse than the median of others by then."""

    def __init__(self, metric: str, direction: Direction, warmup: int, trials: Sequence[FrozenTrial]) -> None:
        """`warmup`: epochs after which none is pruned; `trials`: those that were over before."""
        self._metric, self._direction, self._warmup = metric, direction, warmup
        over = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        self._others = [create_trial(value=t.value, intermediate_values=t.intermediate_values) for t in over]
        self._epoch, self._answer = 0, False

    @cached_property
    def _trial(self) -> optuna.Trial:
        """A copy of the trial among the others, in memory. It is made when first asked for: a worker gets none sent."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        pruner = optuna.pruners.MedianPruner(n_warmup_steps=self._warmup + 1)  # the first step that may be pruned
        study = optuna.create_study(direction=self._direction, pruner=pruner)
        study.add_trials(self._others)
        return study.ask()

    def __call__(self, rows: _Rows) -> bool:
        """Whether to give the trial up after these epochs."""
        for row in rows[self._epoch :]:
            self._trial.report(row[self._metric], row["epoch"])
            self._epoch, self._answer = row["epoch"], bool(self._trial.should_prune())
        return self._answer
