"""What stands below a table: what the figures are, how they were compared, and which runs are not in them."""

from collections.abc import Iterator

from regbench.analysis.intervals import LEVEL
from regbench.analysis.table import Contrast, Table
from regbench.records.metrics import Metric
from regbench.text import plural, printable, shown

COUNTS = ("diverged", "failed", "unfinished")
CHOICE = {"best_val": "at the epoch with the best validation loss", "last": "at the last epoch"}
ENOUGH = 6  # pairs with which an exact test can reach 0.05: `inference.fewest_pairs`, whose import takes a second
LISTED = 3  # paths and values named; JSON names all
CORRECTED = {"holm": "p Holm", "bh": "p BH", "none": "p"}
NAMES = {"holm": "Holm", "bh": "Benjamini-Hochberg"}
ORIGIN_NOUNS = {"regbench": "regbench", "torch": "torch", "device": "the device", "commit": "the code"}


def footer(table: Table) -> list[str]:
    """One line for each thing to know, in plain text."""
    lines = [_metric(table), *_plus_minus(table)]
    if any(row.estimate.n == 1 for row in table.rows):
        lines.append("n = 1: one seed has no interval.")
    rivals = not table.contrast and len(table.rows) > 1 and "seed" not in table.keys
    if rivals and any(0 < row.estimate.n < ENOUGH for row in table.rows):
        lines.append(f"n ≤ {ENOUGH - 1}: no exact paired test between rows can reach 0.05; {ENOUGH} seeds can.")
    if table.contrast:
        lines += _compared(table, table.contrast)
    if table.test_noise:
        lines += _test_noise(table)
    if table.averaged:
        lines.append(f"The runs of a row also differ in {', '.join(table.averaged)}: --by shows them apart.")
    if table.where:
        lines.append(f"Only runs with {table.where}: {table.runs} of {table.runs + table.left_out}.")
    lines += _runs(table)
    return [printable(line) for line in lines]


def _metric(table: Table) -> str:
    unit = " in %" if table.metric.percent else ""
    better = f", {'higher' if table.metric.higher_is_better else 'lower'} is better" if table.contrast else ""
    return f"{table.metric.name}{unit}, {_moment(table)}{better}."


def _moment(table: Table) -> str:
    if table.select is None:
        return "of the whole run"
    last = table.select == "best_val" and table.without_validation
    return CHOICE[table.select] + (", the last one for runs without validation images" if last else "")


def _plus_minus(table: Table) -> Iterator[str]:
    points = ", in percentage points" if table.metric.percent else ""
    level = f"{100 * LEVEL:.0f} % t interval"
    if not table.contrast or table.columns:
        mean = " (the baseline's)" if table.contrast else ""
        yield f"±: {level} of the mean over {'the runs of a row' if table.averaged else 'seeds'}{mean}{points}."
    if table.contrast:
        yield f"{'After a difference, ±' if table.columns else '±'}: {level} of the mean difference over seeds{points}."


def _compared(table: Table, contrast: Contrast) -> Iterator[str]:
    """How rows were compared with their baseline."""
    baseline = ", ".join(f"{key}={text}" for key, text in contrast.baseline.items())
    partners = " and ".join(["seed", *contrast.shared])
    yield f"diff: from {baseline}, paired by {partners}; won: seeds that beat the baseline's."
    if family(table):
        yield from _tests(table, contrast)
    yield from _verdicts(table, contrast)
    yield from _limits(table, contrast)
    found = [row.comparison for row in table.rows if row.comparison]
    if alone := sum(comparison.unpaired for comparison in found):
        yield f"{plural(alone, 'run')} without a partner of the same {partners} on the other side: in no difference."
    if any(comparison.several for comparison in found):
        yield "A seed with several runs in a row counts once, by the mean of its differences."
    if any(comparison.pairs > 1 and comparison.half_width is None for comparison in found):
        yield "Differences that are all equal have no interval."
    if missing := sum(comparison.verdict == "no baseline" for comparison in found):
        yield f"{plural(missing, 'row')} without a baseline: no row has {baseline} and the same of all else."
    if contrast.confounded:
        yield f"Rows differ in {', '.join(contrast.confounded)} too: a difference may come from that."
    if any(row.diverged + row.failed for row in table.rows):
        yield "Seeds lost to diverged or failed runs are in no pair: verdicts are on the others only."


def _tests(table: Table, contrast: Contrast) -> Iterator[str]:
    sampled = any(row.comparison and row.comparison.pairs > 16 for row in table.rows)
    exact = "sign-flip test, two-sided, " + ("on 99,999 random patterns beyond 16 pairs" if sampled else "exact")
    if contrast.correction == "none":
        yield f"p: {exact}; {plural(family(table), 'comparison')}, not corrected for."
    else:
        number = plural(family(table), "comparison")
        yield f"p: {exact}; {CORRECTED[contrast.correction]}: corrected for {number} by {NAMES[contrast.correction]}."


def family(table: Table) -> int:
    """The number of comparisons that were tested."""
    return sum(row.comparison is not None and row.comparison.p is not None for row in table.rows)


