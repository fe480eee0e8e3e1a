"""What a search tries next: a sampler whose draws depend on the number of the trial."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from regbench.errors import not_installed
from regbench.sweep.search_settings import Sampler


class _PlaceInSequence(QMCSampler):
    """A point of the scrambled Sobol sequence, by its number.

    Optuna counts the points in the study instead, where two starts may read the same count.
    """

    def __init__(self, seed: int, number: int, independent: BaseSampler) -> None:
        super().__init__(scramble=True, seed=seed, independent_sampler=independent, warn_independent_sampling=False)
        self._number = number

    def _find_sample_id(self, *_: Any) -> int:
        return self._number


class ByNumber(BaseSampler):
    """Optuna's sampler, seeded anew for each trial by its number.

    Two starts of one search ask for different trials, and a search that is stopped and started again draws as if it
    had not been stopped.
    """

    def __init__(self, name: Sampler, seed: int) -> None:
        """Prepare the sampler.

        Raises:
            UserError: a package that it needs is not installed.
        """
        if name == "cmaes" and not find_spec("cmaes"):
            raise not_installed("hydra.sweeper.sampler=cmaes: the package cmaes", "optuna")
        self._name, self._seed = name, seed
        self._made: tuple[int, BaseSampler] | None = None

    def _of(self, number: int) -> BaseSampler:
        if not self._made or self._made[0] != number:
            self._made = number, self._sampler(number)
        return self._made[1]

    def _sampler(self, number: int) -> BaseSampler:
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        match self._name:
            case "tpe":
                return TPESampler(seed=seed, constant_liar=True)  # which keeps a batch's trials apart
            case "random":
                return RandomSampler(seed=seed)
            case "qmc":
                return _PlaceInSequence(self._seed, number, RandomSampler(seed=seed))
            case "cmaes":
                return CmaEsSampler(seed=seed, warn_independent_sampling=False)
            case "gp":
                return GPSampler(seed=seed)

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
