"""The noise of the test images: how much a row and its difference would vary with other images of the kind."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regbench.analysis import inference
from regbench.analysis.corrections import Correction
from regbench.analysis.groups import column
from regbench.analysis.pairing import Members, partners
from regbench.records import correct_images
from regbench.records.correct_images import Correct
from regbench.records.metrics import Selection

_Marks = Members[Correct]  # the blocks and bits of a row's completed runs


@dataclass(frozen=True)
class Noise:
    """The uncertainty of a row from the test images alone, as fractions; None if its runs do not tell.

    `interval` belongs to the accuracy. `half_width` (of a 95 % t interval) and both p belong to the difference from the
    baseline, over the images.
    """

    images: int
    runs: int
    interval: tuple[float, float]
    pairs: int = 0  # seeds that both rows have
    difference: float | None = None
    half_width: float | None = None
    p: float | None = None
    p_adjusted: float | None = None


def marks(frame: pd.DataFrame, members: Sequence[Members[int]], select: Selection) -> list[_Marks]:
    """Read the bits of each row's runs, given by block and position in the frame; leave out runs without bits."""
    paths, accuracies = column(frame, "path"), column(frame, f"{select}.test_acc")

    def bits(place: int) -> Correct | None:
        correct = correct_images.read(Path(str(paths[place])))
        fits = correct and correct.of(select).sum() == round(accuracies[place] * correct.images)
        return correct if fits else None  # bits of another run say nothing about this one

    read = [[(block, bits(place)) for block, place in row] for row in members]
    return [[(block, correct) for block, correct in row if correct is not None] for row in read]


def noises(
    rows: Sequence[_Marks], baseline: Sequence[int | None], select: Selection, correction: Correction
) -> list[Noise | None]:
    """Return the noise of each row and of its difference from its baseline; all differences are one family.

    It is None for a row whose runs have no bits, or saw different test sets.
    """
    sets = [{bits.test_set for _, bits in row} for row in rows]
    results = [_of_row(row, select) if len(seen) == 1 else None for row, seen in zip(rows, sets, strict=True)]
    for number, base in enumerate(baseline):
        noise = results[number]
        if noise and base is not None and base != number and sets[number] == sets[base]:
            results[number] = _compared(noise, rows[number], rows[base], select)
    return _corrected(results, correction)


def _corrected(results: Sequence[Noise | None], correction: Correction) -> list[Noise | None]:
    ps = iter(inference.adjusted([noise.p for noise in results if noise and noise.p is not None], correction))
    return [replace(noise, p_adjusted=next(ps)) if noise and noise.p is not None else noise for noise in results]


def _of_row(row: _Marks, select: Selection) -> Noise:
    images = row[0][1].images
    correct = [int(bits.of(select).sum()) for _, bits in row]
    return Noise(images, len(row), inference.of_images(sum(correct) / len(correct), images))


def _compared(noise: Noise, treated: _Marks, baseline: _Marks, select: Selection) -> Noise:
    """Average each image's difference as figures are: by block, then over a seed's blocks, then over seeds."""
    by_seed = partners(treated, baseline)
    if not by_seed:
        return noise
    seeds = (np.mean([_share(a, select) - _share(b, select) for a, b in blocks], axis=0) for blocks in by_seed.values())
    differences = np.asarray(sum(seeds) / len(by_seed))  # one seed after another: a thousand at once would fill 80 MB
    mean, half_width = inference.over_images(differences)
    p = inference.mcnemar(differences)
    return replace(noise, pairs=len(by_seed), difference=mean, half_width=half_width, p=p)


def _share(runs: Sequence[Correct], select: Selection) -> NDArray[np.float64]:
    """Return, for each image, the share of the runs that classify it correctly."""
    share: NDArray[np.float64] = np.mean([bits.of(select) for bits in runs], axis=0, dtype=np.float64)
    return share
