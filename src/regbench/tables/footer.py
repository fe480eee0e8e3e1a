"""The footer of a table: what the figures are, which runs are not in them; `contrast_notes` says how rows compare."""

from collections.abc import Iterator

from regbench.analysis.intervals import LEVEL
from regbench.analysis.table import Table
from regbench.tables.contrast_notes import ENOUGH, contrast_notes
from regbench.tables.noise_notes import noise_notes
from regbench.text import plural, printable, shown

_CHOICE = {"best_val": "at the epoch with the best validation loss", "last": "at the last epoch"}
_LISTED = 3  # paths and values that the footer names; JSON names all
_ORIGIN_NOUNS = {"regbench": "regbench", "torch": "torch", "device": "the device", "commit": "the code"}


def footer(table: Table) -> list[str]:
    """Write one line of plain text for each thing to know."""
    lines = [_metric(table), *_plus_minus(table), *_few_seeds(table)]
    if table.contrast:
        lines += contrast_notes(table, table.contrast)
    if table.test_noise:
        lines += noise_notes(table)
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
    return _CHOICE[table.select] + (", the last one for runs without validation images" if last else "")


def _plus_minus(table: Table) -> Iterator[str]:
    points = ", in percentage points" if table.metric.percent else ""
    level = f"{100 * LEVEL:.0f} % t interval"
    if not table.contrast or table.columns:
        mean = " (the baseline's)" if table.contrast else ""
        yield f"±: {level} of the mean over {'the runs of a row' if table.averaged else 'seeds'}{mean}{points}."
    if table.contrast:
        yield f"{'After a difference, ±' if table.columns else '±'}: {level} of the mean difference over seeds{points}."


def _few_seeds(table: Table) -> Iterator[str]:
    if any(row.estimate.n == 1 for row in table.rows):
        yield "n = 1: one seed has no interval."
    rivals = not table.contrast and len(table.rows) > 1 and "seed" not in table.keys
    if rivals and any(0 < row.estimate.n < ENOUGH for row in table.rows):
        yield f"n ≤ {ENOUGH - 1}: no exact paired test between rows can reach 0.05; {ENOUGH} seeds can."


def _runs(table: Table) -> Iterator[str]:
    """Say what was read, and what of it is in no figure."""
    ends = ", ".join(f"{number} {end}" for end, number in ({"completed": table.completed} | table.lost).items())
    copies = f"; {plural(len(table.duplicates), 'duplicate')} left out" if table.duplicates else ""
    yield f"{plural(table.runs, 'run')} read: {ends}{copies}."
    if table.missing:
        missing = _listed(tuple(_missing(table)))
        yield f"{plural(table.missing, 'run')} missing, of seeds that other rows have: {missing}."
    if table.without_figure:
        yield f"{table.without_figure} of the completed runs have no finite {table.metric.name} and are not in n."
    if table.unreadable:
        yield f"{len(table.unreadable)} unreadable: {_listed(table.unreadable)}"
    for name, values in table.mixed:
        yield f"The runs differ in {_ORIGIN_NOUNS[name]}: {_listed(values)}."


def _missing(table: Table) -> Iterator[str]:
    for row in table.rows:
        if row.missing:
            yield f"{row.missing} of {' '.join(f'{key}={shown(value)}' for key, value in row.group.items())}"


def _listed(texts: tuple[str, ...]) -> str:
    more = len(texts) - _LISTED
    return ", ".join(texts[:_LISTED]) + (f" and {more} more" if more > 0 else "")
