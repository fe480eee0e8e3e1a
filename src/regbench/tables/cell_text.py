"""What stands in a cell of a table: intervals, verdicts, values of keys as text."""

from collections.abc import Sequence

from regbench.analysis.table import Row
from regbench.records.metrics import Metric
from regbench.text import shown

LOST_RUNS = "lost"  # the diverged, failed and unfinished runs together


def sequence(ends: tuple[float, float] | None, metric: Metric) -> str:
    """Write both ends of a confidence sequence, which are not equally far from the middle."""
    return f"[{', '.join(metric.signed(end) for end in ends)}]" if ends else ""


def image_interval(row: Row, metric: Metric) -> str:
    """Write `97.68–98.20`: the interval of an accuracy over other test images."""
    return "–".join(metric.text(end) for end in row.noise.interval) if row.noise else ""


def verdict(row: Row) -> str:
    """Write `better`, `diverged 6/6`, or `undecided (24)` with the number of seeds that would decide it."""
    assert row.comparison
    word: str = row.comparison.verdict
    if word == "baseline" and row.diverged and not row.estimate.n:
        return f"baseline, diverged {row.diverged}/{row.ended}"
    if word.startswith("diverge"):
        return f"{word} {row.diverged}/{row.ended}"
    return word + (f" ({row.comparison.seeds})" if row.comparison.seeds else "")


def key_values(row: Row, keys: Sequence[str]) -> tuple[str, ...]:
    """Write a row's value of each key; a key that the row lacks is `-`."""
    return tuple(shown(row.group[key]) if key in row.group else "-" for key in keys)
