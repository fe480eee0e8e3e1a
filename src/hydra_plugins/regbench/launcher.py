"""The launcher `local`: trains in this process."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from regbench.experiment.run import Run
    from regbench.sweep.watch import Watch


@dataclass
class LocalConf:
    """It has no values."""

    _target_: str = "hydra_plugins.regbench.launcher.LocalLauncher"


ConfigStore.instance().store(group="hydra/launcher", name="local", node=LocalConf, provider="regbench")


class LocalLauncher(Launcher):
    """Takes checked runs from regbench's own sweeper, overrides from any other."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called once, before anything else."""
        del task_function  # trains what one job composed; here all are composed before the first trains
        self._config, self._loader = config, hydra_context.config_loader

    def train(self, stacks: "Sequence[Sequence[Run]]", watch: "Watch") -> None:
        """Train one stack after another."""
        from regbench.sweep.run import train

        train(stacks, watch)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Compose, check and train the jobs of another sweeper."""
        from regbench.sweep.run import run

        run(self._config, self._loader, self, job_overrides, initial_job_idx)
        return [JobReturn(overrides=overrides, status=JobStatus.COMPLETED) for overrides in job_overrides]
