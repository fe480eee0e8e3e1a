"""Notes on how rows are compared with their baseline: pairs, tests, verdicts, and the number of seeds they need."""

from collections.abc import Iterator

from regbench.analysis.corrections import Correction
from regbench.analysis.default_run import DEFAULT
from regbench.analysis.signs import SIGNS
from regbench.analysis.table import Contrast, Row, Table
from regbench.text import plural

ENOUGH = 6  # pairs with which an exact test can reach 0.05: `inference.fewest_pairs` takes a second to import
P_HEADINGS: dict[Correction, str] = {"holm": "p Holm", "bh": "p BH", "none": "p"}
CORRECTION_NAMES = {"holm": "Holm", "bh": "Benjamini-Hochberg"}
_LESS_THAN_PAIRS = "Seeds lost to diverged or failed runs have no pair in diff: it is over the others only."


def in_short(table: Table, contrast: Contrast) -> Iterator[str]:
    """Say in a line what is compared."""
    unit, points = (" in %", " in points") if table.metric.percent else ("", "")
    spread = "interval: 95 % confidence sequence" if contrast.anytime else "±: 95 % t interval"
    interval = "" if not table.has_intervals else f"; {spread}{points}"
    yield f"{table.metric.name}{unit}; diff from {contrast.label}, by seed{interval}."


def legend_of(table: Table, contrast: Contrast) -> Iterator[str]:
    """Say in short what the verdicts of this table, or their signs, rest on."""
    comparisons = [row.comparison for row in table.rows if row.comparison]
    verdicts = {found.verdict for found in comparisons}
    p = f"{P_HEADINGS[contrast.correction]} ≤ 0.05"
    if table.columns:
        yield f"{_signs(table)}, by {p}"
        return
    if verdicts & {"better", "worse"}:
        yield f"better, worse: {p}"
    if "equivalent" in verdicts:
        yield f"equivalent: within ± {_margin(table, contrast)}"
    if any(found.seeds for found in comparisons):
        yield "(n): n seeds would decide"


def _looks(table: Table, contrast: Contrast) -> Iterator[str]:
    """Say for which number of seeds the verdicts are valid."""
    if not any(row.comparison and row.comparison.p is not None for row in table.rows):
        return
    if contrast.anytime:
        yield "p, interval and verdicts are valid at any number of seeds, however often you look and add some."
    elif any(row.comparison and row.comparison.seeds for row in table.rows):
        yield "p is for a number of seeds fixed beforehand. To add seeds until it is decided, use --anytime."
    else:
        yield "p is for a number of seeds fixed beforehand."


def _signs(table: Table) -> str:
    verdicts = {row.comparison.verdict for row in table.rows if row.comparison}
    return ", ".join(f"{sign} {verdict}" for verdict, sign in SIGNS.items() if verdict in verdicts)


def contrast_notes(table: Table, contrast: Contrast) -> Iterator[str]:
    """Say how rows were compared with their baseline."""
    partners = " and ".join(["seed", *contrast.shared])
    yield f"diff: from {contrast.label}, paired by {partners}; won: seeds that beat the baseline's."
    if contrast.label == DEFAULT:
        yield f"default: {_baseline(contrast)}."
    if table.family:
        yield _test(table, contrast)
    yield from _divergence(table)
    yield from _verdicts(table, contrast)
    yield from _pairs(table, partners)
    if any(row.diverged + row.failed for row in table.rows):
        yield _LESS_THAN_PAIRS


def contrast_remarks(table: Table, contrast: Contrast) -> Iterator[str]:
    """Say for which numbers of seeds the comparisons of this table are valid, and what is odd about them."""
    yield from _looks(table, contrast)
    yield from _limits(table, contrast)
    if missing := sum(row.comparison is not None and row.comparison.verdict == "no baseline" for row in table.rows):
        baseline = _baseline(contrast)
        yield f"{plural(missing, 'row')} without a baseline: no row has {baseline} and otherwise the same values."
    if alone := sum(bool(row.comparison and not row.comparison.pairs and row.estimate.n) for row in _tested(table)):
        yield f"{plural(alone, 'row')} without a pair of figures: one side has none at the seeds of the other."
    if contrast.confounded:
        yield f"Rows differ from their baseline in {', '.join(contrast.confounded)} too: diff may come from that."


