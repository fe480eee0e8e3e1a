"""The launchers `processes`, `ray`, `submitit_local` and `submitit_slurm`: see regbench.sweep.engines.workers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from regbench.experiment.run import Run
    from regbench.sweep.engines.workers import Engine
    from regbench.sweep.watch import Watch

HERE = "hydra_plugins.regbench.worker_launchers"


@dataclass
class ProcessesConf:
    """Workers on this machine."""

    _target_: str = f"{HERE}.ProcessesLauncher"
    n_jobs: Any = "auto"  # cores / runtime.threads (auto: one each), or one per GPU


@dataclass
class RayConf:
    """Workers on a Ray cluster, or on this machine."""

    _target_: str = f"{HERE}.RayLauncher"
    address: str | None = None  # null: RAY_ADDRESS, or Ray started on this machine
    cpus: float | None = None  # of a worker; null: runtime.threads (auto: 1)
    gpus: float = 0  # of a worker; 0.25: four share one
    init: dict[str, Any] = field(default_factory=dict)  # more arguments of ray.init


@dataclass
class SubmititConf:
    """Jobs by submitit; parameters are those of submitit.AutoExecutor.update_parameters."""

    _target_: str = f"{HERE}.SubmititLauncher"
    cluster: str = "local"
    folder: str = ".submitit"  # of their logs
    parameters: dict[str, Any] = field(default_factory=lambda: {"timeout_min": 43200})


@dataclass
class SlurmConf(SubmititConf):
    """The same on a Slurm cluster."""

    cluster: str = "slurm"
    parameters: dict[str, Any] = field(default_factory=lambda: {"timeout_min": 240, "slurm_array_parallelism": 256})


_store = ConfigStore.instance().store
for _name, _node in (
    ("processes", ProcessesConf),
    ("ray", RayConf),
    ("submitit_local", SubmititConf),
    ("submitit_slurm", SlurmConf),
):
    _store(group="hydra/launcher", name=_name, node=_node, provider="regbench")


class WorkersLauncher(Launcher):
    """Takes checked runs from regbench's own sweepers, overrides from any other."""

    def engine(self) -> "Engine":
        """Who trains."""
        raise NotImplementedError

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called once, before anything else."""
        del task_function
        self._config, self._loader = config, hydra_context.config_loader

    def train(self, stacks: "Sequence[Sequence[Run]]", watch: "Watch") -> None:
        """Train the runs of the stacks."""
        from regbench.sweep.engines import workers

        workers.drive(stacks, self.engine(), watch)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Compose, check and train the jobs of another sweeper."""
        from regbench.sweep.run import run

        run(self._config, self._loader, self, job_overrides, initial_job_idx)
        return [JobReturn(overrides=overrides, status=JobStatus.COMPLETED) for overrides in job_overrides]


class ProcessesLauncher(WorkersLauncher):
    """`hydra/launcher=processes`."""

    def __init__(self, n_jobs: int | str) -> None:
        self._n_jobs = n_jobs

    def engine(self) -> "Engine":
        """Processes of this machine."""
        from regbench.sweep.engines.processes import Processes

        return Processes(self._n_jobs)


class RayLauncher(WorkersLauncher):
    """`hydra/launcher=ray`."""

    def __init__(self, address: str | None, cpus: float | None, gpus: float, init: DictConfig) -> None:
        self._arguments: Any = {"address": address, "cpus": cpus, "gpus": gpus, "init": OmegaConf.to_container(init)}

    def engine(self) -> "Engine":
        """Tasks of Ray."""
        from regbench.sweep.engines.ray import Ray

        return Ray(**self._arguments)


class SubmititLauncher(WorkersLauncher):
    """`hydra/launcher=submitit_local`, `hydra/launcher=submitit_slurm`."""

    def __init__(self, cluster: str, folder: str, parameters: DictConfig) -> None:
        self._arguments: Any = {"cluster": cluster, "folder": folder, "parameters": OmegaConf.to_container(parameters)}

    def engine(self) -> "Engine":
        """Jobs of submitit."""
        from regbench.sweep.engines.submitit import Submitit

        return Submitit(**self._arguments)
