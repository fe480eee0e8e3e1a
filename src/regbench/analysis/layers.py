"""What layers.csv says of groups of runs: the mean over runs of each figure, by epoch and layer."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from regbench.analysis.groups import column
from regbench.analysis.lines import Line, lines
from regbench.analysis.question import Question, lost
from regbench.errors import UserError
from regbench.records import epochs
from regbench.records.files import LAYERS

Place = tuple[int, str]  # an epoch, from 1, and a layer


@dataclass(frozen=True)
class LayerMeans:
    """The runs of one group: for each figure of layers.csv its mean over `n` runs, of which some `diverged`.

    What is not finite is in no mean: a diverged run counts as far as it can be followed.
    """

    line: Line
    n: int
    diverged: int
    means: Mapping[str, Mapping[Place, float]]


@dataclass(frozen=True)
class Layers:
    """All groups, their layers from input to output, and their epochs."""

    keys: tuple[str, ...]
    layers: tuple[str, ...]
    epochs: tuple[int, ...]
    groups: tuple[LayerMeans, ...]
    lost: Mapping[str, int]


def layers(question: Question) -> Layers:
    """Average the diagnostics of the completed and the diverged runs of each group.

    Raises:
        UserError: no completed run has a layers.csv.
    """
    frame = question.frame()
    paths = column(frame, "path")
    statuses = column(frame, "status")
    found = lines(frame, [*question.by, *question.columns], ends=("completed", "diverged"))
    read = {run: _read(paths[run]) for line in found.lines for run in line.positions}
    groups = [
        _means(line, [read[run] for run in line.positions if read[run]], _diverged(line, statuses))
        for line in found.lines
    ]
    groups = [group for group in groups if group.n]
    if not groups:
        raise UserError(f"plot layers: none of {len(frame)} runs has a layers.csv, which diagnostics=off leaves out")
    places = list(dict.fromkeys(place for group in groups for of_figure in group.means.values() for place in of_figure))
    return Layers(
        found.keys,
        _in_order(groups),
        tuple(sorted({epoch for epoch, _ in places})),
        tuple(groups),
        {end: number for end, number in lost(statuses).items() if end != "diverged"}
        | {f"without {LAYERS}": sum(not rows for rows in read.values())},
    )


def _read(path: object) -> "list[dict[str, float | str]]":
    return epochs.read_layers(Path(str(path)))


def _diverged(line: Line, statuses: Sequence[str]) -> int:
    return sum(statuses[run] == "diverged" for run in line.positions)


def _means(line: Line, runs: "Sequence[list[dict[str, float | str]]]", diverged: int) -> LayerMeans:
    values: dict[str, dict[Place, list[float]]] = {}
    for rows in runs:
        for row in rows:
            place = (int(row["epoch"]), str(row["layer"]))
            for name, value in row.items():
                if name not in ("epoch", "layer") and isinstance(value, float) and math.isfinite(value):
                    values.setdefault(name, {}).setdefault(place, []).append(value)
    means = {name: {place: sum(v) / len(v) for place, v in of_name.items()} for name, of_name in values.items()}
    return LayerMeans(line, len(runs), diverged, means)


def _in_order(groups: Sequence[LayerMeans]) -> tuple[str, ...]:
    """Order the layers from input to output; where groups differ in depth, the deepest says."""
    orders = [
        list(dict.fromkeys(layer for of_figure in group.means.values() for _, layer in of_figure)) for group in groups
    ]
    deepest = max(orders, key=len)
    return tuple(dict.fromkeys([*deepest, *(layer for order in orders for layer in order)]))