def _tested(table: Table) -> list[Row]:
    return [row for row in table.rows if row.comparison and row.comparison.verdict == "undecided"]


def _baseline(contrast: Contrast) -> str:
    return ", ".join(f"{key}={text}" for key, text in contrast.baseline.items())


def _divergence(table: Table) -> Iterator[str]:
    """Explain the test of diverged runs if there is one."""
    comparisons = [row.comparison for row in table.rows if row.comparison]
    if any(found.p_diverged is not None for found in comparisons):
        yield (
            "diverged k/n, diverges more, diverges less: k of n runs diverged; p of the share of diverged runs by "
            f"McNemar's exact test, paired by seed, where the two sides differ at {ENOUGH} seeds or more."
        )


def _test(table: Table, contrast: Contrast) -> str:
    sampled = any(row.comparison and row.comparison.pairs > 16 for row in table.rows)
    exact = "sign-flip test, two-sided, " + ("on 99,999 random patterns beyond 16 pairs" if sampled else "exact")
    if contrast.anytime:
        exact = "bets on the signs of the differences in the order of the seeds, two-sided"
    number = plural(table.family, "test")
    if contrast.correction == "none":
        return f"p: {exact}; {number}, without correction."
    heading, name = P_HEADINGS[contrast.correction], CORRECTION_NAMES[contrast.correction]
    return f"p: {exact}; {heading}: corrected for {number} by {name}."


def _verdicts(table: Table, contrast: Contrast) -> Iterator[str]:
    text = f"better, worse: {P_HEADINGS[contrast.correction]} at most 0.05."
    if contrast.margin is not None:
        margin = f"{_margin(table, contrast)}{' percentage points' if table.metric.percent else ''}"
        corrected = "" if contrast.correction == "none" else ", with the same correction"
        kind = "bets" if contrast.anytime else "t tests"
        text += f" equivalent: within ± {margin} by two one-sided {kind}{corrected}."
    if table.columns:
        yield f"The last sign of a cell is its verdict: {_signs(table)}."
    yield text
    if not table.columns and any(row.comparison and row.comparison.verdict == "undecided" for row in table.rows):
        yield (
            "undecided (n): n seeds would decide it with 80 % power, if mean and spread stay as they are; no number: "
            f"more than {500 if contrast.anytime else 10_000:,}."
        )


def _margin(table: Table, contrast: Contrast) -> str:
    return f"{(contrast.margin or 0.0) * table.metric.scale:.6g}"


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
        more = f" ({enough} with a correction for {number} tests)" if enough > fewest_pairs(ALPHA) else ""
        yield f"{pairs}: no exact paired test can reach 0.05, its least p is {least:g}; {ENOUGH} pairs can{more}."
    else:
        corrected = f"corrected for {number} tests {least * number:.3g}"
        yield f"{pairs}: the exact test's least p is {least:g}, {corrected}; {enough} pairs can reach 0.05."


def _pairs(table: Table, partners: str) -> Iterator[str]:
    comparisons = [row.comparison for row in table.rows if row.comparison]
    if alone := sum(comparison.unpaired for comparison in comparisons):
        yield f"{plural(alone, 'run')} without a partner of the same {partners} on the other side: excluded from diff."
    if any(comparison.several for comparison in comparisons):
        yield "A seed with several runs in a row counts once, by the mean of its differences."
    if any(comparison.pairs > 1 and comparison.ends is None for comparison in comparisons):
        anytime = table.contrast and table.contrast.anytime
        yield f"Differences that are all equal{', or too few,' if anytime else ''} have no interval."
