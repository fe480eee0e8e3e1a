"""The trials of a search in Optuna's database: ask for them, tell how they ended, show the best."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from regbench.errors import UserError
from regbench.experiment.run import Stop
from regbench.records import epochs
from regbench.records.run_status import RunStatus
from regbench.sweep.pruning import Median
from regbench.sweep.search_settings import Direction, Settings
from regbench.sweep.space import Space

_DATABASE = "optuna.db"
_SHOWN = 10  # of the best trials
_BATCH = "batch"  # attribute of a trial: the number of the first trial that was asked for with it
_COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)  # a failed trial is tried again


class Trials:
    """The trials of one search. Another space, or another metric, is another search in the same database."""

    def __init__(self, folder: Path, name: str, settings: Settings, space: Space) -> None:
        """Open the database, which is in the folder unless the settings name another; make what is missing."""
        self._settings, self._space = settings, space
        folder.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        what = repr((sorted(space.fixed), sorted(map(repr, space.dimensions.items())), settings.metric))
        self.name = f"{name}-{hashlib.sha256(what.encode()).hexdigest()[:8]}"
        self._study = _opened(settings.storage or f"sqlite:///{folder / _DATABASE}", self.name, settings.direction)

    def all(self) -> Sequence[FrozenTrial]:
        """Return the trials as they are now, by number."""
        return self._study.get_trials(deepcopy=False)

    def begun(self) -> list[int]:
        """List the trials that an earlier start left behind."""
        return [trial.number for trial in self.all() if trial.state == TrialState.RUNNING]

    def done(self) -> int:
        """Count the trials that are not tried again."""
        return sum(trial.state in _COUNTED for trial in self.all())

    def retry_failed(self) -> None:
        """Have the values of failed trials asked for again, unless another trial has them."""
        done = [trial.params for trial in self._study.get_trials() if trial.state != TrialState.FAIL]
        for trial in self._study.get_trials(states=(TrialState.FAIL,)):
            if trial.params not in done:
                self._study.enqueue_trial(trial.params, skip_if_exists=False)

    def ask(self, tried: Collection[int]) -> list[int]:
        """Ask for the next trials and return their numbers; those that this start has `tried` are not tried again.

        A sampler draws anew at each start, so its seed moves on with the trials.
        """
        trials = self.all()
        counts = Counter(trial.state for trial in trials)
        failed = sum(trials[number].state == TrialState.FAIL for number in tried)
        left = self._settings.n_trials - failed - counts[TrialState.RUNNING] - self.done()
        self._study.sampler = self._sampler(self._settings.seed + len(trials))
        asked = [self._study.ask(dict(self._space.dimensions)) for _ in range(min(left, self._settings.batch))]
        for trial in asked:
            trial.set_user_attr(_BATCH, asked[0].number)
        return [trial.number for trial in asked]

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        if self._settings.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)  # which keeps a batch's trials apart

    def pruning(self, trials: Sequence[FrozenTrial], number: int) -> Stop | None:
        """Return what decides whether to give a trial up, by the trials that were over before its batch began."""
        if self._settings.pruner == "none":
            return None
        before = trials[: trials[number].user_attrs.get(_BATCH, number)]
        return Median(self._settings.metric, self._settings.direction, self._settings.warmup, before)

    def tell(self, number: int, status: RunStatus) -> None:
        """Tell how a trial's run ended; a run that another process trains is left to that process.

        A diverged run counts as pruned, which is worse than any other.
        """
        if status.state == "completed" or status.pruned:
            self._report(number, status.path)
        if status.result is not None:
            self._study.tell(number, status.result["best_val"][self._settings.metric], skip_if_finished=True)
        elif status.state == "diverged" or status.pruned:
            self.prune(number)
        elif status.state != "running":
            self._study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def prune(self, number: int) -> None:
        """Tell that a trial is as bad as can be."""
        self._study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)

    def _report(self, number: int, path: Path) -> None:
        """Report each epoch: later trials are compared with them, and the sampler ranks pruned trials by them."""
        trial = self.all()[number]
        for row in epochs.read(path) if trial.state == TrialState.RUNNING else ():
            if int(row["epoch"]) not in trial.intermediate_values:
                Trial(self._study, trial._trial_id).report(row[self._settings.metric], int(row["epoch"]))

    def table(self) -> list[str]:
        """Write the best trials as the lines of a table, and how many trials ended in which way."""
        keys = list(self._space.dimensions)
        sign = -1 if self._settings.direction == "maximize" else 1
        completed = [trial for trial in self.all() if trial.state == TrialState.COMPLETE]
        best = sorted(completed, key=lambda trial: (sign * float(trial.value or 0), trial.number))[:_SHOWN]
        rows = [["trial", self._settings.metric, *keys]]
        rows += [[str(trial.number), f"{trial.value:.4f}", *_values(trial, keys)] for trial in best]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        states = Counter(trial.state.name.lower() for trial in self.all())
        return [*lines, "", ", ".join(f"{count} {state}" for state, count in sorted(states.items()))]


def _opened(storage: str, name: str, direction: Direction) -> optuna.Study:
    """Open a study, or make it.

    Raises:
        UserError: the database cannot be opened.
    """
    pruner = optuna.pruners.NopPruner()
    try:
        return optuna.create_study(
            storage=storage, study_name=name, direction=direction, load_if_exists=True, pruner=pruner
        )
    except Exception as error:  # of Optuna, of SQLAlchemy, or of the database's driver
        reason = " ".join(str(error).split()).partition(" (Background")[0]
        raise UserError(
            f"hydra.sweeper.storage={storage}: cannot be opened ({type(error).__name__}: {reason[:120]}). "
            "Write a database's URL, as sqlite:///optuna.db"
        ) from None


def _values(trial: FrozenTrial, keys: Iterable[str]) -> list[str]:
    values: list[Any] = [trial.params[key] for key in keys]
    return [f"{value:.4g}" if isinstance(value, float) else str(value) for value in values]
