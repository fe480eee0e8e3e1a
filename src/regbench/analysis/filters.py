"""The weights of the first layer, of one run of each line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from regbench.analysis.groups import column, sortable
from regbench.analysis.lines import Line, lines
from regbench.analysis.question import Question
from regbench.errors import UserError
from regbench.guarded import check_regular
from regbench.records.files import MODEL
from regbench.records.names import short_name

_FIRST = ("conv1.affine.weight", "dense1.affine.weight", "output.weight")  # the first of these that a model has
_SIDE = 28
_Weights = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Filters:
    """The first layer's weights of the run with the least seed: pictures [units, height, width]."""

    line: Line
    run: str
    weights: _Weights


def filters(question: Question) -> tuple[tuple[str, ...], list[Filters]]:
    """Read the keys that lines differ in, and each line's weights at the chosen epoch.

    Raises:
        UserError: no run has weights.
    """
    frame = question.frame()
    rows = lines(frame, [*question.by, *question.columns])
    paths, seeds = column(frame, "path"), column(frame, "seed")
    read = []
    for line in rows.lines:
        for run in sorted(line.positions, key=lambda run: sortable({"seed": seeds[run]}, "seed")):
            weights = _weights(Path(str(paths[run])))
            if weights is not None:
                read.append(Filters(line, short_name(Path(str(paths[run]))), weights))
                break
    if not read:
        raise UserError(f"plot filters: none of {len(frame)} runs has a {MODEL} whose first layer sees an image")
    return rows.keys, read


def _weights(run: Path) -> _Weights | None:
    try:
        check_regular(run / MODEL, most=2**30)
        with safe_open(run / MODEL, "numpy") as file:
            name = next(name for name in _FIRST if name in set(file.keys()))
            return _as_pictures(file.get_tensor(name))
    except (OSError, SafetensorError, StopIteration, TypeError, AttributeError):
        return None


def _as_pictures(weights: _Weights) -> _Weights | None:
    """Turn dense weights [units, 784] or convolutions [channels, 1, 3, 3] into pictures."""
    if weights.ndim == 2 and weights.shape[1] == _SIDE**2:
        return weights.reshape(-1, _SIDE, _SIDE)
    return weights[:, 0] if weights.ndim == 4 and weights.shape[1] == 1 else None
