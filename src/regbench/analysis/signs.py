"""Verdicts as signs, for the cells of a pivot or of a map."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regbench.analysis.verdict import Verdict  # scipy takes a while to import

SIGNS: "dict[Verdict, str]" = {
    "better": "+",
    "worse": "−",
    "equivalent": "=",
    "undecided": "?",
    "diverged": "×",
    "diverges more": "↑",
    "diverges less": "↓",
    "not tested": "~",
    "baseline": "b",
    "no baseline": "·",
}
