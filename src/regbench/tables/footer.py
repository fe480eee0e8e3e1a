"""The footer of a table: two lines and what is odd about this table, or everything; in files always everything."""

from collections.abc import Iterator, Sequence

from regbench.analysis.intervals import LEVEL
from regbench.analysis.searched import note
from regbench.analysis.table import Table
from regbench.analysis.together import Together
from regbench.tables.contrast_notes import ENOUGH, contrast_notes, contrast_remarks, in_short, legend_of
from regbench.tables.layout import NULL
from regbench.tables.noise_notes import noise_notes
from regbench.tables.tuning_notes import tuning_remarks
from regbench.text import first_of, plural, printable, shown

_CHOICE = {"best_val": "at the epoch with the best validation loss", "last": "at the last epoch"}
_LISTED = 3  # paths and values that the footer names; JSON names all
_PAIRS = 6  # values that a note on two keys names
_ORIGIN_NOUNS = {"regbench": "regbench", "torch": "torch", "device": "the device", "commit": "the code"}
_MORE = "More: --explain."


def footer(tables: Table | Sequence[Table], *, explain: bool = True) -> list[str]:
    """Write one line of plain text for each thing to know; each once, however many figures have a table.

    Args:
        tables: a table for each figure, all of the same runs.
        explain: write everything; if not, two lines and the remarks that change how this table is to be read.
    """
    every = [tables] if isinstance(tables, Table) else list(tables)
    lines = [list((_all if explain else _short)(table)) for table in every]
    ordered = [*(of_table[0] for of_table in lines), *(line for of_table in lines for line in of_table[1:])]
    return [printable(line) for line in dict.fromkeys(ordered)]


def _short(table: Table) -> Iterator[str]:
    if table.contrast:
        yield from in_short(table, table.contrast)
        legend = list(legend_of(table, table.contrast))
    else:
        yield f"{_metric(table)[:-1]}; ±: {_level()}." if table.has_intervals else f"{_metric(table)[:-1]}."
        legend = [f"n ≤ {ENOUGH - 1} proves no difference, {ENOUGH} seeds can"] if _few_seeds(table) else []
    yield f"{'; '.join([_counted(table), *legend])}. {_MORE}"
    yield from _remarks(table)
    if table.contrast:
        yield from contrast_remarks(table, table.contrast)


def _all(table: Table) -> Iterator[str]:
    yield _metric(table)
    yield from _plus_minus(table)
    yield from _shrunk(table)
    if any(row.estimate.n == 1 for row in table.rows):
        yield "n = 1: one seed has no interval."
    if _few_seeds(table):
        yield f"n ≤ {ENOUGH - 1}: no exact paired test between rows can reach 0.05; {ENOUGH} seeds can."
    if table.contrast:
        yield from contrast_notes(table, table.contrast)
    if table.test_noise:
        yield from noise_notes(table)
    if table.base is not None:
        base = ", ".join(f"{key}={shown(value)}" for key, value in table.base.items())
        yield f"change: what a row has in the place of {base}."
    if table.where:
        yield f"Only runs with {table.where}: {table.runs} of {table.runs + table.left_out}."
    yield _runs(table)
    if any(value is None for row in table.rows for value in row.group.values()):
        yield f"null is written {NULL} in CSV, where pandas would take it for a missing value."
    yield from _remarks(table)
    if table.contrast:
        yield from contrast_remarks(table, table.contrast)


def _metric(table: Table) -> str:
    unit = " in %" if table.metric.percent else ""
    better = f", {'higher' if table.metric.higher_is_better else 'lower'} is better" if table.contrast else ""
    return f"{table.metric.name}{unit}, {_moment(table)}{better}."


def _moment(table: Table) -> str:
    if table.select is None:
        return "of the whole run"
    last = table.select == "best_val" and table.without_validation
    return _CHOICE[table.select] + (", the last one for runs without validation images" if last else "")


def _level() -> str:
    return f"{100 * LEVEL:.0f} % t interval"


def _shrunk(table: Table) -> Iterator[str]:
    if table.shrink:
        yield (
            "shrunk: means drawn to their common mean as far as noise explains their spread (empirical Bayes, Morris "
            "1983); rows far from the first keep theirs."
        )


def _plus_minus(table: Table) -> Iterator[str]:
    points = ", in percentage points" if table.metric.percent else ""
    if not table.contrast or table.columns:
        mean = " (the baseline's)" if table.contrast else ""
        yield f"±: {_level()} of the mean over {'the runs of a row' if table.averaged else 'seeds'}{mean}{points}."
    if table.contrast and table.contrast.anytime:
        sign = "In brackets after a difference" if table.columns else "interval"
        level = f"{100 * LEVEL:.0f} % confidence sequence"
        yield f"{sign}: {level} of the difference, valid at all numbers of seeds at once{points}."
    elif table.contrast:
        sign = "After a difference, ±" if table.columns else "±"
        yield f"{sign}: {_level()} of the mean difference over seeds{points}."


