"""Workers as processes of this machine, each fed by a pipe. A worker that is killed takes down nothing but its unit."""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from regbench.sweep.engines import environment
from regbench.sweep.engines.settings import OfProcesses
from regbench.sweep.engines.units import Crew, Unit, crew_here, gpus, standing
from regbench.sweep.engines.workers import Fault, Outcomes, Queue, Workers, current_folder, work

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess


_SECONDS_TO_LEAVE = 10  # for a worker without work


class _Worker:
    """A process that trains one unit after another."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        """Start the process with these variables in its environment."""
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.unit: Unit | None = None
        self._killed_before = _killed_for_memory()
        self.process: SpawnProcess = context.Process(target=_serve, args=(theirs, current_folder()), daemon=True)
        with _environment(settings), _interrupts_blocked():
            self.process.start()
        theirs.close()

    def give(self, unit: Unit) -> None:
        """Have the worker train a unit."""
        self.unit = unit
        with suppress(OSError):  # the worker is dead already, and its end of the pipe will say so
            self.pipe.send(unit)

    def ended(self) -> tuple[Unit, Fault | None]:
        """Return the unit that has ended, as the pipe says, and what went wrong. The worker is free then."""
        unit, self.unit = self.unit, None
        assert unit is not None
        try:
            error: str | None = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return unit, Fault(_death(self.process.exitcode, _killed_for_memory() > self._killed_before))
        return unit, Fault(error, again=False) if error else None

    def interrupt(self) -> None:
        """Do what Ctrl-C does: the worker ends its unit after saving."""
        if self.process.is_alive() and self.process.pid:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGINT)

    def leave(self) -> None:
        """Have the process end; kill it if it takes too long."""
        self.pipe.close()
        self.process.join(_SECONDS_TO_LEAVE)
        self.process.kill()
        self.process.join()


class Processes(Workers):
    """The engine of `hydra/launcher=processes`."""

    def __init__(self, settings: OfProcesses) -> None:
        super().__init__(settings)
        self._n_jobs = settings.n_jobs

    def crew(self, runs: Unit) -> Crew:
        """Return as many workers as set, or as this machine has room for."""
        return crew_here(runs, None if self._n_jobs == "auto" else self._n_jobs)

    def outcomes(self, queue: Queue, crew: Crew) -> Outcomes:
        """Yield each unit when it has ended. Ctrl-C: workers stop after saving; a second Ctrl-C: at once."""
        settings = worker_settings(crew, [run for unit in queue for run in unit])[: len(queue)]
        workers = [_Worker(variables) for variables in settings]
        try:
            for worker in workers:
                worker.give(queue.popleft())
            while busy := {worker.pipe: worker for worker in workers if worker.unit is not None}:
                self.tell(standing(len(workers), len(queue) + len(busy)), is_news=False)
                for pipe in connection.wait(list(busy)):
                    yield busy[pipe].ended()  # type: ignore[index]
                for place, worker in enumerate(workers):
                    if not queue or worker.unit is not None:
                        continue
                    if not worker.process.is_alive():
                        worker = workers[place] = _Worker(settings[place])
                    worker.give(queue.popleft())
        except (KeyboardInterrupt, GeneratorExit):
            _stop(workers)
            raise
        finally:
            for worker in workers:
                worker.leave() if worker.unit is None else worker.process.kill()


def worker_settings(crew: Crew, runs: Unit) -> list[dict[str, str]]:
    """List the environment variables of each worker: its threads, its GPU."""
    assert crew.workers
    devices = gpus(runs)
    settings = environment.of_worker(crew.threads)
    if not devices:
        return [settings] * crew.workers
    return [{**settings, "CUDA_VISIBLE_DEVICES": devices[place % len(devices)]} for place in range(crew.workers)]


def _stop(workers: Sequence[_Worker]) -> None:
    busy = [worker for worker in workers if worker.unit is not None]
    try:
        for worker in busy:
            worker.interrupt()
        for worker in busy:
            with suppress(EOFError, OSError):
                worker.pipe.recv()
            worker.unit = None
    except KeyboardInterrupt:
        for worker in busy:
            worker.process.kill()
        raise


def _serve(pipe: Connection, folder: str) -> None:
    """Live as a worker: take units from the pipe, send None or an error back. Die with the parent."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if hasattr(os, "setsid"):
        os.setsid()  # a terminal's Ctrl-C is for the parent, which passes it on
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - the parent tells of the runs
    try:
        _unblock_interrupts()
        while True:
            unit: Unit = pipe.recv()
            try:
                work(unit, folder)
                error = None
            except Exception as caught:  # no space for the record that says so
                error = f"{type(caught).__name__}: {caught}"
            pipe.send(error)
    except (KeyboardInterrupt, EOFError, BrokenPipeError):
        with suppress(OSError):
            pipe.send(None)


def _die_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _death(code: int | None, memory_was_short: bool) -> str:
    if code is not None and code < 0:
        why = " as memory was short" * (memory_was_short and code == -signal.SIGKILL)
        return f"its worker was killed{why} ({signal.Signals(-code).name})"
    return f"its worker ended with exit code {code}"


def _killed_for_memory() -> int:
    """Count the processes that Linux has killed for memory since it started; 0 where that cannot be known."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block SIGINT in a process that is started meanwhile, until it is ready for it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _unblock_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
