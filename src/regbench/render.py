"""A table as terminal text, CSV, Markdown, LaTeX, JSON: full precision for programs, readable figures for people."""

import csv
import io
import json
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, Literal

import rich.box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text
from tabulate import tabulate

from regbench.errors import plural, shown
from regbench.stats import LEVEL
from regbench.summary import Metric, Row, Table

STATISTICS = ("n", "mean", "ci95", "ci95_low", "ci95_high", "best", "worst", "diverged", "failed", "unfinished")
COUNTS = ("diverged", "failed", "unfinished")
CHOICE = {"best_val": "at the epoch with the best validation loss", "last": "at the last epoch"}
GAP = 2  # between columns
KEY_FOLD, HEADING_FOLD = 8, 4  # the narrowest that a key's values and a heading are folded to
LISTED = 3  # paths named in the footer; JSON names all


def table(comparison: Table, console: Console) -> None:
    """Print the table and its footer. Headings and long keys fold where the console is narrow, figures never do."""
    console.print(_grid(comparison, console.width), crop=False)
    console.print()
    for line in footer(comparison):
        wrapped = textwrap.fill(line, console.width, break_long_words=False, break_on_hyphens=False)
        console.print(Text(wrapped), style="dim", soft_wrap=True)


def _grid(table: Table, room: int) -> Grid:
    headings, rows = cells(table)
    needed = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    room -= GAP * (len(headings) - 1)
    if sum(_wide(headings, needed)) > room:
        headings = [heading.replace("_", "_\n").replace(".", "\n.").replace("unf", "un-\nf") for heading in headings]
    widths = _narrowed(_wide(headings, needed), _least(needed, len(table.keys)), room)
    full = sum(widths) + GAP * (len(headings) - 1)
    grid = Grid(box=rich.box.SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False, width=full)
    for heading, width, justify in zip(headings, widths, _alignment(table), strict=True):
        grid.add_column(Text(heading), width=width, justify=justify, overflow="fold")
    for row in rows:
        grid.add_row(*map(Text, row))
    return grid


def _least(needed: Sequence[int], keys: int) -> list[int]:
    """How narrow a column may get: the values of keys fold, and all headings."""
    folded = [min(size, KEY_FOLD) if place < keys else size for place, size in enumerate(needed)]
    return [max(size, HEADING_FOLD) for size in folded]


def _wide(headings: Sequence[str], needed: Sequence[int]) -> list[int]:
    """The widths at which neither a heading's line nor a cell folds."""
    lines = (max(map(cell_len, heading.splitlines())) for heading in headings)
    return [max(pair) for pair in zip(lines, needed, strict=True)]


def _narrowed(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """The widths, the widest that may shrink made narrower until they fit or none may."""
    narrowed = list(widths)
    while sum(narrowed) > room and (places := [p for p in range(len(narrowed)) if narrowed[p] > least[p]]):
        narrowed[max(places, key=lambda place: narrowed[place])] -= 1
    return narrowed


def to_csv(table: Table) -> str:
    """Plain numbers, fractions unrounded; a cell is empty where there is nothing to say."""
    text = io.StringIO()
    writer = csv.DictWriter(text, (*table.keys, "metric", "select", *STATISTICS), restval="", lineterminator="\n")
    writer.writeheader()
    for row in table.rows:
        group = {key: shown(value) for key, value in row.group.items()}
        writer.writerow(group | _record(table, row))
    return text.getvalue()


def to_markdown(table: Table) -> str:
    """A GitHub table, the footer below."""
    headings, rows = cells(table)
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    body = tabulate(escaped, headings, "pipe", disable_numparse=True, colalign=_alignment(table))
    return "\n".join([body, "", *(f"- {line}" for line in footer(table))]) + "\n"


def to_latex(table: Table) -> str:
    r"""A booktabs tabular, for `\usepackage{booktabs}`, the footer as comments."""
    headings, rows = cells(table)
    body = tabulate(rows, headings, "latex_booktabs", disable_numparse=True, colalign=_alignment(table))
    return "\n".join([body.replace("±", r"$\pm$"), *(f"% {line}" for line in footer(table))]) + "\n"


def to_json(table: Table) -> str:
    """All that the table knows; values of keys keep their types, figures are fractions unrounded."""
    content = {
        "metric": table.metric.name,
        "better": "higher" if table.metric.higher_is_better else "lower",
        "select": table.select,
        "level": LEVEL,
        "keys": table.keys,
        "rows": [{**row.group, **_record(table, row)} for row in table.rows],
        "averaged_over": table.averaged,
        "runs": table.runs,
        "completed": table.completed,
        **{count: _total(table, count) for count in COUNTS},
        "without_figure": table.without_figure,
        "without_validation": table.without_validation,
        "duplicates": table.duplicates,
        "unreadable": table.unreadable,
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Table], str]] = {
    "csv": to_csv,
    "md": to_markdown,
    "latex": to_latex,
    "json": to_json,
}


