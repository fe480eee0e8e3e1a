"""The trials of a search in Optuna's storage: ask for them, tell how they ended, show the best."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from regbench.experiment.run import Stop
from regbench.records import epochs
from regbench.records.run_status import RunStatus
from regbench.sweep.pruning import Pruning
from regbench.sweep.sampling import ByNumber
from regbench.sweep.search_settings import Settings
from regbench.sweep.space import Space
from regbench.sweep.storage import opened

_DATABASE = "optuna.db"
_SHOWN = 10  # of the best trials
_BATCH = "batch"  # attribute of a trial: the number of the first trial that was asked for with it
_SURPLUS = "surplus"  # attribute of a trial that another start asked for in its place
_COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)  # a failed trial is tried again


class Trials:
    """The trials of one search. Another space, or another metric, is another search in the same database."""

    def __init__(self, folder: Path, name: str, settings: Settings, space: Space) -> None:
        """Open the database, which is in the folder unless the settings name another; make what is missing."""
        self._settings, self._space = settings, space
        sampler = ByNumber(settings.sampler, settings.seed)
        if not settings.storage:
            folder.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        what = repr((sorted(space.fixed), sorted(map(repr, space.dimensions.items())), settings.metric))
        self.name = f"{name}-{hashlib.sha256(what.encode()).hexdigest()[:8]}"
        self._study = opened(settings.storage or f"sqlite:///{folder / _DATABASE}", self.name, settings.direction)
        self._study.sampler = sampler

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
        there = [trial for trial in self._study.get_trials() if trial.state != TrialState.FAIL]
        done = [trial.params or trial.system_attrs.get("fixed_params") for trial in there]
        for trial in self._study.get_trials(states=(TrialState.FAIL,)):
            if trial.params not in done and _SURPLUS not in trial.user_attrs:
                self._study.enqueue_trial(trial.params, skip_if_exists=False)

    def ask(self, tried: Collection[int]) -> list[int]:
        """Ask for the next trials and return their numbers; those that this start has `tried` are not tried again.

        What a sampler draws depends on the number of the trial, which no other start gets.
        """
        trials = self.all()
        counts = Counter(trial.state for trial in trials)
        failed = sum(trials[number].state == TrialState.FAIL for number in tried)
        left = self._settings.n_trials - failed - counts[TrialState.RUNNING] - self.done()
        asked: list[int] = []
        for _ in range(min(left, self._settings.batch)):
            trial = self._study.ask(dict(self._space.dimensions))
            if self._is_surplus(trial.number):
                trial.set_user_attr(_SURPLUS, True)
                self._study.tell(trial, state=TrialState.FAIL)
                break
            asked.append(trial.number)
            with _told_meanwhile():
                trial.set_user_attr(_BATCH, asked[0])
        return asked

    def _is_surplus(self, number: int) -> bool:
        """Tell whether other starts have asked for all trials that were left, since these were counted."""
        before = self.all()[:number]
        return sum(trial.state != TrialState.FAIL for trial in before) >= self._settings.n_trials

    def pruning(self, trials: Sequence[FrozenTrial], number: int, epochs: int) -> Stop | None:
        """Return what decides whether to give a trial up, by the trials that were over before its batch began.

        `epochs` are the most that a trial of this search has.
        """
        if self._settings.pruner == "none":
            return None
        before = trials[: trials[number].user_attrs.get(_BATCH, number)]
        return Pruning(self._settings, epochs, self.name, number, before)

    def tell(self, number: int, status: RunStatus) -> None:
        """Tell how a trial's run ended; a run that another process trains is left to that process.

        A diverged run counts as pruned, which is worse than any other.
        """
        with _told_meanwhile():
            self._tell(number, status)

    def _tell(self, number: int, status: RunStatus) -> None:
        if status.state == "completed" or status.pruned:
            self._report(number, status.path)
        if status.result is not None:
            self._study.tell(number, status.result["best_val"][self._settings.metric], skip_if_finished=True)
        elif status.state == "diverged" or status.pruned:
            self.prune(number)
        elif status.state != "running":
            self._study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def give_back(self, number: int) -> None:
        """Have a trial that nobody trains be the next that is asked for, by whichever start."""
        trial = self.all()[number]
        with _told_meanwhile():
            self._study._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)

    def prune(self, number: int) -> None:
        """Tell that a trial is as bad as can be."""
        with _told_meanwhile():
            self._study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)

    def _report(self, number: int, path: Path) -> None:
        """Report each epoch: later trials are compared with them, and the sampler ranks pruned trials by them."""
        trial = self.all()[number]
        for row in epochs.read(path) if trial.state == TrialState.RUNNING else ():
            if int(row["epoch"]) not in trial.intermediate_values:
                with warnings.catch_warnings(action="ignore"):  # another start may have told the same
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
        asked = [trial for trial in self.all() if _SURPLUS not in trial.user_attrs]
        states = Counter(trial.state.name.lower() for trial in asked)
        return [*lines, "", ", ".join(f"{count} {state}" for state, count in sorted(states.items()))]


def _told_meanwhile() -> AbstractContextManager[None]:
    """Let another start, which looked after the same trial, have been quicker: it tells the same."""
    return suppress(optuna.exceptions.UpdateFinishedTrialError)


def _values(trial: FrozenTrial, keys: Iterable[str]) -> list[str]:
    values: list[Any] = [trial.params[key] for key in keys]
    return [f"{value:.4g}" if isinstance(value, float) else str(value) for value in values]
