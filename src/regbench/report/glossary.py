"""The statistics for a reader who does not know them, in the words of docs/statistics.md."""

from collections.abc import Iterator

from regbench.analysis.table import Table

PAIRS = (
    "One seed gives every technique the same split, batch order and initial draws, so differences are taken seed "
    "by seed."
)
P = "exact sign-flip test: of all 2ⁿ patterns of signs, the share with a mean as far from 0"
HOLM = "p corrected for all rows and tests of the table"
BETTER = (
    "`p Holm` is at most 0.05, on this side. In 95 of 100 tables without any difference no row is called so. It "
    "does not say that the difference matters: that is what `diff` and `--margin` are for. It is about these "
    "values of all other keys, this data set and this length of training, and about other seeds, not other images "
    "(`--test-noise`)."
)
EQUIVALENT = (
    "two one-sided tests (Schuirmann 1987) both say that the difference lies within ± X. A real difference may be "
    "there; it is smaller than what you said matters."
)
UNDECIDED = (
    "neither is shown. It never means equal. About n seeds decide it with 80 % power, if mean and spread stay as "
    "they are."
)
DIVERGED = (
    "k of n runs diverged. Their share is tested by McNemar's exact test (1947), seed by seed. Figures of the "
    "other runs say nothing about runs that diverged."
)
ANYTIME = (
    "With `--anytime`, p, intervals and verdicts are valid at every number of seeds, however often you look and "
    "for whatever reason you stop."
)
_WORDS = (  # of a verdict, each with its heading and text
    ({"better", "worse"}, "better, worse", BETTER),
    ({"equivalent"}, "equivalent", EQUIVALENT),
    ({"undecided"}, "undecided (n)", UNDECIDED),
    ({"diverged", "diverges more", "diverges less"}, "diverged k/n, diverges more, diverges less", DIVERGED),
)


def glossary(table: Table) -> Iterator[tuple[str, str]]:
    """Explain what stands in this table: a heading and a text each; nothing without a baseline."""
    if table.contrast is None:
        return
    yield "diff, ±", f"{PAIRS} ± is half of the 95 % interval of their mean."
    if table.contrast.anytime:
        yield "p, interval", ANYTIME.replace("`", "")
    else:
        yield "p", f"{P}."
    if table.contrast.correction == "holm":
        yield "p Holm", f"{HOLM}."
    present = {row.comparison.verdict for row in table.rows if row.comparison}
    for verdicts, heading, text in _WORDS:
        if verdicts & present:
            yield heading, text.replace("`", "")
