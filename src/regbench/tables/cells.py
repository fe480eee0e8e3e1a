"""A table as people read it: headings and texts of cells, plain, against a baseline, or with a key across."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from regbench.analysis.groups import sortable
from regbench.analysis.table import Row, Table
from regbench.records.metrics import Metric
from regbench.tables.footer import CORRECTED, COUNTS
from regbench.text import printable, probability, shown

LOST = "lost"  # diverged, failed and unfinished runs together


@dataclass(frozen=True)
class Cells:
    """Headings, then rows of as many texts; the first `keys` columns are words, the rest figures."""

    headings: list[str]
    rows: list[list[str]]
    keys: int

    @property
    def alignment(self) -> list[Literal["left", "right"]]:
        """Words to the left, figures to the right."""
        return ["left" if place < self.keys else "right" for place in range(len(self.headings))]


def cells(table: Table) -> Cells:
    """The table in the layout that it asks for."""
    if table.columns:
        return _pivot(table)
    return _contrasted(table) if table.contrast else _plain(table)


def _plain(table: Table) -> Cells:
    metric = table.metric
    rows = [
        [
            *_keys(row, table.keys),
            str(row.estimate.n),
            *(figure(x, metric) for x in (row.estimate.mean, row.estimate.half_width)),
            *([_test_set(row, metric)] if table.test_noise else []),
            *(figure(x, metric) for x in (row.best, row.worst)),
            *(str(getattr(row, count)) for count in COUNTS),
        ]
        for row in table.rows
    ]
    noise = ["test set"] if table.test_noise else []
    headings = [*map(printable, table.keys), "n", _heading(metric), "±", *noise, "best", "worst", *COUNTS]
    return Cells(headings, rows, len(table.keys))


def _contrasted(table: Table) -> Cells:
    """A baseline's columns take the place of best and worst; one column counts what is in no figure, if anything is."""
    assert table.contrast
    corrected = [] if table.contrast.correction == "none" else [CORRECTED[table.contrast.correction]]
    lost = [LOST] if any(map(_lost, table.rows)) else []
    noise = ["± test", "p test"] if table.test_noise else []
    headings = ["n", _heading(table.metric), "diff", "±", "p", *corrected, "won", "verdict", *noise, *lost]
    rows = [
        [
            *_keys(row, table.keys),
            str(row.estimate.n),
            figure(row.estimate.mean, table.metric),
            *_comparison(row, table.metric, bool(corrected)),
            *(_noise(row, table.metric) if noise else []),
            *([str(_lost(row))] if lost else []),
        ]
        for row in table.rows
    ]
    return Cells([*map(printable, table.keys), *headings], rows, len(table.keys))


def _comparison(row: Row, metric: Metric, corrected: bool) -> list[str]:
    found = row.comparison
    assert found
    won = f"{found.won}/{found.pairs}" if found.pairs else ""
    ps = [probability(found.p), *([probability(found.p_adjusted)] if corrected else [])]
    return [signed(found.difference, metric), figure(found.half_width, metric), *ps, won, verdict(row)]


def _noise(row: Row, metric: Metric) -> list[str]:
    return [figure(row.noise.half_width, metric), probability(row.noise.p_adjusted)] if row.noise else ["", ""]


def _test_set(row: Row, metric: Metric) -> str:
    """`97.68–98.20`: what the test set leaves open of an accuracy."""
    return "–".join(figure(end, metric) for end in row.noise.interval) if row.noise else ""


def verdict(row: Row) -> str:
    """`better`, or `undecided (24)` with the seeds that would decide it."""
    assert row.comparison
    return row.comparison.verdict + (f" ({row.comparison.seeds})" if row.comparison.seeds else "")


def _pivot(table: Table) -> Cells:
    """The values of `table.columns` across, one cell for each row of the table."""
    down = [key for key in table.keys if key not in table.columns]
    left = _distinct(table.rows, down)
    ordered = sorted(table.rows, key=lambda row: [sortable(row.group, key) for key in table.columns])
    across = _distinct(ordered, table.columns)
    found = {(_values(row, down), _values(row, table.columns)): row for row in table.rows}
    varies = len({row.estimate.n for row in table.rows}) > 1
    rows = [[*texts, *(_cell(found.get((texts, top)), table, varies) for top in across)] for texts in left]
    headings = [", ".join(f"{key}={text}" for key, text in zip(table.columns, top, strict=True)) for top in across]
    return Cells([*map(printable, down), *map(printable, headings)], rows, len(down))


def _cell(row: Row | None, table: Table, varies: bool) -> str:
    """`97.12 ± 1.91`, or `+0.31 ± 0.20 better` against a baseline; the test set's noise in brackets if it is wanted;
    n where it varies, and what is in no figure.
    """
    if row is None:
        return ""
    compared = row.comparison and row.comparison.pairs
    words = [_interval(row.estimate.mean, row.estimate.half_width, figure, table.metric)]
    if row.comparison and compared:
        words = [_interval(row.comparison.difference, row.comparison.half_width, signed, table.metric), verdict(row)]
    words.append(_aside(row, table.metric, bool(compared)) if table.test_noise else "")
    remarks = [f"n={row.estimate.n}"] * varies + [f"{_lost(row)} {LOST}"] * bool(_lost(row))
    return " ".join([*filter(None, words), *([f"({', '.join(remarks)})"] if remarks else [])])


def _aside(row: Row, metric: Metric, compared: bool) -> str:
    """`[97.68–98.20]`, of a difference `[± 0.25, p 0.012]`: what the test set leaves open."""
    half, p = _noise(row, metric)
    text = ", ".join([f"± {half}"] * bool(half) + [f"p {p}"] * bool(p)) if compared else _test_set(row, metric)
    return f"[{text}]" if text else ""


def _interval(
    middle: float | None, half_width: float | None, text: Callable[[float | None, Metric], str], metric: Metric
) -> str:
    return text(middle, metric) + (f" ± {figure(half_width, metric)}" if half_width is not None else "")


def _distinct(rows: Sequence[Row], keys: Sequence[str]) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(_values(row, keys) for row in rows))


def _values(row: Row, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(_keys(row, keys))


def _keys(row: Row, keys: Sequence[str]) -> list[str]:
    return [shown(row.group[key]) if key in row.group else "-" for key in keys]


def _lost(row: Row) -> int:
    return sum(getattr(row, count) for count in COUNTS)


def _heading(metric: Metric) -> str:
    return f"{metric.name} %" if metric.percent else metric.name


def figure(value: float | None, metric: Metric) -> str:
    """At the metric's decimals, or at three digits where those would show 0 or a row of them."""
    if value is None:
        return ""
    value *= metric.scale
    readable = value == 0 or 10**-metric.decimals <= abs(value) < 10**6
    return f"{value:.{metric.decimals}f}" if readable else f"{value:.3g}"


def signed(value: float | None, metric: Metric) -> str:
    """A difference, with its sign."""
    text = figure(value, metric)
    return f"+{text}" if value is not None and value > 0 else text
