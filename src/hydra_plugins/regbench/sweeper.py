"""The sweeper `regbench`: every combination that is wanted, all checked before the first trains, a table at the end."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class GridConf:
    """Its values: `params` holds overrides as the command line does, `each` those to try one at a time.

    `zip` lists keys that go in step, `where` conditions on the config (regbench.condition): a combination for which
    one is false is left out. With `plan` nothing is trained, only shown.
    """

    _target_: str = "hydra_plugins.regbench.sweeper.GridSweeper"
    params: dict[str, str] = field(default_factory=dict)
    each: dict[str, str] = field(default_factory=dict)
    zip: list[list[str]] = field(default_factory=list)
    where: list[str] = field(default_factory=list)
    plan: bool = False


ConfigStore.instance().store(group="hydra/sweeper", name="regbench", node=GridConf, provider="regbench")


class GridSweeper(Sweeper):
    """Understands what Hydra's basic sweeper understands, and keys in step and conditions besides."""

    def __init__(
        self,
        params: Mapping[str, str],
        each: Mapping[str, str],
        zip: Sequence[Sequence[str]],
        where: Sequence[str],
        plan: bool,
    ) -> None:
        self._params, self._each, self._zip, self._where, self._plan = params, each, zip, where, plan

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called once, before `sweep`."""
        self._config, self._loader = config, hydra_context.config_loader
        # Before torch is loaded: how long a waiting thread spins before it sleeps. Sweeps on 2 cores, by default, with
        # this and with none: on a quiet machine 13.9, 15.1 and 18.2 s, beside one busy program 7.1, 5.8 and 6.3 s.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Train all that the arguments combine to."""
        from regbench.sweep import grid
        from regbench.sweep.run import run

        jobs = grid.expand(self._loader, self._params, arguments, self._zip, self._each)
        kept = grid.only(self._config, self._loader, jobs, self._where)
        run(self._config, self._loader, self._launcher, kept, only_plan=self._plan)
