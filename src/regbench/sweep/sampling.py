"""What a search tries next: a sampler whose draws depend on the number of the trial."""

from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState


class ByNumber(BaseSampler):
    """Optuna's sampler, seeded anew for each trial by its number.

    Two starts of one search ask for different trials, and a search that is stopped and started again draws as if it
    had not been stopped.
    """

    def __init__(self, name: Literal["tpe", "random"], seed: int) -> None:
        self._name, self._seed = name, seed
        self._made: tuple[int, BaseSampler] | None = None

    def _of(self, number: int) -> BaseSampler:
        if not self._made or self._made[0] != number:
            seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
            self._made = number, self._sampler(seed)
        return self._made[1]

    def _sampler(self, seed: int) -> BaseSampler:
        if self._name == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)  # which keeps a batch's trials apart

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As the sampler of this trial."""
        return self._of(trial.number).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the sampler of this trial."""
        return self._of(trial.number).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As the sampler of this trial."""
        return self._of(trial.number).sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Keep nothing of a trial that has ended."""
