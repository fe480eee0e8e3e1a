"""Random and Bayesian search: Optuna asks for trials, the launcher trains them as runs, their figures are told."""

import hashlib
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig
from pydantic import Field, ValidationError

from regbench.config.registry import Checked
from regbench.config.wording import wrong_value
from regbench.errors import FAILED, UserError
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run, Stop
from regbench.records import epochs
from regbench.sweep.compose import Composer
from regbench.sweep.grid import values_of
from regbench.sweep.plan import Plan, plan
from regbench.sweep.run import again, failures, hand_over
from regbench.sweep.watch import Watch
from regbench.text import plural

try:
    import optuna
    from optuna.trial import FrozenTrial, Trial, TrialState

    from regbench.sweep.pruning import Direction, Median
    from regbench.sweep.space import distribution, samples, written
except ModuleNotFoundError:
    raise UserError("hydra/sweeper=optuna: needs Optuna: pip install 'regbench[optuna]'") from None

DATABASE = "optuna.db"
SHOWN = 10  # of the best trials
BATCH = "batch"  # attribute of a trial: the number of the first one that was asked for with it
COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)  # a failed trial is tried again


class Settings(Checked):
    """What `hydra.sweeper` sets."""

    n_trials: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)]
    sampler: Literal["tpe", "random"]
    metric: Literal["val_loss", "val_acc", "train_loss", "train_acc"]
    pruner: Literal["median", "none"]
    warmup: Annotated[int, Field(ge=0)]
    seed: Annotated[int, Field(ge=0)]
    storage: str | None


def check(values: Mapping[str, Any]) -> Settings:
    """The settings, checked.

    Raises:
        UserError: one is wrong. The test images choose nothing: no metric is theirs.
    """
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise UserError(wrong_value(error, Settings, "hydra.sweeper.")) from None


