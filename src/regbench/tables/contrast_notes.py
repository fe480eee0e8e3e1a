"""Notes on how rows are compared with their baseline: pairs, tests, verdicts, and the number of seeds they need."""

from collections.abc import Iterator

from regbench.analysis.corrections import Correction
from regbench.analysis.table import Contrast, Table
from regbench.text import plural

ENOUGH = 6  # pairs with which an exact test can reach 0.05: `inference.fewest_pairs` takes a second to import
P_HEADINGS: dict[Correction, str] = {"holm": "p Holm", "bh": "p BH", "none": "p"}
CORRECTION_NAMES = {"holm": "Holm", "bh": "Benjamini-Hochberg"}


def contrast_notes(table: Table, contrast: Contrast) -> Iterator[str]:
    """Say how rows were compared with their baseline."""
    baseline = ", ".join(f"{key}={text}" for key, text in contrast.baseline.items())
    partners = " and ".join(["seed", *contrast.shared])
    yield f"diff: from {baseline}, paired by {partners}; won: seeds that beat the baseline's."
    if table.family:
        yield _test(table, contrast)
    yield from _verdicts(table, contrast)
    yield from _limits(table, contrast)
    yield from _pairs(table, partners)
    if missing := sum(row.comparison is not None and row.comparison.verdict == "no baseline" for row in table.rows):
        yield f"{plural(missing, 'row')} without a baseline: no row has {baseline} and otherwise the same values."
    if contrast.confounded:
        yield f"Rows differ in {', '.join(contrast.confounded)} too: a difference may come from that."
    if any(row.diverged + row.failed for row in table.rows):
        yield "Seeds lost to diverged or failed runs have no pair: verdicts use the others only."


def _test(table: Table, contrast: Contrast) -> str:
    sampled = any(row.comparison and row.comparison.pairs > 16 for row in table.rows)
    exact = "sign-flip test, two-sided, " + ("on 99,999 random patterns beyond 16 pairs" if sampled else "exact")
    number = plural(table.family, "comparison")
    if contrast.correction == "none":
        return f"p: {exact}; {number}, without correction."
    heading, name = P_HEADINGS[contrast.correction], CORRECTION_NAMES[contrast.correction]
    return f"p: {exact}; {heading}: corrected for {number} by {name}."


def _verdicts(table: Table, contrast: Contrast) -> Iterator[str]:
    text = f"better, worse: {P_HEADINGS[contrast.correction]} at most 0.05."
    if contrast.margin is not None:
        margin = f"{contrast.margin * table.metric.scale:.6g}{' percentage points' if table.metric.percent else ''}"
        corrected = "" if contrast.correction == "none" else ", with the same correction"
        text += f" equivalent: within ± {margin} by two one-sided t tests{corrected}."
    yield text
    if any(row.comparison and row.comparison.verdict == "undecided" for row in table.rows):
        yield "undecided (n): n seeds would decide it with 80 % power, if mean and spread stay; none within 10,000."


def _limits(table: Table, contrast: Contrast) -> Iterator[str]:
    """Name the number of pairs that could reach a verdict if there are too few."""
    from regbench.analysis.inference import ALPHA, fewest_pairs, smallest_p

    tested = [row.comparison.pairs for row in table.rows if row.comparison and row.comparison.pairs]
    number = max(1, table.family) if contrast.correction != "none" else 1
    if not tested or smallest_p(min(tested)) * number <= ALPHA:
        return
    pairs, least = plural(min(tested), "pair"), smallest_p(min(tested))
    enough = fewest_pairs(ALPHA / number)
    if least > ALPHA:
        more = f" ({enough} with a correction for {number} comparisons)" if enough > fewest_pairs(ALPHA) else ""
        yield f"{pairs}: no exact paired test can reach 0.05, its least p is {least:g}; {ENOUGH} pairs can{more}."
    else:
        corrected = f"corrected for {number} comparisons {least * number:.3g}"
        yield f"{pairs}: the exact test's least p is {least:g}, {corrected}; {enough} pairs can reach 0.05."


def _pairs(table: Table, partners: str) -> Iterator[str]:
    comparisons = [row.comparison for row in table.rows if row.comparison]
    if alone := sum(comparison.unpaired for comparison in comparisons):
        yield f"{plural(alone, 'run')} without a partner of the same {partners} on the other side: not in diff."
    if any(comparison.several for comparison in comparisons):
        yield "A seed with several runs in a row counts once, by the mean of its differences."
    if any(comparison.pairs > 1 and comparison.half_width is None for comparison in comparisons):
        yield "Differences that are all equal have no interval."
