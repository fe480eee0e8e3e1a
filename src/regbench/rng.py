"""One seed, independent streams: a technique that draws more or less moves no other technique's draws."""

from enum import IntEnum

import numpy as np
import torch


class Stream(IntEnum):
    """The purpose of a stream of random numbers. The numbers are part of every result: never renumber."""

    SPLIT = 0
    INIT = 1
    ORDER = 2
    DROPOUT = 3
    AUGMENT = 4
    PRETRAIN = 5
    LABEL_NOISE = 6


def generator(seed: int, stream: Stream, index: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator for one purpose of one run.

    `index` numbers the parts of a stream (the epoch, the layer), so that a run resumed at epoch 7 draws what an
    uninterrupted run draws, without any saved state. `numpy.random.SeedSequence` makes the streams independent.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(int(stream), index))
    (state,) = sequence.generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state))
