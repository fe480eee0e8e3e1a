"""Whether a search gives a trial up: asked after each epoch, in whatever process trains it.

The answer depends on the trial's own epochs and on trials that were over before its batch began, not on those beside
it: it is the same in any company and on any engine, and after any interruption.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.trial import FrozenTrial, TrialState, create_trial

from regbench.sweep.search_settings import Settings

_Rows = Sequence[Mapping[str, Any]]  # of metrics.csv


class Pruning:
    """Optuna's pruner, asked about one trial.

    The median gives a trial up whose best figure is worse than the median of others by then. Successive halving keeps
    the best quarter after epochs 1, 4, 16, …; Hyperband the best third after 1, 3, 9, …, and some trials start later.
    """

    def __init__(
        self, settings: Settings, epochs: int, search: str, number: int, trials: Sequence[FrozenTrial]
    ) -> None:
        """Prepare for a trial.

        Args:
            settings: the pruner, the metric, and the epochs in which no trial is pruned.
            epochs: the most that a trial of the search has.
            search: its name, by which Hyperband divides the trials.
            number: of the trial.
            trials: those that were asked for before its batch, by their numbers.
        """
        self._settings, self._epochs, self._search, self._number = settings, epochs, search, number
        self._before = [
            (trial.state, trial.value if trial.state == TrialState.COMPLETE else None, trial.intermediate_values)
            for trial in trials
        ]
        self._epoch, self._answer = 0, False

    @cached_property
    def _trial(self) -> optuna.Trial:
        """A copy of the trial among the others, in memory. It is made when first asked for: a worker gets none sent."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.RandomSampler(seed=0)
        study = optuna.create_study(
            study_name=self._search, direction=self._settings.direction, sampler=sampler, pruner=self._pruner()
        )
        for state, value, steps in self._before:
            self._add(study, state, value, steps)
        for _ in range(len(self._before), self._number):  # of its own batch: nothing but their numbers
            study.add_trial(create_trial(state=TrialState.FAIL))
        return study.ask()

    def _pruner(self) -> BasePruner:
        first = self._settings.warmup + 1  # the first epoch after which a trial may be pruned
        match self._settings.pruner:
            case "median":
                return MedianPruner(n_warmup_steps=first)
            case "successive_halving":
                return SuccessiveHalvingPruner(min_resource=first)
            case "hyperband":
                return HyperbandPruner(min_resource=first, max_resource=max(first, self._epochs))
            case "none":
                return NopPruner()

    def _add(self, study: optuna.Study, state: TrialState, value: float | None, steps: Mapping[int, float]) -> None:
        """Add a trial that is over; one that is not counts as none."""
        if state not in (TrialState.COMPLETE, TrialState.PRUNED):
            study.add_trial(create_trial(state=TrialState.FAIL))
        elif self._settings.pruner == "median":
            study.add_trial(create_trial(state=state, value=value, intermediate_values=dict(steps)))
        else:
            trial = study.ask()
            for step, figure in sorted(steps.items()):
                trial.report(figure, step)
                trial.should_prune()  # which marks how far the trial came
            study.tell(trial, value, state)

    def __call__(self, rows: _Rows) -> bool:
        """Whether to give the trial up after these epochs."""
        for row in rows[self._epoch :]:
            self._trial.report(row[self._settings.metric], row["epoch"])
            self._epoch, self._answer = row["epoch"], bool(self._trial.should_prune())
        return self._answer
