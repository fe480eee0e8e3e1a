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
class _WorkersConf:
    """What all engines with workers have. Values are checked by regbench.sweep.engines.settings, hence Any."""

    runs_per_job: Any = None  # runs that a worker gets at once; null: as many as keep all workers busy
    max_failures: Any = 2  # how often a run whose worker died is trained again, from its checkpoint


@dataclass
class _ProcessesConf(_WorkersConf):
    """Workers on this machine."""

    _target_: str = f"{_MODULE}.ProcessesLauncher"
    n_jobs: Any = "auto"  # cores / runtime.threads (auto: one each), or one per GPU


@dataclass
class _RayConf(_WorkersConf):
    """Workers on a Ray cluster, or on this machine."""

    _target_: str = f"{_MODULE}.RayLauncher"
    address: Any = None  # null: RAY_ADDRESS, or Ray started on this machine
    cpus: Any = None  # of a worker; null: runtime.threads (auto: 1)
    gpus: Any = 0  # of a worker; 0.25: four share one
    init: Any = field(default_factory=dict)  # more arguments of ray.init


@dataclass
class _SubmititConf(_WorkersConf):
    """Jobs by submitit; parameters are those of submitit.AutoExecutor.update_parameters."""

    _target_: str = f"{_MODULE}.SubmititLauncher"
    cluster: Any = "local"
    folder: Any = ".submitit"  # of their logs
    parameters: Any = field(default_factory=lambda: {"timeout_min": 43200})
    max_num_timeout: Any = 3  # how often a job that is out of time is queued again


@dataclass
class _SlurmConf(_SubmititConf):
    """The same on a Slurm cluster."""

    cluster: Any = "slurm"
    # slurm_array_parallelism: jobs at once; null: 256 on CPUs, and on GPUs a job for each stack
    parameters: Any = field(default_factory=lambda: {"timeout_min": 240, "slurm_array_parallelism": None})


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
        self._engine: Engine | None = None

    def engine(self) -> "Engine":
        """Make the engine, once: what it holds, such as the connection to a cluster, is kept from batch to batch."""
        self._engine = self._engine or self._make()
        return self._engine

    def _make(self) -> "Engine":
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


def close(launcher: Launcher) -> None:
    """Have the engine of a launcher, if it has one, let go of what it holds."""
    if isinstance(launcher, EngineLauncher) and launcher._engine:
        launcher._engine.close()


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


class LocalLauncher(EngineLauncher):
    """`hydra/launcher=local`."""

    def _make(self) -> "Engine":
        from regbench.sweep.engines.in_process import InProcess

        return InProcess()


class ProcessesLauncher(EngineLauncher):
    """`hydra/launcher=processes`."""

    def _make(self) -> "Engine":
        from regbench.sweep.engines.settings import OfProcesses, check

        settings = check(self._arguments, OfProcesses)
        from regbench.sweep.engines.processes import Processes  # after the check: it may not be installed

        return Processes(settings)


class RayLauncher(EngineLauncher):
    """`hydra/launcher=ray`."""

    def _make(self) -> "Engine":
        from regbench.sweep.engines.settings import OfRay, check

        settings = check(self._arguments, OfRay)
        from regbench.sweep.engines.ray import Ray  # after the check: it may not be installed

        return Ray(settings)


class SubmititLauncher(EngineLauncher):
    """`hydra/launcher=submitit_local`, `hydra/launcher=submitit_slurm`."""

    def _make(self) -> "Engine":
        from regbench.sweep.engines.settings import OfSubmitit, check

        settings = check(self._arguments, OfSubmitit)
        from regbench.sweep.engines.submitit import Submitit  # after the check: it may not be installed

        return Submitit(settings)