def cells(table: Table) -> tuple[list[str], list[list[str]]]:
    """Headings and rows as people read them."""
    metric = table.metric
    mean = f"{metric.name} %" if metric.percent else metric.name
    rows = [
        [
            *(shown(row.group[key]) if key in row.group else "-" for key in table.keys),
            str(row.estimate.n),
            *(_figure(x, metric) for x in (row.estimate.mean, row.estimate.half_width, row.best, row.worst)),
            *(str(getattr(row, count)) for count in COUNTS),
        ]
        for row in table.rows
    ]
    return [*map(_printable, table.keys), "n", mean, "±", "best", "worst", *COUNTS], rows


def footer(table: Table) -> list[str]:
    """What the figures are, what ± means, and which runs are not in them."""
    metric = table.metric
    lines = [
        f"{metric.name}{' in %' if metric.percent else ''}, {_moment(table)}.",
        f"±: {100 * LEVEL:.0f} % t interval of the mean over {_population(table)}"
        f"{', in percentage points' if metric.percent else ''}.",
    ]
    if any(row.estimate.n == 1 for row in table.rows):
        lines.append("n = 1: one seed has no interval.")
    if table.averaged:
        lines.append(f"The runs of a row also differ in {', '.join(table.averaged)}: --by shows them apart.")
    ends = ", ".join(f"{number} {name}" for name, number in _ends(table).items())
    copies = f"; {plural(len(table.duplicates), 'duplicate')} left out" if table.duplicates else ""
    lines.append(f"{plural(table.runs, 'run')} read: {ends}{copies}.")
    if table.without_figure:
        lines.append(f"{table.without_figure} of the completed have no finite {metric.name} and are not in n.")
    if table.unreadable:
        lines.append(f"{len(table.unreadable)} unreadable: {_listed(table.unreadable)}")
    return [_printable(line) for line in lines]


def _record(table: Table, row: Row) -> dict[str, Any]:
    low, high = row.estimate.interval or (None, None)
    figures = (row.estimate.n, row.estimate.mean, row.estimate.half_width, low, high, row.best, row.worst)
    counts = (getattr(row, count) for count in COUNTS)
    statistics = dict(zip(STATISTICS, (*figures, *counts), strict=True))
    return {"metric": table.metric.name, "select": table.select} | statistics


def _total(table: Table, count: str) -> int:
    return sum(getattr(row, count) for row in table.rows)


def _ends(table: Table) -> dict[str, int]:
    return {"completed": table.completed} | {count: _total(table, count) for count in COUNTS}


def _alignment(table: Table) -> list[Literal["left", "right"]]:
    keys = len(table.keys)
    return ["left" if place < keys else "right" for place in range(len(cells(table)[0]))]


def _figure(value: float | None, metric: Metric) -> str:
    """At the metric's decimals, or at three digits where those would show 0 or a row of them."""
    if value is None:
        return ""
    value = 100 * value if metric.percent else value
    readable = value == 0 or 10**-metric.decimals <= abs(value) < 10**6
    return f"{value:.{metric.decimals}f}" if readable else f"{value:.3g}"


def _printable(text: str) -> str:
    """A foreign file's text without control characters, which could steer the terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _moment(table: Table) -> str:
    if table.select is None:
        return "of the whole run"
    last = table.select == "best_val" and table.without_validation
    return CHOICE[table.select] + (", the last one for runs without validation images" if last else "")


def _population(table: Table) -> str:
    return "the runs of a row" if table.averaged else "seeds"


def _listed(paths: tuple[str, ...]) -> str:
    more = len(paths) - LISTED
    return ", ".join(paths[:LISTED]) + (f" and {more} more" if more > 0 else "")
