"""The sweeper `optuna`: random and Bayesian search (`pip install 'regbench[optuna]'`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.regbench import launchers


@dataclass
class _OptunaConf:
    """Its values; `params` holds overrides as the command line does."""

    # search_settings checks what is Any
    _target_: str = "hydra_plugins.regbench.optuna_sweeper.OptunaSweeper"
    params: dict[str, Any] = field(default_factory=dict)
    n_trials: Any = 20  # of the whole search, those of earlier starts included
    batch: Any = 4  # trials asked for at once, which are trained together
    sampler: Any = "tpe"  # or random, qmc, cmaes, gp; Optuna's names, as TPESampler, are the same
    metric: Any = "val_loss"  # or val_acc, train_loss, train_acc: of the epoch that validation chose
    pruner: Any = "median"  # or hyperband, successive_halving, none: every trial is trained to its end
    warmup: Any = 0  # epochs of a trial in which it is not pruned
    seed: Any = 0  # of the sampler
    storage: Any = None  # null: optuna.db in the study's folder; a database's URL, or journal:PATH
    max_seconds: Any = None  # after which no more trials begin
    where: list[str] = field(default_factory=list)  # conditions: a trial for which one is false is not trained
    zip: list[list[str]] = field(default_factory=list)  # from here on: of the other sweeper, and refused
    each: dict[str, str] = field(default_factory=dict)
    plan: bool = False
    until_decided: bool = False
    union: Any = field(default_factory=list)
    pilot: int | None = None
    format: str = "table"
    baseline: str | None = None
    margin: float | None = None
    max_seeds: int = 50


ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=_OptunaConf, provider="regbench")


class OptunaSweeper(Sweeper):
    """Searches where the grid would list: an interval, a range, a choice or a glob is a dimension."""

    def __init__(self, params: Mapping[str, Any], **settings: Any) -> None:
        self._params, self._settings = params, settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Prepare: Hydra calls this once, before `sweep`."""
        self._config, self._loader = config, hydra_context.config_loader
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Search until there are as many trials as wanted."""
        from regbench.sweep import search_settings, yaml_values
        from regbench.sweep.search import Search

        search_settings.refuse({name: self._settings.pop(name) for name in search_settings.OF_GRIDS})
        for name in ("pilot", "format", "baseline", "margin", "max_seeds"):  # which come with a flag that is refused
            del self._settings[name]
        where = [str(text) for text in self._settings.pop("where")]
        words = [*(f"{key}={value}" for key, value in yaml_values.overrides(self._params).items()), *arguments]
        settings = search_settings.check(self._settings)
        try:
            Search(self._config, self._loader, self._launcher, settings, words, where).run()
        finally:
            launchers.close(self._launcher)
