"""Runs that a search chose by the figures of others: no independent figures."""

from collections.abc import Sequence

import pandas as pd

from regbench.analysis.groups import column
from regbench.text import plural


def searched(frame: pd.DataFrame, counts: Sequence[bool]) -> int:
    """Count the runs that a search chose, among those that count."""
    if "search" not in frame:
        return 0
    return sum(search == search and counted for search, counted in zip(column(frame, "search"), counts, strict=True))


def note(number: int, of: int, consequence: str) -> str:
    """Say that a search chose a number of the completed runs, and what that means."""
    return f"A search chose {number} of {plural(of, 'completed run')} by the figures of others: {consequence}"
