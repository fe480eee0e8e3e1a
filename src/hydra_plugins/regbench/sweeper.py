"""The sweeper `regbench`: every combination that is wanted, all checked before the first trains, a table at the end."""

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
    """Its values: `params` holds overrides as the command line does; `zip` lists keys that go in step.

    `where` holds conditions on the config (regbench.expression): a combination for which one is false is left out.
    """

    _target_: str = "hydra_plugins.regbench.sweeper.GridSweeper"
    params: dict[str, str] = field(default_factory=dict)
    zip: list[list[str]] = field(default_factory=list)
    where: list[str] = field(default_factory=list)


ConfigStore.instance().store(group="hydra/sweeper", name="regbench", node=GridConf, provider="regbench")


class GridSweeper(Sweeper):
    """Understands what Hydra's basic sweeper understands, and keys in step and conditions besides."""

    def __init__(self, params: Mapping[str, str], zip: Sequence[Sequence[str]], where: Sequence[str]) -> None:
        self._params, self._zip, self._where = params, zip, where

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called once, before `sweep`."""
        self._config, self._loader = config, hydra_context.config_loader
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Train all that the arguments combine to."""
        from regbench import grid, sweep

        jobs = grid.expand(self._loader, self._params, arguments, self._zip)
        kept = grid.only(self._config, self._loader, jobs, self._where)
        sweep.run(self._config, self._loader, self._launcher, kept)
