"""Keep the histograms of a run's layers, 64 counts each. Reading the file executes nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from regbench.guarded import check_regular
from regbench.records.files import HISTOGRAMS, write_atomically
from regbench.records.rows import BINS, Histogram, Quantity

_NAMES = "names"  # the one text of the header: safetensors does not keep the order of several


def encoded(histograms: Sequence[Histogram]) -> bytes:
    """Make the file of a run: `counts` and `ends`, and in the header a line for each: `1 dense1 before`."""
    names = "\n".join(f"{found.epoch} {found.layer} {found.quantity}" for found in histograms)
    counts = np.stack([found.counts for found in histograms]).astype(np.uint32)
    ends = np.array([(found.low, found.high) for found in histograms], np.float64)
    return save({"counts": counts, "ends": ends}, {_NAMES: names})


def read(run: Path) -> list[Histogram]:
    """Read what a run's directory holds; nothing for a run without them, and where the file is damaged."""
    try:
        check_regular(run / HISTOGRAMS)
        with safe_open(run / HISTOGRAMS, "numpy") as file:
            names = [line.split(" ") for line in file.metadata()[_NAMES].splitlines()]
            counts, ends = file.get_tensor("counts"), file.get_tensor("ends")
        found = [_histogram(*row) for row in zip(names, ends.tolist(), counts, strict=True)]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError):  # numpy lacks some types
        return []
    return found if counts.shape[1:] == (BINS,) else []


def _histogram(name: Sequence[str], ends: Sequence[float], counts: NDArray[np.uint32]) -> Histogram:
    """Raise ValueError unless the name says an epoch, a layer and a quantity."""
    (epoch, layer, quantity), (low, high) = name, ends
    known = {word: word for word in get_args(Quantity)}
    return Histogram(int(epoch), layer, known[quantity], low, high, counts)


def add(run: Path, histograms: Sequence[Histogram]) -> None:
    """Add an epoch's histograms to the file; those of this epoch and later ones that are there already go."""
    first = min(found.epoch for found in histograms)
    kept = [found for found in read(run) if found.epoch < first]
    write_atomically(run / HISTOGRAMS, encoded([*kept, *histograms]))
