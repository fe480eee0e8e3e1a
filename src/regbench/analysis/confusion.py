"""Which classes a network takes for which, and which images a row gets wrong that its baseline gets right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regbench.analysis.groups import column
from regbench.analysis.lines import Line, Lines, lines, partners
from regbench.analysis.question import Question, lost
from regbench.errors import UserError
from regbench.records import predictions
from regbench.records.files import PREDICTED
from regbench.records.metrics import Selection
from regbench.records.names import short_name
from regbench.records.predictions import Predictions
from regbench.records.rows import Classes
from regbench.text import plural

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Confusion:
    """The mean over `n` runs of a line: `shares[i, j]` of the images of class i are taken for class j.

    `difference` is from the baseline's shares; None for a baseline, and without one.
    """

    line: Line
    n: int
    shares: _Floats
    difference: _Floats | None


@dataclass(frozen=True)
class Mistake:
    """A test image: its place, the right class, the wrong one that runs name most often, and who is wrong.

    `wrong` and `base_wrong` are shares of the runs of the line and of its baseline.
    """

    image: int
    label: int
    taken_for: int
    wrong: float
    base_wrong: float


@dataclass(frozen=True)
class Mistakes:
    """The images that `n` runs of a line get wrong more often than those of its baseline, most often first."""

    line: Line
    baseline: Line | None
    n: int
    images: tuple[Mistake, ...]


@dataclass(frozen=True)
class Predicted:
    """The predictions of the runs of each line, all of the same test set.

    `missing` names the runs without: older ones, and those whose file is damaged.
    """

    lines: Lines
    partners: tuple[Line | None, ...]
    runs: Mapping[str, tuple[Predictions, ...]]  # by the line's label
    missing: tuple[str, ...]
    lost: Mapping[str, int]
    select: Selection
    sample: Mapping[str, object]  # the config of one run

    @property
    def labels(self) -> Classes:
        """The right class of each test image."""
        return next(found.answers.labels for of_line in self.runs.values() for found in of_line)

    @property
    def test_set(self) -> str:
        """The fingerprint of the test images."""
        return next(found.test_set for of_line in self.runs.values() for found in of_line)


def predicted(question: Question) -> Predicted:
    """Read the predicted classes of all completed runs.

    Raises:
        UserError: no run has them, or the runs were tested on different images.
    """
    frame = question.frame()
    rows = lines(frame, [*question.by, *question.columns], against=question.against)
    paths = column(frame, "path")
    read = {run: predictions.read(Path(str(paths[run]))) for line in rows.lines for run in line.positions}
    missing = tuple(short_name(Path(str(paths[run]))) for run, classes in read.items() if classes is None)
    if len(missing) == len(read):
        raise UserError(
            f"none of {plural(len(read), 'run')} has a {PREDICTED}, which newer versions write: {_some(missing)}. "
            "Train again with force=true"
        )
    sets = {classes.test_set for classes in read.values() if classes}
    if len(sets) > 1:
        raise UserError(f"the runs were tested on {len(sets)} different sets of images. Choose by --where data=mnist")
    runs = {line.label: tuple(c for run in line.positions if (c := read[run])) for line in rows.lines}
    return Predicted(
        rows,
        tuple(partners(rows, frame, question.against)),
        runs,
        missing,
        lost(column(frame, "status")),
        question.select,
        _config(frame, next(run for run, classes in read.items() if classes)),
    )


def _config(frame: pd.DataFrame, run: int) -> dict[str, object]:
    return {str(key): column(frame, str(key))[run] for key in frame.columns}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def confusions(predicted: Predicted) -> list[Confusion]:
    """Average the confusion matrices of the runs of each line, as shares of each right class."""
    shares = {label: _shares(runs, predicted) for label, runs in predicted.runs.items() if runs}
    return [
        Confusion(
            line,
            len(predicted.runs[line.label]),
            shares[line.label],
            shares[line.label] - shares[base.label] if base and base.label in shares else None,
        )
        for line, base in zip(predicted.lines.lines, predicted.partners, strict=True)
        if line.label in shares
    ]


def _shares(runs: Sequence[Predictions], predicted: Predicted) -> _Floats:
    labels = predicted.labels.astype(np.int64)
    classes = 1 + max(int(labels.max()), *(int(run.classes[predicted.select].max()) for run in runs))
    counts = np.zeros((classes, classes))
    for run in runs:
        places = labels * classes + run.classes[predicted.select]
        counts += np.bincount(places, minlength=classes**2).reshape(classes, classes)
    return np.asarray(counts / np.maximum(counts.sum(1, keepdims=True), 1))


def mistakes(predicted: Predicted, most: int) -> list[Mistakes]:
    """Rank the test images by how much oftener a line's runs get them wrong than its baseline's; `most` a line.

    With a baseline, it has no entry of its own. Images with no more mistakes than the baseline's are left out.
    """
    compared = any(predicted.partners)
    return [
        Mistakes(
            line, base, len(runs), tuple(_ranked(runs, predicted.runs[base.label] if base else (), predicted, most))
        )
        for line, base in zip(predicted.lines.lines, predicted.partners, strict=True)
        if (runs := predicted.runs[line.label]) and (base or not compared)
    ]


def _ranked(runs: Sequence[Predictions], base: Sequence[Predictions], predicted: Predicted, most: int) -> list[Mistake]:
    wrong, theirs = _wrong(runs, predicted), _wrong(base, predicted)
    more = wrong - theirs
    order = np.lexsort((np.arange(len(more)), -wrong, -more))
    return [
        Mistake(
            int(i), int(predicted.labels[i]), _taken_for(runs, int(i), predicted), float(wrong[i]), float(theirs[i])
        )
        for i in order[: min(most, np.count_nonzero(more > 0))]
    ]


def _wrong(runs: Sequence[Predictions], predicted: Predicted) -> _Floats:
    """Return, for each image, the share of runs that classify it wrongly; 0 without runs."""
    if not runs:
        return np.zeros(len(predicted.labels))
    return np.asarray(1.0 - np.mean([run.of(predicted.select) for run in runs], axis=0, dtype=np.float64))


def _taken_for(runs: Sequence[Predictions], image: int, predicted: Predicted) -> int:
    classes = [int(run.classes[predicted.select][image]) for run in runs]
    wrong = [name for name in classes if name != predicted.labels[image]]
    return max(sorted(set(wrong)), key=wrong.count)
