"""Workers as jobs of submitit (`pip install 'regbench[slurm]'`): of a Slurm cluster, or processes of this machine."""

import io
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any

from regbench.config.location import user_path
from regbench.errors import UserError, not_installed
from regbench.sweep.engines import environment, slurm_queue
from regbench.sweep.engines.settings import OfSubmitit
from regbench.sweep.engines.slurm_queue import SlurmQueue
from regbench.sweep.engines.units import Crew, Unit, crew_here, threads_of
from regbench.sweep.engines.workers import Fault, Outcomes, Queue, Workers, current_folder
from regbench.text import plural

try:
    import submitit

    from regbench.sweep.engines.submitit_job import Job
except ModuleNotFoundError:
    raise not_installed("hydra/launcher=submitit_local, submitit_slurm: submitit", "slurm") from None

_SECONDS = 0.5  # between looks at the jobs
_SHARE = 0.05  # of the time, at most, for looking: over a slow network, looks are rarer
_SECONDS_TO_SAVE = 2  # and then until Slurm kills what it has cancelled, after its KillWait (30 s)
_SECONDS_TO_ACCOUNT = 60  # after which a job that is in no queue is gone, even if its end is in no account
_MINUTES, _SIGNAL_SECONDS = 5, 90  # of a job, and before its end, unless they are set; as submitit
_AT_ONCE = 256  # jobs of an array, unless it is set; as submitit
_GPUS = ("gpus_per_node", "slurm_gpus_per_node", "slurm_gpus_per_task", "slurm_gres")  # any of them asks for GPUs
_END_OF_LOG = 2**16  # bytes in which Slurm's last words are looked for
_OF_SLURM = re.compile(r"^slurmstepd[^:]*: error: (?!.*REQUEUE)(.+)$", re.MULTILINE)
_DONE = ("COMPLETED", "FINISHED")  # states that promise a result, which a slow file system may show later


class Submitit(Workers):
    """The engine of `hydra/launcher=submitit_local` and `hydra/launcher=submitit_slurm`."""

    def __init__(self, settings: OfSubmitit) -> None:
        super().__init__(settings)
        self._cluster, self._parameters = settings.cluster, settings.parameters.model_dump(exclude_none=True)
        self._folder = user_path("hydra.launcher.folder", settings.folder)
        self._timeouts = settings.max_num_timeout
        _check_time(self._parameters)
        self._queue = SlurmQueue() if settings.cluster == "slurm" else SlurmQueue(ask=lambda: None)

    def crew(self, runs: Unit) -> Crew:
        """Return the jobs that may run at once.

        Raises:
            UserError: submitit refuses a parameter, or there is no such cluster.
        """
        self._executor(threads_of(runs))
        kind = "cuda" if any(self._parameters.get(name) for name in _GPUS) else "cpu"
        if self._cluster == "local":
            here = crew_here(runs)
            return Crew(1 if kind == "cuda" else here.workers, here.threads, kind, here.why, starts=True)
        cpus = int(self._parameters.get("cpus_per_task", 1))
        most = self._parameters.get("slurm_array_parallelism")
        if kind == "cuda" and most is None:
            why = "Slurm: a job fills its GPU; slurm_array_parallelism or runs_per_job spread runs over more GPUs"
            return Crew(None, threads_of(runs, cpus), kind, why, starts=True)
        why = f"Slurm: slurm_array_parallelism={most or _AT_ONCE}, {plural(cpus, 'CPU')} to a job"
        return Crew(most or _AT_ONCE, threads_of(runs, cpus), kind, why, starts=True)

    def outcomes(self, queue: Queue, crew: Crew) -> Outcomes:
        """Yield each unit when its job has ended."""
        os.environ.update(environment.of_worker(crew.threads))  # jobs inherit it
        jobs: dict[Any, Unit] = {}
        try:
            while queue or jobs:
                new = self._submit(queue, crew)
                jobs |= new
                start = time.monotonic()
                ended = self._ended(list(jobs), at_once=bool(new))
                for job in ended:
                    yield jobs.pop(job), fault(job, waits=self._cluster != "local")
                if not ended:
                    time.sleep(max(_SECONDS, (time.monotonic() - start) / _SHARE))
        except (KeyboardInterrupt, GeneratorExit, UserError):
            self._stop(list(jobs))
            raise

    def _ended(self, jobs: Sequence[Any], at_once: bool) -> list[Any]:
        """List the jobs that have ended. Slurm's accounts may say so of one that is still there, or queued again."""
        ids = [job.job_id for job in jobs]
        if self._queue.look(ids, at_once):
            self.tell(self._queue.standing(ids), self._queue.has_news(ids))
            absent = [job for job in jobs if self._queue.seconds_without(job.job_id) is not None]
            for job in absent[:1]:
                job.done(force_check=True)  # which asks the accounts for all jobs
        return [job for job in jobs if self._has_ended(job)]

    def _has_ended(self, job: Any) -> bool:
        if job.done():
            return job.paths.result_pickle.exists() or not self._queue.has(job.job_id)
        return (self._queue.seconds_without(job.job_id) or 0) > _SECONDS_TO_ACCOUNT

    def _stop(self, jobs: Sequence[Any]) -> None:
        """Interrupt the jobs, give them a few seconds to save, and cancel what is left of them."""
        limit = time.monotonic() + _SECONDS_TO_SAVE
        ids = slurm_queue.arrays(job.job_id for job in jobs)
        if self._cluster == "local":
            for job in jobs:
                job.cancel()
            while time.monotonic() < limit and not all(job.done() for job in jobs):
                time.sleep(_SECONDS)
            return
        try:
            slurm_queue.cancel(ids, "--state=PENDING")
            slurm_queue.cancel(ids, "--signal=INT")
            while time.monotonic() < limit and any(self._queue.has(job.job_id) for job in jobs):
                self._queue.look([], at_once=True)
                time.sleep(_SECONDS)
        finally:
            slurm_queue.cancel(ids)

    def _submit(self, queue: Queue, crew: Crew) -> dict[Any, Unit]:
        """Submit all units of the queue as one array."""
        units = [queue.popleft() for _ in range(len(queue))]
        if not units:
            return {}
        executor = self._executor(crew.threads)
        parent = os.getpid() if self._cluster == "local" else None  # a cluster's jobs may outlive their parent
        with self._in_one_line(), executor.batch():
            jobs = [executor.submit(Job(), unit, current_folder(), parent) for unit in units]
        return dict(zip(jobs, units, strict=True))

    def _executor(self, threads: int) -> Any:
        with self._in_one_line():
            timeouts = {f"{self._cluster}_max_num_timeout": self._timeouts}
            executor = submitit.AutoExecutor(folder=self._folder, cluster=self._cluster, **timeouts)
            executor.update_parameters(**{"name": "regbench", "cpus_per_task": threads, **self._parameters})
        return executor

    @contextmanager
    def _in_one_line(self) -> Iterator[None]:
        """Raise what submitit or sbatch refuses as a UserError; submitit prints sbatch's words as well."""
        try:
            with redirect_stderr(io.StringIO()):
                yield
        except (
            NameError,
            TypeError,
            ValueError,
            RuntimeError,
            AssertionError,
            submitit.core.utils.FailedJobError,
        ) as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            said = lines[-1] if lines[-1].startswith("sbatch") else lines[0]
            raise UserError(f"hydra/launcher=submitit_{self._cluster}: {said}") from None


