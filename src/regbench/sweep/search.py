"""Random and Bayesian search: Optuna asks for trials, the launcher trains them as runs, their figures are told."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from regbench.errors import UserError, not_installed
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.records.locks import is_locked
from regbench.records.run_status import study_path
from regbench.sweep.compose import Composer
from regbench.sweep.conditions import Conditions, LeftOutError
from regbench.sweep.plan import Plan, plan
from regbench.sweep.run import (
    check_limit,
    count_ended,
    is_left,
    leave_if_failed,
    resumable,
    say_left,
    show_end,
    train,
)
from regbench.sweep.search_settings import Settings
from regbench.sweep.watch import Watch
from regbench.text import plural

try:
    from regbench.sweep.space import Space
    from regbench.sweep.trials import Trials
except ModuleNotFoundError:
    raise not_installed("hydra/sweeper=optuna: Optuna", "optuna") from None


class Search:
    """A search that resumes where it was stopped: the database keeps its trials, finished or begun."""

    def __init__(
        self,
        master: DictConfig,
        loader: ConfigLoader,
        launcher: Launcher,
        settings: Settings,
        words: list[str],
        where: Sequence[str] = (),
    ) -> None:
        """Check each dimension by a few of its values.

        Raises:
            UserError: a value out of range or unknown; nothing to search.
        """
        if settings.max_seconds is not None:
            check_limit(settings.max_seconds, launcher)
        self._launcher, self._settings = launcher, settings
        self._composer = Composer(master, loader)
        self._space = Space.read(loader, words)
        self._where = Conditions(where)
        samples = [run for values in self._space.samples() if (run := self._sample(values))]
        self._where.finish(len(samples))
        first = samples[0]
        if settings.metric.startswith("val") and not first.config.data.args.get("val_size"):
            raise UserError(f"hydra.sweeper.metric={settings.metric}: needs validation images: data.val_size=5000")
        self._runtime = first.config.runtime
        self._epochs = max(run.config.epochs for run in samples)
        self._reporter = Reporter(self._runtime.progress)
        self._runs: dict[int, Run] = {}  # of this start, by the number of the trial
        self._limit: float | None = None  # seconds since 1970, after which none begins

    def _sample(self, values: Mapping[str, Any]) -> Run | None:
        """Check a sample, unless it is left out; tell how a dimension of integers is written if one was needed."""
        try:
            return self._plan(values, 0).runs[0]
        except LeftOutError:
            return None
        except UserError as error:
            key = str(error).partition("=")[0]
            if "integer" in str(error) and isinstance(values.get(key), float):
                raise UserError(f"{error}. Integers are {key}=int(interval(…))") from None
            raise

    def run(self) -> None:
        """Ask, train and tell until there are as many trials as wanted; leave with exit code 1 if one failed."""
        if self._settings.max_seconds:
            self._limit = time.time() + self._settings.max_seconds
        trials = Trials(study_path(self._runtime), self._runtime.study, self._settings, self._space)
        begun, done = trials.begun(), trials.done()
        trials.retry_failed()
        self._announce(len(begun), done)
        begun = self._abandoned(trials, begun)
        start, total = time.monotonic(), max(self._settings.n_trials - done, len(begun))
        with resumable(lambda: self._done(done)), Watch(self._reporter, total) as watch:
            while not self._is_over and (
                numbers := begun[: self._settings.batch] or trials.ask(self._runs) or self._of_others(trials)
            ):
                begun = begun[self._settings.batch :]
                self._train(trials, numbers, watch)
        self._finish(trials, time.monotonic() - start)

    def _finish(self, trials: Trials, seconds: float) -> None:
        """Show the whole table, what failed, and what is left."""
        for line in ["", *trials.table()]:
            self._reporter.say(line)
        begun = [run for run in self._runs.values() if not is_left(run)]
        if begun:
            show_end(begun, len(begun), seconds, self._reporter, [])
        leave_if_failed(begun, "trial", self._reporter)
        wanted, limit = self._settings.n_trials, self._settings.max_seconds
        if limit and self._is_over and (left := wanted - trials.done()) > 0:
            say_left(left, plural(wanted, "trial"), limit, self._reporter)

    @property
    def _is_over(self) -> bool:
        """Whether the time in which trials may begin is over."""
        return self._limit is not None and time.time() >= self._limit

    def _abandoned(self, trials: Trials, begun: Sequence[int]) -> list[int]:
        """List the begun trials that no other start is training: those of others end without us."""
        known = trials.all()
        return [number for number in begun if not self._is_trained_elsewhere(known[number].params, number)]

    def _is_trained_elsewhere(self, values: Mapping[str, Any], number: int) -> bool:
        try:
            return is_locked(self._plan(values, number).runs[0].path)
        except UserError:  # values that do not fit: told when they are tried
            return False

    def _of_others(self, trials: Trials) -> list[int]:
        """List some trials that another start of this search trains: each start ends with the whole table."""
        return [number for number in trials.begun() if number not in self._runs][: self._settings.batch]

    def _done(self, before: int) -> str:
        """Say how many trials are done, with those of earlier starts."""
        return f"{before + count_ended(self._runs.values())} of {plural(self._settings.n_trials, 'trial')}"

    def _announce(self, begun: int, done: int) -> None:
        parts = [f"{done} done already"] * bool(done) + [f"{begun} begun"] * bool(begun)
        parts += [f"{max(self._settings.n_trials - done - begun, 0)} still to run"]
        self._reporter.say(f"{plural(self._settings.n_trials, 'trial')}: {', '.join(parts)}", "bold")

    def _train(self, trials: Trials, numbers: Sequence[int], watch: Watch) -> None:
        """Train the trials of a batch together, and tell how each ended."""
        known = trials.all()
        runs: dict[int, Run] = {}
        pending: dict[Path, Run] = {}  # two trials may have the same values
        for number in numbers:
            try:
                plan = self._plan(known[number].params, number)
            except UserError as error:  # values that do not fit one another are no reason to stop
                if not isinstance(error, LeftOutError):
                    self._reporter.warn(f"trial {number}: {error}")
                trials.prune(number)
                watch.leave_out()
                continue
            stop = trials.pruning(known, number, self._epochs)
            trial = (trials.name, number)
            runs[number] = run = replace(plan.runs[0], stop=stop, trial=trial, begin_before=self._limit)
            if plan.pending:
                pending[run.path] = run
        self._runs |= runs
        try:
            train(self._launcher, list(runs.values()), list(pending.values()), watch)
        except UserError:  # the launcher refuses to train
            for number, run in runs.items():
                if run.status().state is None:
                    trials.give_back(number)
            raise
        for number, run in runs.items():
            if not is_left(run):
                trials.tell(number, run.status())

    def _plan(self, values: Mapping[str, Any], number: int) -> Plan:
        (job,) = self._composer.jobs([self._space.overrides(values)], number)
        self._where.check(job)
        return plan([job])
