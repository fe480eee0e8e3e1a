"""Units of work: which runs one worker trains, cut for the workers that will train them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regbench.text import plural

if TYPE_CHECKING:
    import torch

    from regbench.experiment.run import Run

# The work of some 25 epochs of the default mlp, half a minute of a processor core.
_WORTH = 5e11

# The runs that one worker trains together.
Unit = Sequence["Run"]


@dataclass(frozen=True)
class Crew:
    """The workers that train the runs of a sweep.

    Attributes:
        workers: how many train at once; None: nobody knows, and each takes as much as fits.
        threads: CPU threads of each.
        device: the kind of device that runtime.device=auto means there, `cpu` or `cuda`; None: what it means here.
        why: where they are, and why there are as many: `Ray at 10.0.0.1:6379: 8 CPUs, 1 to a worker`.
        starts: whether each unit starts a process, which takes seconds.
    """

    workers: int | None
    threads: int
    device: str | None
    why: str
    starts: bool = False


def divide(runs: Sequence["Run"], crew: Crew, runs_per_job: int | None = None) -> list[Unit]:
    """Divide runs into the units of workers, in the order of their shapes.

    A unit has at most as many runs as a worker trains at once: the smaller the units, the less workers wait for the
    last one. Where a unit starts a process, it may have more runs, until they are worth that. There are at least as
    many units as workers, as long as none has fewer runs than its worker has lanes.

    Args:
        runs: what is left to train.
        crew: who will train it.
        runs_per_job: the runs of a unit, which may then be of several shapes, one after another; None: as above.
    """
    from regbench.sweep.plan import shapes

    alike = shapes(runs, crew.device)
    if runs_per_job:
        return _parts([run for same in alike for run in same], runs_per_job)
    lanes = _lanes(runs, crew)
    share = -(-len(runs) // crew.workers) if crew.workers else len(runs)
    units: list[Unit] = []
    for same in alike:
        most = max(_most(same, crew, lanes), _worth_a_start(same) if crew.starts else 1)
        units += _parts(same, min(max(share, lanes), most))
    return _at_least(min(crew.workers or 1, -(-len(runs) // lanes)), units)


def in_words(units: Sequence[Unit], crew: Crew) -> str:
    """Write `8 units of 4 runs for 8 workers: …`, and why as many."""
    sizes = sorted({len(unit) for unit in units})
    of = plural(sizes[0], "run") if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} runs"
    workers = f" for {plural(crew.workers, 'worker')}" if crew.workers else ""
    return f"{plural(len(units), 'unit')} of {of}{workers}: {crew.why}."


def standing(workers: int, units: int) -> str:
    """Write `8 workers, 4 units queued`, for units that have not ended."""
    queued = units - workers
    rest = f", {plural(queued, 'unit')} queued" if queued > 0 else ""
    return f"{plural(workers, 'worker')}{rest}"


def _lanes(runs: Sequence["Run"], crew: Crew) -> int:
    """Count the runs that a worker computes side by side."""
    from regbench.training.machine import lanes_of

    return 1 if _device(runs[0], crew).type != "cpu" else lanes_of(crew.threads)


def _most(runs: Sequence["Run"], crew: Crew, lanes: int) -> int:
    """Count the runs of a shape that a worker trains at once."""
    from regbench.training.stacking import most_in_lane

    config = runs[0].config
    most = most_in_lane(config, _device(runs[0], crew)) * lanes
    return most if config.runtime.stack == "auto" else min(most, config.runtime.stack)


def _worth_a_start(runs: Sequence["Run"]) -> int:
    """Count the runs of a shape that take so long that the start of a process beside them does not matter."""
    from regbench.sweep.speed import work_of_run

    return int(_WORTH / work_of_run(runs[0].config))


def _device(run: "Run", crew: Crew) -> "torch.device":
    from regbench.training.machine import find_device

    return find_device(run.config, crew.device)


def _parts(runs: Sequence["Run"], most: int) -> list[Unit]:
    from regbench.training.stacking import evenly

    return [[runs[place] for place in part] for part in evenly(range(len(runs)), most)]


def _at_least(number: int, units: list[Unit]) -> list[Unit]:
    """Halve the largest unit until there are enough of them."""
    while len(units) < number:
        place = max(range(len(units)), key=lambda place: len(units[place]))
        units[place : place + 1] = _parts(units[place], -(-len(units[place]) // 2))
    return units


def threads_of(runs: "Sequence[Run]", cpus: int = 1) -> int:
    """Count the threads of one worker: as many as set, or one for each CPU, while a run is still computed by one.

    `scripts/bench sweep` on 2 cores, runs one after another, in 2 workers of 1 thread and in 1 process of 2: 24 mlps on
    55,000 images took 17.8 and 17.2 s, the workers' start included, 24 cnns on 5,000 images 76 and 84 s.
    """
    from regbench.training.machine import MOST_LANES

    runtime = runs[0].config.runtime
    if runtime.threads != "auto":
        return runtime.threads
    return 1 if runtime.stack == 1 else max(1, min(cpus, MOST_LANES))


def cores() -> int:
    """Count the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus(runs: "Sequence[Run]") -> list[str]:
    """List the GPUs to spread workers over, as CUDA_VISIBLE_DEVICES names them; none if a run names its GPU."""
    devices = {run.config.runtime.device for run in runs}
    if not devices & {"auto", "cuda"} or any(":" in device for device in devices):
        return []
    import torch

    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return named[: torch.cuda.device_count()] or [str(number) for number in range(torch.cuda.device_count())]


def crew_here(runs: "Sequence[Run]", number: int | None = None) -> Crew:
    """Return the workers of this machine: as many as given; or one per GPU, or as many as leave each its threads."""
    threads, devices = threads_of(runs), len(gpus(runs))
    if number:
        return Crew(number, threads, None, f"hydra.launcher.n_jobs={number} on this machine")
    if devices:
        return Crew(devices, threads, None, f"this machine: {plural(devices, 'GPU')}, one worker to each")
    why = f"this machine: {plural(cores(), 'core')}, {plural(threads, 'thread')} to a worker"
    return Crew(max(cores() // threads, 1), threads, None, why)
