"""What runs are trained on: a device, and on a CPU the threads of lanes."""

from dataclasses import dataclass

import torch

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