def _counted(table: Table) -> str:
    """Write `12 runs, all completed`, or how many ended how."""
    lost = "".join(f", {number} {end}" for end, number in table.lost.items() if number)
    ended = f"{table.completed} completed{lost}" if lost else "all completed"
    some = f"; only {table.where}, of {plural(table.runs + table.left_out, 'run')}" if table.where else ""
    copies = f"; {plural(len(table.duplicates), 'duplicate')} left out" if table.duplicates else ""
    return f"{plural(table.runs, 'run')}, {ended}{some}{copies}"


def _few_seeds(table: Table) -> bool:
    rivals = not table.contrast and len(table.rows) > 1 and "seed" not in table.keys
    return rivals and any(0 < row.estimate.n < ENOUGH for row in table.rows)


def _runs(table: Table) -> str:
    ends = ", ".join(f"{number} {end}" for end, number in ({"completed": table.completed} | table.lost).items())
    copies = f"; {plural(len(table.duplicates), 'duplicate')} left out" if table.duplicates else ""
    return f"{plural(table.runs, 'run')} read: {ends}{copies}."


def _remarks(table: Table) -> Iterator[str]:
    """Say what is odd about this table: the user's note, which runs are in no figure, what its rows do not show."""
    if table.note:
        yield f"Note on {table.note}"
    yield from (f"{reason.removesuffix('.')}{'.' * (not reason.endswith('?'))}" for reason in table.absent)
    yield from tuning_remarks(table)
    yield from _searched(table)
    yield from _luck(table)
    yield from map(_together, table.together)
    if table.averaged:
        yield f"The runs of a row also differ in {', '.join(table.averaged)}: --by shows them apart."
    yield from _clocks(table)
    yield from _beyond(table)
    if table.missing:
        missing = _listed(tuple(_missing(table)))
        yield f"{plural(table.missing, 'run')} missing, of seeds that other rows have: {missing}."
    if table.without_figure:
        yield f"{table.without_figure} of the completed runs have no finite {table.metric.name} and are not in n."
    if table.unreadable:
        yield f"{len(table.unreadable)} unreadable: {first_of(table.unreadable)}."
    for name, values in table.mixed:
        yield f"The runs differ in {_ORIGIN_NOUNS[name]}: {_listed(values)}."


def _searched(table: Table) -> Iterator[str]:
    """Say that a search chose runs by the figures of others, and what that means for intervals."""
    if table.searched and table.as_if_fixed:
        yield note(table.searched, table.completed, "intervals and verdicts do not account for that.")
    elif table.searched:
        consequence = "no interval, no test. --searched shows them all the same; new seeds of the best are fair."
        yield note(table.searched, table.completed, consequence)


def _luck(table: Table) -> Iterator[str]:
    """Say by how much the first of several rows stands too high because it was chosen, unless rounding hides it."""
    metric = table.metric
    if table.luck is None or table.luck * metric.scale < 0.5 * 10**-metric.decimals:
        return
    size = f"{table.luck * metric.scale:.{metric.decimals}f}{' points' if metric.percent else ''}"
    side = "high" if metric.higher_is_better else "low"
    cure = "" if table.shrink else " --shrink shows means without it."
    yield f"The best of several is also lucky: the first row is expected to stand {size} too {side}.{cure}"


def _together(together: Together) -> str:
    """Write `batch_size goes with optimizer.lr: 20 at 0.1, 500 at 0.001.`"""
    if together.follows is None:
        values = _listed(tuple(shown(value) for value, _ in together.pairs))
        return f"{together.key} differs between rows too: {values}. --by shows it."
    pairs = [f"{shown(value)} at {shown(at) if at == at else 'no value'}" for value, at in together.pairs]
    more = f" and {len(pairs) - _PAIRS} more" if len(pairs) > _PAIRS else ""
    return f"{together.key} goes with {together.follows}: {', '.join(pairs[:_PAIRS])}{more}."


def _clocks(table: Table) -> Iterator[str]:
    """Say whose time it is if runs shared the machine."""
    if table.clocks:
        stacks = sorted({row.stack for row in table.rows if row.stack and row.stack > 1})
        sizes = f", in stacks of {' or '.join(map(str, stacks))}" if stacks else ""
        yield (
            f"{table.clocks} of {plural(table.runs, 'run')} shared the machine while they were timed{sizes}: their "
            f"{table.metric.name} are no independent figures, and have no interval and no test. runtime.stack=1 trains "
            "one run at a time."
        )


def _beyond(table: Table) -> Iterator[str]:
    """Say so if an interval of a share is wider than shares can be."""
    if not table.metric.percent:
        return
    ends = [end for row in table.rows for end in row.estimate.interval or ()]
    comparisons = [row.comparison for row in table.rows if row.comparison]
    spans = [abs(found.difference or 0) + (found.half_width or 0) for found in comparisons]
    if any(not 0 <= end <= 1 for end in ends) or any(span > 1 for span in spans):
        yield "Some ± reach beyond 0 or 100 %, which no accuracy does: so few and unlike seeds say little of the mean."


def _missing(table: Table) -> Iterator[str]:
    for row in table.rows:
        if row.missing:
            values = row.change or " ".join(f"{key}={shown(value)}" for key, value in row.group.items())
            yield f"{row.missing} of {values}"


def _listed(texts: tuple[str, ...]) -> str:
    more = len(texts) - _LISTED
    return ", ".join(texts[:_LISTED]) + (f" and {more} more" if more > 0 else "")
