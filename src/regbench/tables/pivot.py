"""A table with a key across: a cell for each row of the comparison."""

from collections.abc import Sequence

from regbench.analysis.groups import sortable
from regbench.analysis.signs import SIGNS
from regbench.analysis.table import Row, Table
from regbench.errors import UserError
from regbench.records.metrics import Metric
from regbench.tables.cell_text import LOST_RUNS, image_interval, key_values, sequence
from regbench.tables.layout import Cells
from regbench.text import printable, probability

_MOST_COLUMNS = 200  # of a pivot: a million cells of a million runs fill the memory


def pivot(table: Table) -> Cells:
    """Put the values of `table.columns` across, with one cell for each row of the table.

    Raises:
        UserError: there are too many columns.
    """
    down = [key for key in table.keys if key not in table.columns]
    left = _distinct(table.rows, down)
    ordered = sorted(table.rows, key=lambda row: [sortable(row.group, key) for key in table.columns])
    across = _distinct(ordered, table.columns)
    if len(across) > _MOST_COLUMNS:
        keys = ",".join(table.columns)
        raise UserError(f"--cols {keys}: {len(across):,} columns. Name a key with {_MOST_COLUMNS} values at most")
    row_at = {(key_values(row, down), key_values(row, table.columns)): row for row in table.rows}
    varies = len({row.estimate.n for row in table.rows}) > 1
    rows = [[*texts, *(_cell(row_at.get((texts, top)), table, varies) for top in across)] for texts in left]
    headings = [", ".join(f"{key}={text}" for key, text in zip(table.columns, top, strict=True)) for top in across]
    names = list(map(printable, down))
    return Cells(
        [*names, *map(printable, headings)],
        rows,
        range(len(down), len(down) + len(across)),
        across=printable(", ".join(table.columns)),
        heads=[*names, *(printable(", ".join(top)) for top in across)],
    )


def _cell(row: Row | None, table: Table, varies: bool) -> str:
    """Write `97.12 ± 1.91`, or `+0.31 ± 0.20 +` with the sign of the verdict against a baseline.

    Behind it stand, in brackets, the noise of the test set if the table has it, n if it varies, and lost runs.
    """
    if row is None:
        return ""
    compared = row.comparison and row.comparison.pairs
    half, metric = row.estimate.half_width, table.metric
    words = [metric.text(row.estimate.mean) + _plus_minus(half, metric)]
    if row.comparison and compared:
        words = [metric.signed(row.comparison.difference) + _plus_minus(row.comparison.half_width, metric)]
        words.append(sequence(row.comparison.sequence, metric))
    words.append(_aside(row, metric, bool(compared)) if table.test_noise else "")
    lost = sum(row.lost.values())
    remarks = [f"n={row.estimate.n}"] * varies + [f"{lost} {LOST_RUNS}"] * bool(lost)
    remarks += [f"at {row.choice.words}"] if row.choice and row.choice.chosen else []
    words.append(f"({', '.join(remarks)})" if remarks else "")
    words.append(SIGNS[row.comparison.verdict] if row.comparison else "")
    return " ".join(filter(None, words))


def _aside(row: Row, metric: Metric, compared: bool) -> str:
    """Write the noise of the test set: `[97.68–98.20]`, or `[± 0.25, p 0.012]` of a difference."""
    half, p = (metric.text(row.noise.half_width), probability(row.noise.p_adjusted)) if row.noise else ("", "")
    text = ", ".join([f"± {half}"] * bool(half) + [f"p {p}"] * bool(p)) if compared else image_interval(row, metric)
    return f"[{text}]" if text else ""


def _plus_minus(half_width: float | None, metric: Metric) -> str:
    return f" ± {metric.text(half_width)}" if half_width is not None else ""


def _distinct(rows: Sequence[Row], keys: Sequence[str]) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(key_values(row, keys) for row in rows))
