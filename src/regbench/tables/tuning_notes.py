"""Notes on tuned values: how they were chosen and from how much, and where a choice is to be doubted."""

from collections import Counter
from collections.abc import Iterator, Sequence

from regbench.analysis.choice import Choice, Tuning, written
from regbench.analysis.table import Row, Table
from regbench.text import plural, shown

_LISTED = 3  # rows that a note names; JSON has all


def chosen(choice: Choice, place: int) -> str:
    """Write the values of a tuned key: `0.001`, or `0.001 (8), 0.01 (2)` with the number of seeds of each."""
    counts = Counter[str]()
    for values, seeds in choice.chosen:
        counts[written([values[place]])] += seeds
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{text} ({seeds})" for text, seeds in counts.most_common())


def budgets_differ(table: Table) -> bool:
    """Tell whether rows had unlike numbers of values or runs to choose from."""
    return len({(row.choice.values, row.choice.runs) for row in table.rows if row.choice}) > 1


def tuning_remarks(table: Table) -> Iterator[str]:
    """Say how values were chosen, and what makes a choice or its comparison doubtful."""
    if not table.tuning:
        return
    choices = [row.choice for row in table.rows if row.choice]
    names, judge = ", ".join(table.tuning.keys), table.tuning.metric
    rule = f"chosen for each seed except the first, by the mean {judge} of the seeds before it"
    yield f"{names}: {rule}, {_budget(choices)}."
    if budgets_differ(table):
        columns = "" if table.columns else " The columns values and runs say how much each had."
        yield f"Rows had unlike budgets: luck favours none, but a finer grid may hold a better value.{columns}"
    yield from _doubts(table, table.tuning)


def _budget(choices: Sequence[Choice]) -> str:
    """Write `of 5 values in 50 runs for each row`."""
    values, runs = [choice.values for choice in choices], [choice.runs for choice in choices]
    some = f"{_span(values)} value{'s' * (max(values) != 1)}"
    return f"of {some} in {_span(runs)} runs for each row"


def _span(numbers: Sequence[int]) -> str:
    return f"{min(numbers)}" + (f" to {max(numbers)}" if len(set(numbers)) > 1 else "")


def _doubts(table: Table, tuning: Tuning) -> Iterator[str]:
    rows = [(row, row.choice) for row in table.rows if row.choice]
    if edges := [f"{_name(row)} ({_edges(choice, tuning)})" for row, choice in rows if choice.edges]:
        yield f"Chosen at an end of the grid, a better value may lie beyond: {_listed(edges)}."
    if diverged := [f"{_name(row)} ({_diverged(choice)})" for row, choice in rows if choice.diverged]:
        yield f"Values with diverged runs are chosen last: {_listed(diverged)}."
    if missing := [f"{_name(row)} ({choice.missing})" for row, choice in rows if choice.missing]:
        yield f"Combinations of a row's values without a run: {_listed(missing)}."
    if fewer := [f"{_name(row)} ({_fewer(choice)})" for row, choice in rows if choice.fewer]:
        yield f"Values with fewer seeds than others of their row: {_listed(fewer)}."


def _edges(choice: Choice, tuning: Tuning) -> str:
    several = len(tuning.keys) > 1
    return ", ".join(
        f"{f'{edge.key}=' if several else ''}{shown(edge.value)} is the {edge.end}" for edge in choice.edges
    )


def _diverged(choice: Choice) -> str:
    return ", ".join(f"{written(values)}: {plural(runs, 'run')}" for values, runs in choice.diverged)


def _fewer(choice: Choice) -> str:
    return ", ".join(f"{written(values)}: {plural(seeds, 'seed')}" for values, seeds in choice.fewer)


def _name(row: Row) -> str:
    return row.change or " ".join(f"{key}={shown(value)}" for key, value in row.group.items())


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - _LISTED
    return "; ".join(texts[:_LISTED]) + (f" and {plural(more, 'more row')}" if more > 0 else "")