def _verdicts(table: Table, contrast: Contrast) -> Iterator[str]:
    text = f"better, worse: {CORRECTED[contrast.correction]} at most 0.05."
    if contrast.margin is not None:
        corrected = "" if contrast.correction == "none" else ", corrected alike"
        text += f" equivalent: within ± {_margin(table.metric, contrast.margin)} by two one-sided t tests{corrected}."
    yield text
    if any(row.comparison and row.comparison.verdict == "undecided" for row in table.rows):
        yield "undecided (n): n seeds would decide it with 80 % power, if mean and spread stay; none within 10,000."


def _margin(metric: Metric, margin: float) -> str:
    return f"{margin * metric.scale:.6g}{' percentage points' if metric.percent else ''}"


def _test_noise(table: Table) -> Iterator[str]:
    """What the figures of the test images are, and which runs do not tell."""
    found = [row.noise for row in table.rows if row.noise]
    drawn = " or ".join(f"{number:,}" for number in sorted({noise.images for noise in found}))
    if found and (table.columns or not table.contrast):
        where = "in brackets after a mean" if table.columns else "test set"
        yield f"{where}: 95 % Wilson interval for the drawing of the {drawn} test images, which ± does not hold."
    if table.contrast and (pairs := [noise.pairs for noise in found if noise.pairs]):
        where = "in brackets after a difference" if table.columns else "± test, p test"
        interval = "95 % t interval of the difference of the same networks"
        yield f"{where}: {interval} for the drawing of the {drawn} test images, and {_mcnemar(pairs, table.contrast)}."
    counted = sum(row.estimate.n for row in table.rows)
    if without := counted - sum(noise.runs for noise in found):
        runs = f"{without} of {plural(counted, 'run')}"
        yield f"Not told image by image, or in a row of several test sets, and so not in these figures: {runs}."


def _mcnemar(pairs: list[int], contrast: Contrast) -> str:
    kinds = ["exact for one seed"] * (min(pairs) == 1)
    kinds += ["for several with those of an image as a cluster (Durkalski et al. 2003)"] * (max(pairs) > 1)
    family = plural(len(pairs), "comparison")
    corrected = "not corrected for" if contrast.correction == "none" else f"corrected by {NAMES[contrast.correction]}"
    return f"p by McNemar's test, {', '.join(kinds)}; {family}, {corrected}; no verdict rests on it"


def _limits(table: Table, contrast: Contrast) -> Iterator[str]:
    """Where pairs are too few for any verdict, which number could."""
    from regbench.analysis.inference import ALPHA, fewest_pairs, smallest_p

    tested = [row.comparison.pairs for row in table.rows if row.comparison and row.comparison.pairs]
    number = max(1, family(table)) if contrast.correction != "none" else 1
    if not tested or smallest_p(min(tested)) * number <= ALPHA:
        return
    pairs, least = plural(min(tested), "pair"), smallest_p(min(tested))
    enough = fewest_pairs(ALPHA / number)
    if least > ALPHA:
        more = f" ({enough} when {number} comparisons are corrected for)" if enough > fewest_pairs(ALPHA) else ""
        yield f"{pairs}: no exact paired test can reach 0.05, its least p is {least:g}; {ENOUGH} pairs can{more}."
    else:
        corrected = f"corrected for {number} comparisons {least * number:.3g}"
        yield f"{pairs}: the exact test's least p is {least:g}, {corrected}; {enough} pairs can reach 0.05."


def _runs(table: Table) -> Iterator[str]:
    """What was read and what of it is in no figure."""
    ends = ", ".join(f"{number} {name}" for name, number in _ends(table).items())
    copies = f"; {plural(len(table.duplicates), 'duplicate')} left out" if table.duplicates else ""
    yield f"{plural(table.runs, 'run')} read: {ends}{copies}."
    if missing := total(table, "missing"):
        yield f"{plural(missing, 'run')} missing, of seeds that other rows have: {_listed(tuple(_missing(table)))}."
    if table.without_figure:
        yield f"{table.without_figure} of the completed have no finite {table.metric.name} and are not in n."
    if table.unreadable:
        yield f"{len(table.unreadable)} unreadable: {_listed(table.unreadable)}"
    for name, values in table.mixed:
        yield f"The runs differ in {ORIGIN_NOUNS[name]}: {_listed(values)}."


def _missing(table: Table) -> Iterator[str]:
    for row in table.rows:
        if row.missing:
            yield f"{row.missing} of {' '.join(f'{key}={shown(value)}' for key, value in row.group.items())}"


def total(table: Table, count: str) -> int:
    """The runs of all rows that ended so."""
    return sum(getattr(row, count) for row in table.rows)


def _ends(table: Table) -> dict[str, int]:
    return {"completed": table.completed} | {count: total(table, count) for count in COUNTS}


def _listed(texts: tuple[str, ...]) -> str:
    more = len(texts) - LISTED
    return ", ".join(texts[:LISTED]) + (f" and {more} more" if more > 0 else "")
