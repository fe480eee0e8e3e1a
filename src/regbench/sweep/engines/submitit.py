"""Workers as jobs of submitit (`pip install 'regbench[slurm]'`): of a Slurm cluster, or processes of this machine."""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regbench.config.location import user_path
from regbench.errors import UserError, not_installed
from regbench.sweep.engines import environment
from regbench.sweep.engines.workers import Outcomes, Unit, Workers, current_folder, threads_of, work

try:
    import submitit
except ModuleNotFoundError:
    raise not_installed("hydra/launcher=submitit_local, submitit_slurm: submitit", "slurm") from None

_SECONDS = 0.5  # between looks at the jobs
_SECONDS_TO_SAVE = 5


class Submitit(Workers):
    """The engine of `hydra/launcher=submitit_local` and `hydra/launcher=submitit_slurm`."""

    def __init__(self, cluster: str, folder: str, parameters: Mapping[str, Any]) -> None:
        self._cluster, self._parameters = cluster, parameters
        self._folder = user_path("hydra.launcher.folder", folder)

    def outcomes(self, units: Sequence[Unit]) -> Outcomes:
        """Yield each unit when its job has ended."""
        threads = threads_of(units[0])
        os.environ.update(environment.of_worker(threads))  # jobs inherit it
        jobs = self._submit(units, threads)
        try:
            while jobs:
                ended = [job for job in jobs if job.done()]
                for job in ended:
                    yield jobs.pop(job), _outcome(job)
                if not ended:
                    time.sleep(_SECONDS)
        except (KeyboardInterrupt, GeneratorExit):
            self._stop(list(jobs))
            raise

    def _stop(self, jobs: Sequence[Any]) -> None:
        """Cancel the jobs; give those of this machine a few seconds to save."""
        for job in jobs:
            job.cancel()
        limit = time.monotonic() + _SECONDS_TO_SAVE
        while self._cluster == "local" and time.monotonic() < limit and not all(job.done() for job in jobs):
            time.sleep(_SECONDS)

    def _submit(self, units: Sequence[Unit], threads: int) -> dict[Any, Unit]:
        try:
            executor = submitit.AutoExecutor(folder=self._folder, cluster=self._cluster)
            executor.update_parameters(**{"name": "regbench", "cpus_per_task": threads, **self._parameters})
        except (NameError, TypeError, RuntimeError) as error:
            raise UserError(f"hydra/launcher=submitit_{self._cluster}: {error}") from None
        parent = os.getpid() if self._cluster == "local" else None  # a cluster's jobs may outlive their parent
        with executor.batch():
            jobs = [executor.submit(Work(), unit, current_folder(), parent) for unit in units]
        return dict(zip(jobs, units, strict=True))


class Work:
    """What a job does. Slurm queues the job again if it is preempted or out of time; then it resumes."""

    def __call__(self, unit: Unit, folder: str, parent: int | None) -> None:
        """Train a unit; if there is a parent, die with it."""
        if parent:
            threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
        work(unit, folder)

    def checkpoint(self, *arguments: Any) -> Any:
        """Return what Slurm queues again."""
        return submitit.helpers.DelayedSubmission(self, *arguments)


def _die_with(parent: int) -> None:
    while _is_alive(parent):
        time.sleep(_SECONDS)
    os._exit(1)


def _is_alive(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except ProcessLookupError:
        return False
    except OSError:  # no /proc, or a process of someone else
        return True


def _outcome(job: Any) -> str | None:
    try:
        job.result()
    except (submitit.core.utils.FailedJobError, submitit.core.utils.UncompletedJobError) as error:
        text = str(error).strip().splitlines()
        return f"its job {job.job_id} is gone ({text[-1] if text else type(error).__name__}); log: {job.paths.stderr}"
    return None
