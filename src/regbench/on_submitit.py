"""Workers as jobs of submitit (`pip install 'regbench[slurm]'`): of a Slurm cluster, or processes of this machine."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from regbench.errors import UserError
from regbench.workers import Outcomes, Unit, environment, here, threads_of, work

try:
    import submitit
except ModuleNotFoundError:
    raise UserError(
        "hydra/launcher=submitit_local, submitit_slurm: need submitit: pip install 'regbench[slurm]'"
    ) from None

SECONDS = 0.5  # between looks at the jobs


class Submitit:
    """The engine of `hydra/launcher=submitit_local` and `hydra/launcher=submitit_slurm`."""

    def __init__(self, cluster: str, folder: str, parameters: Mapping[str, Any]) -> None:
        self._cluster, self._folder, self._parameters = cluster, folder, parameters

    def __call__(self, units: Sequence[Unit]) -> Outcomes:
        """Each unit when its job has ended."""
        threads = threads_of(units[0])
        os.environ.update(environment(threads))  # jobs inherit it
        jobs = self._submit(units, threads)
        try:
            while jobs:
                ended = [job for job in jobs if job.done()]
                for job in ended:
                    yield jobs.pop(job), _outcome(job)
                if not ended:
                    time.sleep(SECONDS)
        except (KeyboardInterrupt, GeneratorExit):
            for job in jobs:
                job.cancel()
            raise

    def _submit(self, units: Sequence[Unit], threads: int) -> dict[Any, Unit]:
        try:
            executor = submitit.AutoExecutor(folder=self._folder, cluster=self._cluster)
            executor.update_parameters(**{"name": "regbench", "cpus_per_task": threads, **self._parameters})
        except (NameError, TypeError, RuntimeError) as error:
            raise UserError(f"hydra/launcher=submitit_{self._cluster}: {error}") from None
        with executor.batch():
            jobs = [executor.submit(work, unit, here()) for unit in units]
        return dict(zip(jobs, units, strict=True))


def _outcome(job: Any) -> str | None:
    try:
        job.result()
    except (submitit.core.utils.FailedJobError, submitit.core.utils.UncompletedJobError) as error:
        text = str(error).strip().splitlines()
        return f"its job {job.job_id} is gone ({text[-1] if text else type(error).__name__}); log: {job.paths.stderr}"
    return None
