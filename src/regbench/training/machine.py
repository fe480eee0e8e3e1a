"""What runs are trained on: a device, and on a CPU the threads of lanes."""

import os
from dataclasses import dataclass

import torch

from regbench.config.run_config import RunConfig
from regbench.errors import UserError

MOST_LANES = 4  # more would wait for Python's lock, which a lane holds for a tenth of its time and more


@dataclass(frozen=True, slots=True)
class Machine:
    """A device, how many runs or parts of a stack train on it side by side, and how many threads each has."""

    device: torch.device
    lanes: int
    threads: int


def whole(device: torch.device) -> Machine:
    """One lane with all threads: for a single run."""
    return Machine(device, 1, torch.get_num_threads())


def shared(device: torch.device) -> Machine:
    """The lanes of a sweep: a thread for each run keeps cores busier than a product cut up for all of them.

    16 mlps on 2 cores, a step of each: 0.63 ms in two lanes of one thread, 1.2 ms in one lane of two; a cnn 20 and
    24 ms. A lane has as many threads however few runs are left, so that a run's bits do not depend on the others.
    """
    if device.type != "cpu":
        return whole(device)
    cores = torch.get_num_threads()
    threads = -(-cores // MOST_LANES)
    return Machine(device, cores // threads, threads)


def choose_device(config: RunConfig) -> torch.device:
    """The device asked for, or the best there is; sets the number of CPU threads as well.

    Raises:
        UserError: the machine has no such device.
    """
    if config.runtime.threads != "auto":
        torch.set_num_threads(config.runtime.threads)
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = config.runtime.device
    if name == "auto":
        name = next(kind for kind, found in there.items() if found)
    kind, _, number = name.partition(":")
    if not there[kind] or (number and int(number) >= torch.cuda.device_count()):
        found = ", ".join(kind for kind, here in there.items() if here)
        raise UserError(f"runtime.device={name}: this machine has no such device. Allowed here: auto, {found}")
    if kind == "cuda":
        repeat_exactly()
        torch.cuda.set_device(int(number or 0))  # where a CUDA graph is recorded
    return torch.device(name)


def repeat_exactly() -> None:
    """Have CUDA give the same bits for the same run, where it would otherwise trade them for speed."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs a write to each tensor
