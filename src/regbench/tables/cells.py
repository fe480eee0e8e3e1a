"""A table as people read it: its headings and cells, plain, against a baseline, or with a key across."""

from collections.abc import Callable, Sequence

from regbench.analysis.groups import sortable
from regbench.analysis.table import LOST, Row, Table
from regbench.records.metrics import Metric
from regbench.tables.contrast_notes import P_HEADINGS
from regbench.tables.layout import Cells
from regbench.text import printable, probability, shown

_LOST = "lost"  # heading of the diverged, failed and unfinished runs together


def cells(table: Table) -> Cells:
    """Write the table's cells in the form that it asks for."""
    if table.columns:
        return _pivot(table)
    return _contrasted(table) if table.contrast else _plain(table)


def _plain(table: Table) -> Cells:
    metric = table.metric
    rows = [
        [
            *_keys(row, table.keys),
            str(row.estimate.n),
            figure(row.estimate.mean, metric),
            figure(row.estimate.half_width, metric),
            *([_test_set(row, metric)] if table.test_noise else []),
            figure(row.best, metric),
            figure(row.worst, metric),
            *map(str, row.lost.values()),
        ]
        for row in table.rows
    ]
    noise = ["test set"] if table.test_noise else []
    headings = [*map(printable, table.keys), "n", _heading(metric), "±", *noise, "best", "worst", *LOST]
    return _cells(headings, rows, len(table.keys))


def _contrasted(table: Table) -> Cells:
    """Put a baseline's columns in the place of best and worst; one column counts lost runs, if there are any."""
    assert table.contrast
    corrected = [] if table.contrast.correction == "none" else [P_HEADINGS[table.contrast.correction]]
    lost = [_LOST] if any(table.lost.values()) else []
    noise = ["± test", "p test"] if table.test_noise else []
    headings = ["n", _heading(table.metric), "diff", "±", "p", *corrected, "won", "verdict", *noise, *lost]
    rows = [
        [
            *_keys(row, table.keys),
            str(row.estimate.n),
            figure(row.estimate.mean, table.metric),
            *_comparison(row, table.metric, bool(corrected)),
            *(_noise(row, table.metric) if noise else []),
            *([str(sum(row.lost.values()))] if lost else []),
        ]
        for row in table.rows
    ]
    return _cells([*map(printable, table.keys), *headings], rows, len(table.keys))


def _cells(headings: list[str], rows: list[list[str]], keys: int) -> Cells:
    return Cells(headings, rows, figures=range(keys, len(headings)))


def _comparison(row: Row, metric: Metric, corrected: bool) -> list[str]:
    comparison = row.comparison
    assert comparison
    won = f"{comparison.won}/{comparison.pairs}" if comparison.pairs else ""
    ps = [probability(comparison.p), *([probability(comparison.p_adjusted)] if corrected else [])]
    return [_signed(comparison.difference, metric), figure(comparison.half_width, metric), *ps, won, _verdict(row)]


def _noise(row: Row, metric: Metric) -> list[str]:
    return [figure(row.noise.half_width, metric), probability(row.noise.p_adjusted)] if row.noise else ["", ""]


def _test_set(row: Row, metric: Metric) -> str:
    """Write `97.68–98.20`: the interval of an accuracy over other test images."""
    return "–".join(figure(end, metric) for end in row.noise.interval) if row.noise else ""


def _verdict(row: Row) -> str:
    """Write `better`, or `undecided (24)` with the number of seeds that would decide it."""
    assert row.comparison
    return row.comparison.verdict + (f" ({row.comparison.seeds})" if row.comparison.seeds else "")


def _pivot(table: Table) -> Cells:
    """Put the values of `table.columns` across, with one cell for each row of the table."""
    down = [key for key in table.keys if key not in table.columns]
    left = _distinct(table.rows, down)
    ordered = sorted(table.rows, key=lambda row: [sortable(row.group, key) for key in table.columns])
    across = _distinct(ordered, table.columns)
    row_at = {(_values(row, down), _values(row, table.columns)): row for row in table.rows}
    varies = len({row.estimate.n for row in table.rows}) > 1
    rows = [[*texts, *(_cell(row_at.get((texts, top)), table, varies) for top in across)] for texts in left]
    headings = [", ".join(f"{key}={text}" for key, text in zip(table.columns, top, strict=True)) for top in across]
    return _cells([*map(printable, down), *map(printable, headings)], rows, len(down))


def _cell(row: Row | None, table: Table, varies: bool) -> str:
    """Write `97.12 ± 1.91`, or `+0.31 ± 0.20 better` against a baseline.

    Behind it stand, in brackets, the noise of the test set if the table has it, n if it varies, and lost runs.
    """
    if row is None:
        return ""
    compared = row.comparison and row.comparison.pairs
    words = [_interval(row.estimate.mean, row.estimate.half_width, figure, table.metric)]
    if row.comparison and compared:
        words = [_interval(row.comparison.difference, row.comparison.half_width, _signed, table.metric), _verdict(row)]
    words.append(_aside(row, table.metric, bool(compared)) if table.test_noise else "")
    lost = sum(row.lost.values())
    remarks = [f"n={row.estimate.n}"] * varies + [f"{lost} {_LOST}"] * bool(lost)
    return " ".join([*filter(None, words), *([f"({', '.join(remarks)})"] if remarks else [])])


def _aside(row: Row, metric: Metric, compared: bool) -> str:
    """Write the noise of the test set: `[97.68–98.20]`, or `[± 0.25, p 0.012]` of a difference."""
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


def _heading(metric: Metric) -> str:
    return f"{metric.name} %" if metric.percent else metric.name


def figure(value: float | None, metric: Metric) -> str:
    """Write a figure with the metric's decimals, or with three digits if it would look like 0 or be very long."""
    if value is None:
        return ""
    value *= metric.scale
    readable = value == 0 or 10**-metric.decimals <= abs(value) < 10**6
    return f"{value:.{metric.decimals}f}" if readable else f"{value:.3g}"


def _signed(value: float | None, metric: Metric) -> str:
    text = figure(value, metric)
    return f"+{text}" if value is not None and value > 0 else text
