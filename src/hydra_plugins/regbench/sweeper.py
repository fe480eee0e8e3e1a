"""The sweeper `regbench`: every combination that is wanted, all checked before the first trains, a table at the end."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.regbench import launchers
from regbench.errors import UserError, no_such

if TYPE_CHECKING:
    from regbench.experiment.run import Run
    from regbench.sweep.job import Job
    from regbench.sweep.rounds import Rounds


@dataclass
class _GridConf:
    """Its values: `params` holds overrides as the command line does, `each` those to try one at a time.

    `union` lists grids: values in place of those for the same keys, combined with the others.
    `zip` lists keys that go in step, `where` conditions on the config (regbench.condition): a combination for which
    one is false is left out. With `plan` nothing is trained, only shown in a `format`, table or json, except `pilot`
    seeds of some rows. With `until_decided` seeds are trained in rounds, for rows that no verdict has yet: see
    regbench.sweep.rounds. After `max_seconds` no more runs begin.
    """

    _target_: str = "hydra_plugins.regbench.sweeper.GridSweeper"
    params: dict[str, Any] = field(default_factory=dict)
    each: dict[str, Any] = field(default_factory=dict)
    union: Any = field(default_factory=list)
    zip: Any = field(default_factory=list)
    where: Any = field(default_factory=list)
    plan: bool = False
    pilot: int | None = None
    format: str = "table"
    until_decided: bool = False
    baseline: str | None = None
    margin: float | None = None
    max_seeds: int = 50
    max_seconds: float | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="regbench", node=_GridConf, provider="regbench")


class GridSweeper(Sweeper):
    """Understands what Hydra's basic sweeper understands, and keys in step and conditions besides."""

    def __init__(
        self,
        params: Mapping[str, Any],
        each: Mapping[str, Any],
        union: Any,
        zip: Sequence[str] | Sequence[Sequence[str]],
        where: str | Sequence[str],
        plan: bool,
        pilot: int | None,
        format: str,
        until_decided: bool,
        max_seconds: float | None,
        **goal: Any,
    ) -> None:
        self._params, self._each, self._union = params, each, union
        self._zip, self._where, self._plan = zip, where, plan
        self._pilot, self._format = pilot, format
        self.until_decided, self.max_seconds, self._goal = until_decided, max_seconds, goal

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Prepare: Hydra calls this once, before `sweep`."""
        self._config, self._loader = config, hydra_context.config_loader
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Train all that the arguments combine to, or what decides."""
        self._check()
        try:
            self._sweep(arguments)
        finally:
            launchers.close(self.launcher)

    def _sweep(self, arguments: list[str]) -> None:
        from regbench.sweep.run import run, show_plan

        if self._plan:
            jobs = self._first_round(arguments) if self.until_decided else self.jobs(arguments)
            show_plan(self.launcher, jobs, self._pilot, as_json=self._format == "json")
        elif self.until_decided:
            self.rounds(arguments).run()
        else:
            run(self.launcher, self.jobs(arguments), self.max_seconds)

    def train(self, arguments: list[str]) -> "list[Run]":
        """Train the same from Python, and show nothing; return the runs that have begun.

        Raises:
            UserError: a setting or something in one of the runs does not fit, or only a plan is wanted.
        """
        self._check()
        if self._plan:
            raise UserError("hydra.sweeper.plan: regbench.sweep trains. To plan: regbench train -m … --plan")
        from regbench.sweep.run import trained

        try:
            if self.until_decided:
                return self.rounds(arguments).train()
            return trained(self.launcher, self.jobs(arguments), self.max_seconds)
        finally:
            launchers.close(self.launcher)

    def _check(self) -> None:
        """Raise UserError unless the settings fit one another."""
        if self._format not in (formats := ("table", "json")):
            raise UserError(
                f"hydra.sweeper.format={self._format}: {no_such('format', self._format, 'a plan', formats)}"
            )
        if self.until_decided and self.max_seconds is not None:
            raise UserError("hydra.sweeper.max_seconds: ends a grid, and --until-decided has rounds: leave out one")

    def rounds(self, arguments: list[str]) -> "Rounds":
        """Prepare the rounds of a sweep that ends when each row is decided."""
        from regbench.sweep.rounds import Goal, Rounds

        first = self._first_round(arguments)
        return Rounds(self.launcher, first, lambda seeds: self._of_seeds(arguments, seeds), Goal(**self._goal))

    def _first_round(self, arguments: Sequence[str]) -> "Iterable[Job]":
        """Compose the seeds that the arguments name, or as many as a verdict needs."""
        from regbench.sweep.rounds import FIRST
        from regbench.sweep.rows import sets_seed

        names_seeds = "seed" in self._params or any(map(sets_seed, arguments))
        return self.jobs(list(arguments)) if names_seeds else self._of_seeds(arguments, range(FIRST))

    def _of_seeds(self, arguments: Sequence[str], seeds: Sequence[int]) -> "Iterable[Job]":
        from regbench.sweep.rows import sets_seed

        others = [word for word in arguments if not sets_seed(word)]
        return self.jobs([*others, f"seed={','.join(map(str, seeds))}"])

    def jobs(self, arguments: list[str]) -> "Iterable[Job]":
        """Compose all that the arguments combine to."""
        from regbench.experiment.reporter import Reporter
        from regbench.sweep import grid, yaml_values
        from regbench.sweep.compose import Composer
        from regbench.sweep.rows import sets_seed

        params, each = yaml_values.overrides(self._params), yaml_values.overrides(self._each)
        union = yaml_values.grids(self._union)
        if self.until_decided and any(sets_seed(word) for words in union for word in words):
            raise UserError("hydra.sweeper.union: a grid sets the seed, which --until-decided adds")
        overrides = grid.expand(self._loader, params, arguments, yaml_values.groups(self._zip), each, union)
        jobs = Composer(self._config, self._loader).jobs(overrides)
        if where := yaml_values.conditions(self._where):
            return grid.matching(
                jobs, where, Reporter("off" if self._format == "json" else str(self._config.runtime.progress))
            )
        return jobs
