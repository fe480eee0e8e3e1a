"""The order of a comparison's rows."""

from collections.abc import Callable, Sequence
from typing import Any

from regbench.analysis.groups import sortable
from regbench.analysis.table import Row
from regbench.errors import UserError, no_such
from regbench.records.metrics import Metric


def _of_comparison(name: str) -> Callable[[Row], Any]:
    return lambda row: getattr(row.comparison, name) if row.comparison else None


_COLUMNS: dict[str, Callable[[Row], Any]] = {
    "n": lambda row: row.estimate.n,
    "mean": lambda row: row.estimate.mean,
    "best": lambda row: row.best,
    "worst": lambda row: row.worst,
    "diff": _of_comparison("difference"),
    "p": _of_comparison("p"),
    "won": _of_comparison("won"),
    "verdict": _of_comparison("verdict"),
}


def in_order(rows: Sequence[Row], keys: Sequence[str], metric: Metric, sort: str | None, *, pivot: bool) -> list[Row]:
    """Sort rows as `sort` says: a key or column, `-` reverses. By default the best mean is first; a pivot is by keys.

    Raises:
        UserError: there is no such key or column.
    """
    best_first = sorted(rows, key=lambda row: _rank(row, keys, metric))
    if sort is not None:
        return _by_column(best_first, keys, sort)
    return sorted(best_first, key=lambda row: _by_keys(row, keys)) if pivot else best_first


def _rank(row: Row, keys: Sequence[str], metric: Metric) -> tuple[Any, ...]:
    """Rank the best mean first, groups without one last, ties by the group's values."""
    mean = row.estimate.mean
    return mean is None, (-1 if metric.higher_is_better else 1) * (mean or 0.0), _by_keys(row, keys)


def _by_keys(row: Row, keys: Sequence[str]) -> list[tuple[int, float, str]]:
    return [sortable(row.group, key) for key in keys]


def _by_column(rows: Sequence[Row], keys: Sequence[str], sort: str) -> list[Row]:
    """Rows without the value come last."""
    name = sort.removeprefix("-")
    if name not in _COLUMNS and name not in keys:
        raise UserError(f"--sort {sort}: {no_such('column', name, 'the table', {*_COLUMNS, *keys})}")

    def value(row: Row) -> Any:
        return _COLUMNS[name](row) if name in _COLUMNS else sortable(row.group, name) if name in row.group else None

    present = [row for row in rows if value(row) is not None]
    absent = [row for row in rows if value(row) is None]
    return [*sorted(present, key=value, reverse=sort.startswith("-")), *absent]
