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

from regbench.sweep.engines.workers import Outcomes, Unit, environment, gpus, here, number_of_workers, threads_of, work

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess


SECONDS_TO_LEAVE = 10  # of a worker without work


class Worker:
    """A process that trains one unit after another."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        """Start it with these variables in its environment."""
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.unit: Unit | None = None
        self.process: SpawnProcess = context.Process(target=serve, args=(theirs, here()), daemon=True)
        with _environment(settings), _interrupts_blocked():
            self.process.start()
        theirs.close()

    def give(self, unit: Unit) -> None:
        """Have it train a unit."""
        self.unit = unit
        with suppress(OSError):  # it is dead already, and its end of the pipe will say so
            self.pipe.send(unit)

    def ended(self) -> tuple[Unit, str | None]:
        """The unit that has ended, after the pipe said so; with what went wrong. The worker has none then."""
        unit, self.unit = self.unit, None
        assert unit is not None
        try:
            error: str | None = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            error = _death(self.process.exitcode)
        return unit, error

    def interrupt(self) -> None:
        """As Ctrl-C: it ends its unit after saving."""
        if self.process.is_alive() and self.process.pid:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGINT)

    def leave(self) -> None:
        """Have it end, at the latest after a while."""
        self.pipe.close()
        self.process.join(SECONDS_TO_LEAVE)
        self.process.kill()
        self.process.join()


class Processes:
    """The engine of `hydra/launcher=processes`."""

    def __init__(self, n_jobs: int | str) -> None:
        self._n_jobs = n_jobs

    def __call__(self, units: Sequence[Unit]) -> Outcomes:
        """Each unit when it has ended. Ctrl-C: workers stop after saving; once more: at once."""
        waiting = list(units)[::-1]
        settings = self._settings(units)
        workers = [Worker(each) for each in settings]
        try:
            for worker in workers:
                worker.give(waiting.pop())
            while busy := {worker.pipe: worker for worker in workers if worker.unit is not None}:
                for pipe in connection.wait(list(busy)):
                    worker = busy[pipe]  # type: ignore[index]
                    yield worker.ended()
                    if not waiting:
                        continue
                    if not worker.process.is_alive():
                        place = workers.index(worker)
                        worker = workers[place] = Worker(settings[place])
                    worker.give(waiting.pop())
        except (KeyboardInterrupt, GeneratorExit):
            _stop(workers)
            raise
        finally:
            for worker in workers:
                worker.leave() if worker.unit is None else worker.process.kill()

    def _settings(self, units: Sequence[Unit]) -> list[dict[str, str]]:
        """The environment of each worker: its threads, its GPU."""
        runs = [run for unit in units for run in unit]
        number, devices = number_of_workers(self._n_jobs, runs, len(units)), gpus(runs)
        settings = environment(threads_of(runs))
        if not devices:
            return [settings] * number
        return [{**settings, "CUDA_VISIBLE_DEVICES": devices[place % len(devices)]} for place in range(number)]


def _stop(workers: Sequence[Worker]) -> None:
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


def serve(pipe: Connection, folder: str) -> None:
    """The life of a worker: units come through the pipe, None or an error goes back. It outlives no parent."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if hasattr(os, "setsid"):
        os.setsid()  # a terminal's Ctrl-C is for the parent, who passes it on
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


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return f"its worker was killed ({signal.Signals(-code).name})"
    return f"its worker ended with exit code {code}"


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
    """A process that is started meanwhile has SIGINT blocked until it is ready for it."""
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
