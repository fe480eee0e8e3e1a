"""Workers as tasks of Ray (`pip install 'regbench[ray]'`), on a cluster or on this machine."""

from collections.abc import Mapping, Sequence
from typing import Any

from regbench.errors import not_installed
from regbench.sweep.engines import environment
from regbench.sweep.engines.workers import Outcomes, Unit, Workers, current_folder, threads_of, work

try:
    import ray
except ModuleNotFoundError:
    raise not_installed("hydra/launcher=ray: Ray", "ray") from None


class Ray(Workers):
    """The engine of `hydra/launcher=ray`."""

    def __init__(self, address: str | None, cpus: float | None, gpus: float, init: Mapping[str, Any]) -> None:
        self._address, self._cpus, self._gpus, self._init = address, cpus, gpus, init

    def outcomes(self, units: Sequence[Unit]) -> Outcomes:
        """Yield each unit when it has ended. Ray retries no task: repeat the command to do so."""
        threads = threads_of(units[0])
        quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
        ray.init(address=self._address, ignore_reinit_error=True, **{**quiet, **self._init})
        task = ray.remote(
            num_cpus=threads if self._cpus is None else self._cpus,
            num_gpus=self._gpus,
            max_retries=0,
            runtime_env={"env_vars": environment.of_worker(threads)},
        )(work)
        tasks = {task.remote(unit, current_folder()): unit for unit in units}
        try:
            while tasks:
                (ended, *_), _ = ray.wait(list(tasks))
                yield tasks.pop(ended), _outcome(ended)
        except (KeyboardInterrupt, GeneratorExit):
            _stop(list(tasks))
            raise
        finally:
            ray.shutdown()


def _outcome(task: Any) -> str | None:
    try:
        ray.get(task)
    except ray.exceptions.RayError as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else ""
        return f"its worker is gone ({type(error).__name__}: {first})"
    return None


def _stop(tasks: list[Any]) -> None:
    """Have tasks stop after saving; Ctrl-C once more ends the wait for them."""
    for task in tasks:
        ray.cancel(task)
    ray.wait(tasks, num_returns=len(tasks), timeout=60)
