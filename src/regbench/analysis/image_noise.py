"""The noise of the test images: what other images of the kind would say of a row and of its difference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regbench.analysis import inference
from regbench.analysis.groups import column
from regbench.analysis.inference import Correction
from regbench.analysis.pairing import Members, partners
from regbench.records import correct_images
from regbench.records.correct_images import Correct
from regbench.records.metrics import Selection

Marks = Members[Correct]  # of a row: its completed runs' blocks and bits


@dataclass(frozen=True)
class Noise:
    """What the test images alone leave open of a row: fractions; None where its runs do not tell.

    `interval` is of the accuracy; `half_width` of the 95 % t interval of the difference from the baseline, over the
    images, as are both p.
    """

    images: int
    runs: int
    interval: tuple[float, float]
    pairs: int = 0  # seeds that both have
    difference: float | None = None
    half_width: float | None = None
    p: float | None = None
    p_adjusted: float | None = None


def marks(frame: pd.DataFrame, members: Sequence[Members[int]], select: Selection) -> list[Marks]:
    """For each row the bits of its runs, given by block and position in the frame; of those whose bits are at hand."""
    paths, accuracies = column(frame, "path"), column(frame, f"{select}.test_acc")

    def bits(place: int) -> Correct | None:
        found = correct_images.read(Path(str(paths[place])))
        fits = found and found.of(select).sum() == round(accuracies[place] * found.images)
        return found if fits else None  # those of another run tell nothing of this one

    read = [[(block, bits(place)) for block, place in row] for row in members]
    return [[(block, own) for block, own in row if own is not None] for row in read]


def noises(
    rows: Sequence[Marks], baseline: Sequence[int | None], select: Selection, correction: Correction
) -> list[Noise | None]:
    """Of each row, and where it has a baseline, of the difference; all of these are one family for the correction.

    None of a row whose runs have no bits, or saw different test sets.
    """
    sets = [{bits.test_set for _, bits in row} for row in rows]
    found = [_of_row(row, select) if len(own) == 1 else None for row, own in zip(rows, sets, strict=True)]
    for number, base in enumerate(baseline):
        own = found[number]
        if own and base is not None and base != number and sets[number] == sets[base]:
            found[number] = _compared(own, rows[number], rows[base], select)
    family = [number for number, noise in enumerate(found) if noise and noise.p is not None]
    ps = inference.adjusted([p for noise in found if noise and (p := noise.p) is not None], correction)
    for number, p in zip(family, ps, strict=True):
        noise = found[number]
        found[number] = noise and replace(noise, p_adjusted=p)
    return found


def _of_row(row: Marks, select: Selection) -> Noise:
    images = row[0][1].images
    rights = [int(bits.of(select).sum()) for _, bits in row]
    return Noise(images, len(row), inference.of_images(sum(rights) / len(rights), images))


def _compared(noise: Noise, treated: Marks, baseline: Marks, select: Selection) -> Noise:
    """The mean over seeds of each image's difference, as the seeds' own: by block, then over a seed's blocks."""
    by_seed = partners(treated, baseline)
    if not by_seed:
        return noise
    seeds = (np.mean([_share(a, select) - _share(b, select) for a, b in blocks], axis=0) for blocks in by_seed.values())
    differences = np.asarray(sum(seeds) / len(by_seed))  # one seed after another: a thousand at once fill 80 MB
    mean, half_width = inference.over_images(differences)
    p = inference.mcnemar(differences)
    return replace(noise, pairs=len(by_seed), difference=mean, half_width=half_width, p=p)


def _share(runs: Sequence[Correct], select: Selection) -> NDArray[np.float64]:
    """Of each image the share of the runs that classify it rightly."""
    share: NDArray[np.float64] = np.mean([bits.of(select) for bits in runs], axis=0, dtype=np.float64)
    return share
