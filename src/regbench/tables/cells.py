"""A table as people read it: its headings and cells, plain or against a baseline; `pivot` has a key across."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from regbench.analysis.table import LOST, Row, Table
from regbench.errors import UserError
from regbench.records.metrics import Metric
from regbench.tables.cell_text import LOST_RUNS, image_interval, key_values, sequence, verdict
from regbench.tables.choices import SHOWN
from regbench.tables.contrast_notes import P_HEADINGS
from regbench.tables.layout import Cells
from regbench.tables.pivot import pivot
from regbench.tables.tuning_notes import budgets_differ, chosen
from regbench.text import printable, probability, shown

_CHANGE = "change"  # heading of what rows change


@dataclass(frozen=True)
class _Column:
    """A column of figures. Those with the least `rank` above 0 are the first that a narrow terminal leaves out."""

    heading: str
    texts: list[str]
    rank: int = 0


def cells(tables: Sequence[Table], show: Sequence[str] = ()) -> Cells:
    """Write the cells in the form that the tables ask for: one table for each figure, all of the same rows.

    Args:
        tables: the first says the order of the rows.
        show: more columns, of `choices.SHOWN`.

    Raises:
        UserError: a pivot is too wide, or of several figures.
    """
    first = tables[0]
    if first.columns:
        if len(tables) > 1:
            raise UserError("--cols: a pivot shows one figure. Name one --metric, or leave out --cols")
        if first.shrink:
            raise UserError("--shrink: a pivot has no room for it. Leave out --cols")
        return pivot(first)
    order = [_identity(row) for row in first.rows]
    columns = [_counts(first)]
    for table in tables:
        rows = {_identity(row): row for row in table.rows}
        ordered = replace(table, rows=tuple(rows[key] for key in order))
        columns.append(_of_metric(ordered, show, alone=len(tables) == 1))
    columns.append(_lost(first))
    return _joined(first, [column for part in columns for column in part])


def _joined(table: Table, columns: Sequence[_Column]) -> Cells:
    """Put the columns of figures behind those of the keys, or of the changes that stand for them."""
    changed = table.base is not None
    names = [_CHANGE] if changed else list(map(printable, table.keys))
    words = [(str(row.change),) if changed else key_values(row, table.keys) for row in table.rows]
    rows = [[*left, *(column.texts[place] for column in columns)] for place, left in enumerate(words)]
    spare = sorted((column.rank, len(names) + place) for place, column in enumerate(columns) if column.rank)
    headings = [*names, *(column.heading for column in columns)]
    return Cells(headings, rows, range(len(names), len(headings)), [place for _, place in spare])


def _counts(table: Table) -> list[_Column]:
    return [_Column("n", [str(row.estimate.n) for row in table.rows])]


def _lost(table: Table) -> list[_Column]:
    """Count the runs in no figure, if there are any: one column beside a baseline's, which need the room."""
    lost = {end: [row.lost.get(end, 0) for row in table.rows] for end in LOST if table.lost.get(end)}
    if table.contrast and lost:
        return [_Column(LOST_RUNS, [str(sum(row.lost.values())) for row in table.rows])]
    return [_Column(end, list(map(str, numbers))) for end, numbers in lost.items()]


def _of_metric(table: Table, show: Sequence[str], alone: bool) -> list[_Column]:
    """Return the columns of one figure: best and worst, or what the comparison with a baseline says."""
    metric, rows = table.metric, table.rows
    mean = _Column(_heading(metric), [metric.text(row.estimate.mean) for row in rows])
    more = [_Column(name, [_SHOW[name](row, metric) for row in rows]) for name in SHOWN if name in show]
    first = [*_tuned(table), mean, *_shrunk(table)]
    if table.contrast:
        return [*first, *more, *_contrasted(table, alone)]
    half = _Column("±", [metric.text(row.estimate.half_width) for row in rows])
    noise = [_Column("test set", [image_interval(row, metric) for row in rows])] if table.test_noise else []
    ends = [
        _Column("best", [metric.text(row.best) for row in rows], rank=2),
        _Column("worst", [metric.text(row.worst) for row in rows], rank=1),
    ]
    return [*first, half, *more, *noise, *(ends if alone else [])]


def _tuned(table: Table) -> list[_Column]:
    """Return the chosen values, and how many each row had if they had unlike numbers."""
    if not table.tuning:
        return []
    choices = [row.choice for row in table.rows if row.choice]
    columns = [
        _Column(printable(key), [chosen(choice, place) for choice in choices])
        for place, key in enumerate(table.tuning.keys)
    ]
    budgets = [
        _Column("values", [str(choice.values) for choice in choices], rank=4),
        _Column("runs", [str(choice.runs) for choice in choices], rank=3),
    ]
    return columns + (budgets if budgets_differ(table) else [])


def _shrunk(table: Table) -> list[_Column]:
    return [_Column("shrunk", [table.metric.text(row.shrunk) for row in table.rows])] if table.shrink else []


def _contrasted(table: Table, alone: bool) -> list[_Column]:
    assert table.contrast
    metric, compared = table.metric, [row.comparison for row in table.rows]
    corrected = table.contrast.correction != "none"
    noise = [
        _Column("± test", [metric.text(row.noise.half_width) if row.noise else "" for row in table.rows]),
        _Column("p test", [probability(row.noise.p_adjusted) if row.noise else "" for row in table.rows]),
    ]
    ps = [_p(row, "p", "p_diverged") for row in table.rows]
    adjusted = [_p(row, "p_adjusted", "p_diverged_adjusted") for row in table.rows]
    return [
        _Column("diff", [metric.signed(found.difference if found else None) for found in compared]),
        _spread(table),
        *([_Column("p", ps, rank=1 if corrected else 0)] if alone or not corrected else []),
        *([_Column(P_HEADINGS[table.contrast.correction], adjusted, rank=0 if alone else 1)] if corrected else []),
        *([_Column("won", [_won(row) for row in table.rows], rank=2)] if alone else []),
        _Column("verdict", [verdict(row) for row in table.rows]),
        *(noise if table.test_noise else []),
    ]


def _spread(table: Table) -> _Column:
    """Return half of each interval, or both ends of a confidence sequence, which are not equally far from the mean."""
    compared = [row.comparison for row in table.rows]
    if table.contrast and table.contrast.anytime:
        return _Column("interval", [sequence(found.sequence, table.metric) if found else "" for found in compared])
    return _Column("±", [table.metric.text(found.half_width if found else None) for found in compared])


def _p(row: Row, of_figures: str, of_divergence: str) -> str:
    """Write the p of the figures, or the p of divergence where the verdict rests on that."""
    p: float | None = getattr(row.comparison, of_figures)
    if p is None or (row.comparison and row.comparison.verdict.startswith("diverge")):
        p = getattr(row.comparison, of_divergence)
    return probability(p)


def _won(row: Row) -> str:
    return f"{row.comparison.won}/{row.comparison.pairs}" if row.comparison and row.comparison.pairs else ""


def _seeds(row: Row, metric: Metric) -> str:
    return " ".join(metric.text(value) for _, value in row.figures)


_SHOW: dict[str, Callable[[Row, Metric], str]] = {
    "std": lambda row, metric: metric.text(row.std),
    "se": lambda row, metric: metric.text(row.standard_error),
    "median": lambda row, metric: metric.text(row.median),
    "seeds": _seeds,
}


def _identity(row: Row) -> tuple[tuple[str, str], ...]:
    return tuple((key, shown(value)) for key, value in row.group.items())


def _heading(metric: Metric) -> str:
    return f"{metric.name} %" if metric.percent else metric.name
