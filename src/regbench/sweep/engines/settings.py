"""What `hydra.launcher` sets of each engine, checked before anything is started."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from regbench.config.registry import Checked
from regbench.config.wording import wrong_value

_Kind = TypeVar("_Kind", bound="Common")
_Count = Annotated[int, Field(ge=1)]


def _whole_above_one(number: float) -> float:
    """Raise ValueError for a number of GPUs that no scheduler has: parts of one are shared, several are whole."""
    if number > 1 and number != int(number):
        raise ValueError
    return number


class Common(Checked):
    """What every engine with workers knows.

    Attributes:
        runs_per_job: the runs that a worker gets at once; None: as many as keep all workers busy.
        max_failures: how often a run whose worker died is trained again, from its checkpoint.
    """

    runs_per_job: _Count | None = None
    max_failures: Annotated[int, Field(ge=0)] = 2


class OfProcesses(Common):
    """`hydra/launcher=processes`."""

    n_jobs: Annotated[_Count | Literal["auto"], Field(title="auto or an integer of at least 1")] = "auto"


class OfRay(Common):
    """`hydra/launcher=ray`."""

    address: str | None = None
    cpus: Annotated[float, Field(ge=0)] | None = None
    gpus: Annotated[
        float, Field(ge=0, title="a number from 0 to 1, or a whole number"), AfterValidator(_whole_above_one)
    ] = 0
    init: dict[str, Any] = Field(default_factory=dict)


class Parameters(Checked):
    """Those of `submitit.AutoExecutor.update_parameters` that all clusters have; submitit checks the others.

    Attributes:
        slurm_array_parallelism: jobs at once; None: 256 on CPUs, and on GPUs a job for each stack.
        slurm_signal_delay_s: the seconds before its end at which a job saves, to be queued again; None: 90.
    """

    model_config = ConfigDict(extra="allow")

    timeout_min: _Count | None = None
    cpus_per_task: _Count | None = None
    gpus_per_node: Annotated[int, Field(ge=0)] | None = None
    nodes: _Count | None = None
    tasks_per_node: _Count | None = None
    mem_gb: Annotated[float, Field(gt=0)] | None = None
    slurm_array_parallelism: _Count | None = None
    slurm_signal_delay_s: _Count | None = None


class OfSubmitit(Common):
    """`hydra/launcher=submitit_local`, `hydra/launcher=submitit_slurm`.

    Attributes:
        cluster: this machine, or Slurm.
        folder: of the jobs' logs.
        parameters: what submitit asks Slurm for.
        max_num_timeout: how often Slurm queues a job again that is out of time.
    """

    cluster: Literal["local", "slurm"] = "local"
    folder: str = ".submitit"
    parameters: Parameters = Parameters()
    max_num_timeout: Annotated[int, Field(ge=0)] = 3


def check(values: Mapping[str, Any], kind: type[_Kind]) -> _Kind:
    """Check the settings of an engine.

    Raises:
        UserError: a value is wrong.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise wrong_value(error, kind, "hydra.launcher.") from None