def _check_time(parameters: Mapping[str, Any]) -> None:
    """Raise UserError unless a job has time before Slurm's signal to save and be queued again."""
    minutes, delay = parameters.get("timeout_min", _MINUTES), parameters.get("slurm_signal_delay_s", _SIGNAL_SECONDS)
    if minutes * 60 <= delay:
        raise UserError(
            f"hydra.launcher.parameters.timeout_min={minutes}: must be more than the {delay} s before a job's end at "
            "which Slurm has it save; set +hydra.launcher.parameters.slurm_signal_delay_s=SECONDS to less"
        )


def fault(job: Any, waits: bool) -> Fault | None:
    """Return why a job that has ended did not end well.

    A job that its user cancelled is not repeated, and neither is one that says itself what went wrong.

    Args:
        job: of submitit.
        waits: whether a result may be on its way through a slow file system.
    """
    if job.paths.result_pickle.exists() or (waits and job.state.upper() in _DONE):
        return _of_result(job)
    state = str(job.state).upper()
    if "CANCELLED" in state:
        return Fault(f"its job {job.job_id} was cancelled", again=False)
    return Fault(f"its job {job.job_id} is gone (state {state}{_node(job)}{_last_words(job)}){_log(job)}")


def _of_result(job: Any) -> Fault | None:
    try:
        job.result()
    except (submitit.core.utils.FailedJobError, submitit.core.utils.UncompletedJobError) as error:
        again = not job.paths.result_pickle.exists()
        return Fault(f"its job {job.job_id} failed ({_said(str(error))}){_log(job)}", again)
    return None


def _said(text: str) -> str:
    """Return the line of submitit's words that says what went wrong: the last one of a traceback, if there is one."""
    lines = [line for line in text.splitlines() if line.strip()]
    raised = [line for line in lines if line[:1].isalpha() and ": " in line and not line.startswith("Job ")]
    return (raised or lines or ["without a word"])[-1].strip()


def _node(job: Any) -> str:
    """Name the node of a job that had one."""
    node = job.get_info(mode="cache").get("NodeList", "")
    return f" on {node}" if node and "assigned" not in node else ""


def _last_words(job: Any) -> str:
    """Quote what Slurm wrote last into a job's log: a job that it killed for its memory may be FAILED and no more."""
    try:
        with job.paths.stderr.open("rb") as log:
            log.seek(max(log.seek(0, os.SEEK_END) - _END_OF_LOG, 0))
            said = _OF_SLURM.findall(log.read().decode(errors="replace"))
    except OSError:
        return ""
    return f": {said[-1].strip(' *')}" if said else ""


def _log(job: Any) -> str:
    """Name the log of a job that has one."""
    return f"; log: {job.paths.stderr}" if job.paths.stderr.exists() else ""
