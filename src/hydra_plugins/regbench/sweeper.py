"""The sweeper `regbench`: every combination, all checked before the first trains, a table at the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class GridConf:
    """Its values: `params` holds overrides as the command line does, `each` those to try one at a time."""

    _target_: str = "hydra_plugins.regbench.sweeper.GridSweeper"
    params: dict[str, str] = field(default_factory=dict)
    each: dict[str, str] = field(default_factory=dict)


ConfigStore.instance().store(group="hydra/sweeper", name="regbench", node=GridConf, provider="regbench")


class GridSweeper(Sweeper):
    """Understands what Hydra's basic sweeper understands."""

    def __init__(self, params: Mapping[str, str], each: Mapping[str, str]) -> None:
        self._params, self._each = params, each

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called once, before `sweep`."""
        self._config, self._loader = config, hydra_context.config_loader
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Train all that the arguments combine to."""
        from regbench import sweep

        jobs = sweep.expand(self._loader, self._params, arguments, self._each)
        sweep.run(self._config, self._loader, self._launcher, jobs)
