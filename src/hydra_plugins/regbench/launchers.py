"""The launchers of regbench: each names the engine that trains (regbench.sweep.engines)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from regbench.sweep.engines.workers import Engine

_MODULE = "hydra_plugins.regbench.launchers"


@dataclass
class _LocalConf:
    """This process trains: there are no values."""

    _target_: str = f"{_MODULE}.LocalLauncher"


@dataclass
class _ProcessesConf:
    """Workers on this machine."""

    _target_: str = f"{_MODULE}.ProcessesLauncher"
    n_jobs: Any = "auto"  # cores / runtime.threads (auto: one each), or one per GPU


@dataclass
class _RayConf:
    """Workers on a Ray cluster, or on this machine."""

    _target_: str = f"{_MODULE}.RayLauncher"
    address: str | None = None  # null: RAY_ADDRESS, or Ray started on this machine
    cpus: float | None = None  # of a worker; null: runtime.threads (auto: 1)
    gpus: float = 0  # of a worker; 0.25: four share one
    init: dict[str, Any] = field(default_factory=dict)  # more arguments of ray.init


@dataclass
class _SubmititConf:
    """Jobs by submitit; parameters are those of submitit.AutoExecutor.update_parameters."""

    _target_: str = f"{_MODULE}.SubmititLauncher"
    cluster: str = "local"
    folder: str = ".submitit"  # of their logs
    parameters: dict[str, Any] = field(default_factory=lambda: {"timeout_min": 43200})


@dataclass
class _SlurmConf(_SubmititConf):
    """The same on a Slurm cluster."""

    cluster: str = "slurm"
    parameters: dict[str, Any] = field(default_factory=lambda: {"timeout_min": 240, "slurm_array_parallelism": 256})


for _name, _values in (
    ("local", _LocalConf),
    ("processes", _ProcessesConf),
    ("ray", _RayConf),
    ("submitit_local", _SubmititConf),
    ("submitit_slurm", _SlurmConf),
):
    ConfigStore.instance().store(group="hydra/launcher", name=_name, node=_values, provider="regbench")


class EngineLauncher(Launcher):
    """Has its engine train the runs that regbench's own sweepers have checked, or the jobs of any other sweeper."""

    def __init__(self, **arguments: Any) -> None:
        """`arguments` are the engine's."""
        self._arguments = {key: _plain(value) for key, value in arguments.items()}

    def engine(self) -> "Engine":
        """Make the engine."""
        raise NotImplementedError

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Prepare: Hydra calls this once, before torch is imported."""
        del task_function  # would train what one job composed; here all jobs are composed before the first trains
        self._config, self._loader = config, hydra_context.config_loader

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Compose, check and train the jobs of another sweeper."""
        from regbench.sweep.compose import Composer
        from regbench.sweep.run import run

        run(self, Composer(self._config, self._loader).jobs(job_overrides, initial_job_idx))
        return [JobReturn(overrides=overrides, status=JobStatus.COMPLETED) for overrides in job_overrides]


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


class LocalLauncher(EngineLauncher):
    """`hydra/launcher=local`."""

    def engine(self) -> "Engine":
        """Train in this process."""
        from regbench.sweep.engines.in_process import InProcess

        return InProcess()


class ProcessesLauncher(EngineLauncher):
    """`hydra/launcher=processes`."""

    def engine(self) -> "Engine":
        """Train in processes of this machine."""
        from regbench.sweep.engines.processes import Processes

        return Processes(**self._arguments)


class RayLauncher(EngineLauncher):
    """`hydra/launcher=ray`."""

    def engine(self) -> "Engine":
        """Train in tasks of Ray."""
        from regbench.sweep.engines.ray import Ray

        return Ray(**self._arguments)


class SubmititLauncher(EngineLauncher):
    """`hydra/launcher=submitit_local`, `hydra/launcher=submitit_slurm`."""

    def engine(self) -> "Engine":
        """Train in jobs of submitit."""
        from regbench.sweep.engines.submitit import Submitit

        return Submitit(**self._arguments)
