"""What runs are trained on: a device, and on a CPU the threads of lanes. Only `set_up` changes anything."""

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


def whole(config: RunConfig, device: torch.device) -> Machine:
    """One lane with all threads: for a single run."""
    return Machine(device, lanes=1, threads=_cpu_threads(config))


def shared(config: RunConfig, device: torch.device) -> Machine:
    """The lanes of a sweep: a thread for each run keeps cores busier than a product that all of them share.

    On 2 cores, a step of each of 16 mlps took 0.63 ms in two lanes of one thread, 1.2 ms in one lane of two; of cnns
    20 and 24 ms. A lane has equally many threads however few runs are left, so that a run's bits do not depend on the
    others.
    """
    if device.type != "cpu":
        return whole(config, device)
    cores = _cpu_threads(config)
    return Machine(device, lanes=lanes_of(cores), threads=-(-cores // MOST_LANES))


def lanes_of(cores: int) -> int:
    """Count the lanes of a process that has n CPU threads."""
    return cores // -(-cores // MOST_LANES)


def _cpu_threads(config: RunConfig) -> int:
    """CPU threads that the config asks for; auto means those of this process."""
    threads = config.runtime.threads
    return torch.get_num_threads() if threads == "auto" else threads


def find_device(config: RunConfig, elsewhere: str | None = None) -> torch.device:
    """The device that the config asks for; auto means the fastest there is.

    Args:
        config: the run's.
        elsewhere: the kind of device that auto means on another machine, which trains; None: this machine trains.

    Raises:
        UserError: the machine has no such device.
    """
    there = _there()
    name = config.runtime.device
    if name == "auto" and elsewhere:
        return torch.device(elsewhere)
    if name == "auto":
        name = fastest_device()
    kind, _, number = name.partition(":")
    if not there[kind] or (number and int(number) >= torch.cuda.device_count()):
        allowed = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise UserError(f"runtime.device={name}: this machine has no such device. Allowed here: auto, {allowed}")
    return torch.device(name)


def fastest_device() -> str:
    """The kind of the fastest device that this machine has: cuda, mps or cpu."""
    return next(kind for kind, is_there in _there().items() if is_there)


def _there() -> dict[str, bool]:
    """Tell of each kind of device, the fastest first, whether this machine has it."""
    return {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}


def set_up(config: RunConfig, device: torch.device) -> None:
    """Set what torch keeps for the whole process: the number of CPU threads; on CUDA the device, TF32, determinism."""
    if config.runtime.threads != "auto":
        torch.set_num_threads(config.runtime.threads)
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = config.precision == "tf32"
        torch.cuda.set_device(device.index or 0)  # where a CUDA graph is recorded
        _repeat_exactly()


def _repeat_exactly() -> None:
    """Have CUDA give the same bits for the same run, where it would otherwise trade them for speed."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs a write to each tensor
