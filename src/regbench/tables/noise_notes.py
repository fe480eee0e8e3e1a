"""Notes on the noise of the test images: what its figures are, and which runs do not tell."""

from collections.abc import Iterator, Sequence

from regbench.analysis.table import Contrast, Table
from regbench.tables.contrast_notes import CORRECTION_NAMES
from regbench.text import plural


def noise_notes(table: Table) -> Iterator[str]:
    """Say what the figures of the test images are, and how many runs are not in them."""
    noises = [row.noise for row in table.rows if row.noise]
    drawn = " or ".join(f"{number:,}" for number in sorted({noise.images for noise in noises}))
    if noises and (table.columns or not table.contrast):
        where = "in brackets after a mean" if table.columns else "test set"
        yield f"{where}: 95 % Wilson interval over other draws of the {drawn} test images, which ± does not include."
    if table.contrast and (pairs := [noise.pairs for noise in noises if noise.pairs]):
        where = "in brackets after a difference" if table.columns else "± test, p test"
        interval = "95 % t interval of the difference of the same networks"
        yield f"{where}: {interval} over other draws of the {drawn} test images, and {_mcnemar(pairs, table.contrast)}."
    counted = sum(row.estimate.n for row in table.rows)
    if without := counted - sum(noise.runs for noise in noises):
        why = "Without a record of each image, or in a row with several test sets, and so excluded from these figures"
        yield f"{why}: {without} of {plural(counted, 'run')}."


def _mcnemar(pairs: Sequence[int], contrast: Contrast) -> str:
    kinds = ["exact for one seed"] * (min(pairs) == 1)
    kinds += ["for several with those of an image as a cluster (Durkalski et al. 2003)"] * (max(pairs) > 1)
    number, correction = plural(len(pairs), "comparison"), contrast.correction
    corrected = "without correction" if correction == "none" else f"corrected by {CORRECTION_NAMES[correction]}"
    return f"p by McNemar's test, {', '.join(kinds)}; {number}, {corrected}; no verdict rests on it"