class Search:
    """A search that goes on where it was stopped: trials, finished or begun, are kept in the database."""

    def __init__(
        self, master: DictConfig, loader: ConfigLoader, launcher: Launcher, settings: Settings, words: list[str]
    ) -> None:
        """Check each dimension by a few of its values.

        Raises:
            UserError: a value out of range or unknown; nothing to search.
        """
        self._launcher, self._settings = launcher, settings
        self._composer = Composer(master, loader)
        parsed = {
            each.get_key_element(): each for each in OverridesParser.create(config_loader=loader).parse_overrides(words)
        }
        self._space = {key: distribution(each) for key, each in parsed.items() if each.is_sweep_override()}
        self._fixed = [word for key, each in parsed.items() if key not in self._space for word in values_of(each)]
        if not self._space:
            raise UserError("hydra/sweeper=optuna: nothing to search, as in optimizer.lr=tag(log,interval(1e-4,1e-1))")
        first, *_ = [self._plan(params, 0).runs[0] for params in samples(self._space)]
        if settings.metric.startswith("val") and not first.config.data.args.get("val_size"):
            raise UserError(f"hydra.sweeper.metric={settings.metric}: needs validation images: data.val_size=5000")
        self._config = first.config
        self._reporter = Reporter(first.config.runtime.progress)
        self._runs: dict[int, Run] = {}

    def run(self) -> None:
        """Ask, train and tell until there are as many trials as wanted; leaves with exit code 1 if one failed."""
        study = self._open()
        begun = [trial.number for trial in study.get_trials(states=(TrialState.RUNNING,))]
        self._retry_failed(study)
        self._announce(study, len(begun))
        done = len(study.get_trials(deepcopy=False, states=COUNTED))
        with Watch(self._reporter, max(self._settings.n_trials - done, len(begun))) as watch:
            while numbers := begun[: self._settings.batch] or self._ask(study):
                begun = begun[self._settings.batch :]
                self._train(study, numbers, watch)
        self._show_best(study)
        if failed := failures(list(self._runs.values())):
            self._reporter.say(f"\n{plural(len(failed), 'trial')} not completed:", "bold red")
            for line in failed:
                self._reporter.say(f"  {line}")
            self._reporter.say(f"Once more, only these: {again()}")
            sys.exit(FAILED)

    @property
    def _direction(self) -> Direction:
        return "maximize" if self._settings.metric.endswith("acc") else "minimize"

    def _open(self) -> "optuna.Study":
        """The study of this space in the database; another space, or another metric, is another study."""
        place = Path(self._config.runtime.dir) / self._config.runtime.study
        place.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        what = repr((sorted(self._fixed), sorted(map(repr, self._space.items())), self._settings.metric))
        return optuna.create_study(
            storage=self._settings.storage or f"sqlite:///{place / DATABASE}",
            study_name=f"{self._config.runtime.study}-{hashlib.sha256(what.encode()).hexdigest()[:8]}",
            direction=self._direction,
            load_if_exists=True,
            pruner=optuna.pruners.NopPruner(),
        )

    def _retry_failed(self, study: "optuna.Study") -> None:
        done = [trial.params for trial in study.get_trials() if trial.state != TrialState.FAIL]
        for trial in study.get_trials(states=(TrialState.FAIL,)):
            study.enqueue_trial(trial.params, skip_if_exists=False) if trial.params not in done else None

    def _announce(self, study: "optuna.Study", begun: int) -> None:
        done = len(study.get_trials(states=COUNTED))
        parts = [f"{done} done already"] * bool(done) + [f"{begun} begun"] * bool(begun)
        parts += [f"{max(self._settings.n_trials - done - begun, 0)} to ask for"]
        self._reporter.say(f"{plural(self._settings.n_trials, 'trial')}: {', '.join(parts)}", "bold")

    def _ask(self, study: "optuna.Study") -> list[int]:
        """The numbers of the next trials. A sampler draws anew at each start, so its seed moves on with the trials."""
        trials = study.get_trials(deepcopy=False)
        counts = Counter(trial.state for trial in trials)
        failed = sum(trials[number].state == TrialState.FAIL for number in self._runs)
        left = self._settings.n_trials - failed - counts[TrialState.RUNNING] - sum(counts[state] for state in COUNTED)
        study.sampler = self._sampler(self._settings.seed + len(trials))
        asked = [study.ask(self._space) for _ in range(min(left, self._settings.batch))]
        for trial in asked:
            trial.set_user_attr(BATCH, asked[0].number)
        return [trial.number for trial in asked]

    def _sampler(self, seed: int) -> "optuna.samplers.BaseSampler":
        if self._settings.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)  # which keeps a batch's trials apart

    def _train(self, study: "optuna.Study", numbers: Sequence[int], watch: Watch) -> None:
        trials = study.get_trials(deepcopy=False)
        pending: dict[Path, Run] = {}
        for number in numbers:
            try:
                plan = self._plan(trials[number].params, number)
            except UserError as error:  # values that do not fit one another: as bad as can be, and no reason to stop
                self._reporter.warn(f"trial {number}: {error}")
                study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)
                watch.leave_out()
                continue
            self._runs[number] = run = replace(plan.runs[0], stop=self._pruning(trials, number))
            if plan.pending:
                pending[run.path] = run
        mine = [number for number in numbers if number in self._runs]
        runs = [self._runs[number] for number in mine]
        hand_over(self._launcher, runs, list(pending.values()), watch)
        for number in mine:
            self._tell(study, number)

    def _pruning(self, trials: Sequence[FrozenTrial], number: int) -> Stop | None:
        if self._settings.pruner == "none":
            return None
        before = trials[: trials[number].user_attrs.get(BATCH, number)]
        return Median(self._settings.metric, self._direction, self._settings.warmup, before)

    def _plan(self, params: Mapping[str, Any], number: int) -> Plan:
        words = [f"{key}={written(value)}" for key, value in params.items()]
        return plan(self._composer, [[*self._fixed, *words]], number)

    def _tell(self, study: "optuna.Study", number: int) -> None:
        """A diverged run is pruned, which counts as worse than any other; one in other hands is left to them."""
        status = self._runs[number].status()
        if status.state == "completed" or status.pruned:
            self._report(study, number, status.path)
        if status.result is not None:
            study.tell(number, status.result["best_val"][self._settings.metric], skip_if_finished=True)
        elif status.state == "diverged" or status.pruned:
            study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)
        elif status.state != "running":
            study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def _report(self, study: "optuna.Study", number: int, path: Path) -> None:
        """What later trials are compared with, and by which the sampler ranks those that were pruned."""
        frozen = study.get_trials(deepcopy=False)[number]
        for row in epochs.read(path) if frozen.state == TrialState.RUNNING else ():
            if int(row["epoch"]) not in frozen.intermediate_values:
                Trial(study, frozen._trial_id).report(row[self._settings.metric], int(row["epoch"]))

    def _show_best(self, study: "optuna.Study") -> None:
        trials = study.get_trials(states=(TrialState.COMPLETE,))
        sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
        best = sorted(trials, key=lambda trial: (sign * float(trial.value or 0), trial.number))[:SHOWN]
        headings = ["trial", self._settings.metric, *self._space]
        rows = [headings, *([str(t.number), f"{t.value:.4f}", *_params(t, self._space)] for t in best)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        self._reporter.say("")
        for row in rows:
            self._reporter.say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        states = Counter(trial.state.name.lower() for trial in study.get_trials())
        self._reporter.say(f"\n{', '.join(f'{count} {state}' for state, count in sorted(states.items()))}")


def _params(trial: FrozenTrial, keys: Iterable[str]) -> list[str]:
    return [f"{value:.4g}" if isinstance(value := trial.params[key], float) else str(value) for key in keys]
