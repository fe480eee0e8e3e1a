"""Workers as tasks of Ray (`pip install 'regbench[ray]'`), on a cluster or on this machine."""

import signal
from collections.abc import Mapping, Sequence
from typing import Any

from regbench.errors import UserError, not_installed
from regbench.sweep.engines import environment
from regbench.sweep.engines.settings import OfRay
from regbench.sweep.engines.units import Crew, Unit, standing, threads_of
from regbench.sweep.engines.workers import Fault, Outcomes, Queue, Workers, current_folder, work
from regbench.text import plural

try:
    import ray

    from regbench.sweep.engines.ray_cluster import Cluster
    from regbench.sweep.engines.ray_nodes import first_line, workers_on
except ModuleNotFoundError:
    raise not_installed("hydra/launcher=ray: Ray", "ray") from None

_SECONDS_BETWEEN_LOOKS = 2  # at the nodes
_SECONDS_TO_SAVE = 60  # after Ctrl-C; a second Ctrl-C ends it


class Ray(Workers):
    """The engine of `hydra/launcher=ray`."""

    def __init__(self, settings: OfRay) -> None:
        super().__init__(settings)
        self._cpus, self._gpus = settings.cpus, settings.gpus
        self._cluster = Cluster(settings.address, settings.init)
        self._nodes, self._gone = 0, ""  # at the start, and what was last said of those that are gone

    def crew(self, runs: Unit) -> Crew:
        """Ask the cluster for its workers, and each node whether it can train.

        Raises:
            UserError: the cluster does not answer, has no room for a worker, or a node cannot train.
        """
        self._cluster.connect()
        threads = threads_of(runs, int(self._cpus or 1))
        cpus = self._of_worker(threads)
        nodes = self._cluster.resources()
        number = self._room(cpus, nodes)
        if not number:
            raise self._no_room(cpus, nodes)
        self._nodes = len(nodes)
        self._cluster.check_nodes(runs[0].path.parent, self._environment(threads))
        there = ", ".join(
            plural(int(amount), name)
            for name in ("CPU", "GPU")
            if (amount := sum(node.get(name, 0.0) for node in nodes)) or name == "CPU"
        )
        each = " and ".join(f"{amount:g} {name}" for amount, name in ((cpus, "CPU"), (self._gpus, "GPU")) if amount)
        why = f"{self._cluster.name}: {there} on {plural(len(nodes), 'node')}, {each or 'no CPU'} to a worker"
        return Crew(number, threads, "cuda" if self._gpus else "cpu", why)

    def outcomes(self, queue: Queue, crew: Crew) -> Outcomes:
        """Yield each unit when it has ended. Ray itself retries no task."""
        task = ray.remote(
            num_cpus=self._of_worker(crew.threads),
            num_gpus=self._gpus,
            max_retries=0,
            runtime_env=self._environment(crew.threads),
        )(_interruptible_work)
        tasks: dict[Any, Unit] = {}
        try:
            while queue or tasks:
                while queue:
                    unit = queue.popleft()
                    tasks[task.remote(unit, current_folder())] = unit
                self._tell(crew.threads, len(tasks))
                for ended in ray.wait(list(tasks), timeout=_SECONDS_BETWEEN_LOOKS)[0]:
                    yield tasks.pop(ended), _fault(ended)
        except (KeyboardInterrupt, GeneratorExit):
            _stop(list(tasks))
            raise

    def close(self) -> None:
        """Leave the cluster, or end it if it was started here."""
        self._cluster.leave()

    def _room(self, cpus: float, nodes: Sequence[Mapping[str, float]]) -> int:
        """Count the workers that the nodes have room for."""
        return sum(workers_on(node, cpus, self._gpus) for node in nodes)

    def _tell(self, threads: int, units: int) -> None:
        """Say for how many workers the living nodes have room, and how many units wait for one."""
        nodes = self._cluster.resources()
        gone = f" ({lost} gone)" if (lost := self._nodes - len(nodes)) > 0 else ""
        workers = standing(self._room(self._of_worker(threads), nodes), units)
        self.tell(f"{plural(len(nodes), 'node')}{gone}, {workers}", is_news=gone != self._gone)
        self._gone = gone

    def _of_worker(self, threads: int) -> float:
        """Return the CPUs that a worker asks for."""
        return threads if self._cpus is None else self._cpus

    def _environment(self, threads: int) -> dict[str, Any]:
        return {"env_vars": environment.of_worker(threads)}

    def _no_room(self, cpus: float, nodes: list[dict[str, float]]) -> UserError:
        """Say which resource no node has enough of."""
        wanted = {"CPU": ("cpus", cpus), "GPU": ("gpus", self._gpus)}
        most = {name: max((node.get(name, 0.0) for node in nodes), default=0.0) for name in wanted}
        name = next((name for name, (_, amount) in wanted.items() if amount > most[name]), "CPU")
        key, amount = wanted[name]
        given = f"hydra.launcher.{key}={amount:g}"
        return UserError(
            f"{given}: no worker fits: the largest node of {self._cluster.name} has {most[name]:g} {name}s"
        )


def _interruptible_work(unit: Unit, folder: str) -> None:
    """Train a unit; stop after saving when the task is cancelled, even where Ray was started with Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    work(unit, folder)


def _fault(task: Any) -> Fault | None:
    try:
        ray.get(task)
    except ray.exceptions.RayTaskError as error:  # the worker lives, and says what went wrong
        cause = getattr(error, "cause", None) or error
        return Fault(f"{type(cause).__name__}: {first_line(cause)}", again=False)
    except ray.exceptions.RayError as error:
        return Fault(f"its worker is gone ({type(error).__name__}: {first_line(error)})")
    return None


def _stop(tasks: list[Any]) -> None:
    """Have tasks stop after saving; Ctrl-C once more ends the wait for them."""
    for task in tasks:
        ray.cancel(task)
    if tasks:
        ray.wait(tasks, num_returns=len(tasks), timeout=_SECONDS_TO_SAVE)
