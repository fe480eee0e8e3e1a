"""Runs trained by other processes: what a worker does, and what the sweep makes of how it ended."""

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from regbench.errors import UserError

if TYPE_CHECKING:
    from regbench.experiment.run import Run
    from regbench.sweep.watch import Watch


# The runs that one worker trains together.
Unit = Sequence["Run"]
# Has workers train units, and yields each when it has ended: with None, or with what became of its worker.
Outcomes = Generator[tuple[Unit, str | None], None, None]
Engine = Callable[[Sequence[Unit]], Outcomes]


def work(unit: Unit, folder: str) -> None:
    """What every worker does: train a unit as the sweep would in its own process, in the sweep's current folder."""
    from regbench.experiment.reporter import Reporter
    from regbench.experiment.train import train

    os.chdir(folder)
    train(unit, Reporter("off"))


def units(stacks: "Sequence[Unit]") -> list[Unit]:
    """What is handed to workers, in the order of the sweep: stacks in parts that every worker has some of.

    None is larger than what a worker trains at once: the smaller they are, the less workers wait for the last one.
    """
    from regbench.training.machine import find_device
    from regbench.training.stacking import evenly, most_in_lane

    runs = [run for stack in stacks for run in stack]
    share = -(-len(runs) // at_once(runs))
    found: list[Unit] = []
    for stack in stacks:
        config = stack[0].config
        most = min(share, most_in_lane(config, find_device(config)) * threads_of(stack))
        found += [[stack[place] for place in part] for part in evenly(range(len(stack)), most)]
    return found


def drive(stacks: "Sequence[Unit]", engine: Engine, watch: "Watch") -> None:
    """Train the runs on an engine. Whatever becomes of a worker, its runs say so and the others go on."""
    parts = units(stacks)
    watch.follow(parts)
    with closing(engine(parts)) as outcomes:  # at once, so that Ctrl-C finds the workers to pass it on to
        for unit, error in outcomes:
            if error:
                for run in unit:
                    give_up(run, error)


def give_up(run: "Run", reason: str) -> None:
    """Record of a run that its worker is gone; not if the run ended well, or if another process has it by now."""
    if not run.path.is_dir():
        return
    try:
        with run.directory() as directory:
            directory.abandon(reason)
    except (UserError, OSError):
        return


def threads_of(runs: "Sequence[Run]") -> int:
    """Threads of one worker: as set, or one.

    `scripts/bench sweep` on 2 cores, runs one after another, 2 workers of 1 thread against 1 process of 2: 24 mlps on
    55,000 images 17.8 and 17.2 s, the workers' start included, 24 cnns on 5,000 images 76 and 84 s.
    """
    threads = runs[0].config.runtime.threads
    return 1 if threads == "auto" else threads


def environment(threads: int) -> dict[str, str]:
    """What keeps workers from fighting for cores; to be set before torch is imported."""
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus(runs: "Sequence[Run]") -> list[str]:
    """The GPUs to spread workers over, as CUDA_VISIBLE_DEVICES names them; none if the runs name their device."""
    if not {run.config.runtime.device for run in runs} & {"auto", "cuda"}:
        return []
    import torch

    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return named[: torch.cuda.device_count()] or [str(number) for number in range(torch.cuda.device_count())]


def at_once(runs: "Sequence[Run]") -> int:
    """How many workers this machine has room for: one per GPU, or as many as leave each its threads."""
    return len(gpus(runs)) or max(cores() // threads_of(runs), 1)


def number_of_workers(n_jobs: int | str, runs: "Sequence[Run]", units: int) -> int:
    """As many as set, or as there is room for; no more than there are units.

    Raises:
        UserError: n_jobs is neither auto nor a number of at least 1.
    """
    if n_jobs == "auto":
        return min(units, at_once(runs))
    if not isinstance(n_jobs, int) or n_jobs < 1:
        raise UserError(f"hydra.launcher.n_jobs={n_jobs}: must be auto or an integer of at least 1")
    return min(units, n_jobs)


def here() -> str:
    """The folder that relative paths of the runs start from."""
    return str(Path.cwd())
