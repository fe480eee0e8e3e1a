"""A table for programs and papers: CSV, Markdown, LaTeX, JSON, HTML, Parquet."""

import html
import io
import re
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from regbench.analysis.choice import Tuning
from regbench.analysis.intervals import LEVEL
from regbench.analysis.table import Row, Table
from regbench.analysis.together import Together
from regbench.errors import not_installed
from regbench.tables import as_json
from regbench.tables.cells import cells
from regbench.tables.footer import footer
from regbench.tables.layout import Cells, csv_text, csv_value
from regbench.tables.record import columns, record, to_frame
from regbench.text import for_markdown


def to_csv(tables: Sequence[Table], show: Sequence[str] = (), *, decimal_comma: bool = False) -> str:
    """Write plain numbers, fractions unrounded; a cell is empty if the figure is not known, and null is `(null)`."""
    rows = (_csv_row(table, row, show) for table in tables for row in table.rows)
    return csv_text(columns(tables[0], show), rows, decimal_comma=decimal_comma)


def _csv_row(table: Table, row: Row, show: Sequence[str]) -> dict[str, Any]:
    known = record(table, row, show)
    tuned = {key: csv_value(known[key]) for key in (table.tuning.keys if table.tuning else ())}
    return {key: csv_value(value) for key, value in row.group.items()} | known | tuned


def to_markdown(tables: Sequence[Table], show: Sequence[str] = ()) -> str:
    """Write a GitHub table, the footer below."""
    return markdown(cells(tables, show), footer(tables))


def to_latex(tables: Sequence[Table], show: Sequence[str] = ()) -> str:
    r"""Write a booktabs tabular, for `\usepackage{booktabs}`, the footer as comments."""
    return latex(cells(tables, show), footer(tables))


def to_html(tables: Sequence[Table], show: Sequence[str] = ()) -> str:
    """Write a whole page without scripts: the table, the footer as a list below."""
    return page(cells(tables, show), footer(tables), "regbench summary")


def markdown(cells: Cells, notes: Sequence[str]) -> str:
    """Write cells as a GitHub table, notes as a list below."""
    headings, *rows = [[for_markdown(cell) for cell in row] for row in (cells.headings, *cells.rows)]
    body = tabulate(rows, headings, "pipe", disable_numparse=True, colalign=cells.alignment)
    return "\n".join([body, "", *(f"- {for_markdown(line)}" for line in notes)]) + "\n"


def latex(cells: Cells, notes: Sequence[str]) -> str:
    """Write cells as a booktabs tabular, notes as comments.

    The letters of European languages are in every LaTeX; a note names the first cell that pdflatex cannot set.
    """
    sides = "".join(side[0] for side in cells.alignment)
    heading, *rows = [" & ".join(map(_latex_cell, row)) + r" \\" for row in (cells.headings, *cells.rows)]
    top = [rf"\begin{{tabular}}{{{sides}}}", r"\toprule", heading, r"\midrule"]
    bottom = [r"\bottomrule", r"\end{tabular}", *(f"% {line}" for line in notes)]
    wide = next((cell for row in cells.rows for cell in row if _is_foreign(cell)), None)
    cure = [] if wide is None else [f"% {wide} needs xelatex or lualatex, and a font that has these letters."]
    return "\n".join([*cure, *top, *rows, *bottom]) + "\n"


_LATEX = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedblright{}",  # \textquotedbl is not in LaTeX's first encoding
    "±": r"$\pm$",
    "×": r"$\times$",
    "−": "$-$",
    "≤": r"$\le$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "·": r"$\cdot$",
    "–": "--",
}
_LAST_EUROPEAN = "\u017f"  # the last letter of Latin Extended-A
_NEGATIVE = re.compile(r"-(?=[\d.])")  # the sign of a number


def _is_foreign(text: str) -> bool:
    return any(character > _LAST_EUROPEAN and character not in _LATEX for character in text)


def _latex_cell(text: str) -> str:
    r"""Escape a cell. After `\\` and `\midrule`, LaTeX would read `[` as an option and `*` as a variant."""
    negative = bool(_NEGATIVE.match(text))
    escaped = "".join(_LATEX.get(character, character) for character in text.removeprefix("-" if negative else ""))
    return f"$-${escaped}" if negative else f"{{}}{escaped}" if escaped.startswith(("[", "*")) else escaped


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; color: #222 }}
table {{ border-collapse: collapse; border-block: 2px solid; font-variant-numeric: tabular-nums }}
thead {{ border-bottom: 1px solid }}
th, td {{ padding: 0.2em 0.8em; white-space: nowrap }}
th {{ text-align: left }}
ul {{ color: #555; padding-left: 1.2em }}
</style>
</head>
<body>
{table}
<ul>
{notes}
</ul>
</body>
</html>
"""


def page(cells: Cells, notes: Sequence[str], title: str) -> str:
    """Write cells as a table in a page, notes as a list below."""
    body = tabulate(cells.rows, cells.headings, "html", disable_numparse=True, colalign=cells.alignment)
    lines = "\n".join(f"<li>{html.escape(line)}</li>" for line in notes)
    return _PAGE.format(table=body, notes=lines, title=html.escape(title))


def to_json(tables: Sequence[Table], show: Sequence[str] = ()) -> str:
    """Write all that the tables know; values of keys keep their types, figures are unrounded fractions.

    One table is an object; those of several figures are in a list, `tables`.
    """
    contents = [_content(table, show) for table in tables]
    return as_json.document("summary", contents[0] if len(tables) == 1 else {"tables": contents})


def _content(table: Table, show: Sequence[str]) -> dict[str, Any]:
    contrast = table.contrast
    return {
        "metric": table.metric.name,
        "better": "higher" if table.metric.higher_is_better else "lower",
        "select": table.select,
        "level": LEVEL,
        "keys": table.keys,
        "columns": table.columns,
        "rows": [{**row.group, **record(table, row, show)} for row in table.rows],
        "goes_with": list(map(_goes_with, table.together)),
        "changes_from": table.base,
        **({"tuning": _tuning(table.tuning)} if table.tuning else {}),
        **({"expected_luck": table.luck} if table.luck else {}),
        "shared_clocks": table.clocks,
        **({"searched": table.searched} if table.searched else {}),
        "averaged_over": table.averaged,
        "paired_by": ["seed", *contrast.shared] if contrast else None,
        "confounded_with": contrast.confounded if contrast else None,
        "where": table.where,
        "left_out": table.left_out,
        "runs": table.runs,
        "completed": table.completed,
        **table.lost,
        "missing": table.missing,
        "without_figure": table.without_figure,
        "without_validation": table.without_validation,
        "duplicates": table.duplicates,
        "unreadable": dict(table.unreadable),
        "mixed": dict(table.mixed),
        "notes": footer(table),
    }


def _tuning(tuning: Tuning) -> dict[str, Any]:
    return {"keys": tuning.keys, "chosen_by": tuning.metric, "runs": tuning.runs}


def _goes_with(together: Together) -> dict[str, Any]:
    pairs = [(value, None if at != at else at) for value, at in together.pairs]
    return {"key": together.key, "with": together.follows, "pairs": pairs}


def to_parquet(tables: Sequence[Table], show: Sequence[str] = ()) -> bytes:
    """Write the CSV's columns with their types; keys with values of several types become text; the footer is in attrs.

    Raises:
        UserError: pyarrow is not installed.
    """
    frame = to_frame(tables, show)
    rows = [row for table in tables for row in table.rows]
    for key in tables[0].keys:
        if len({type(value) for value in frame[key]}) > 1 or isinstance(frame[key].iloc[0], tuple | None):
            frame[key] = [str(csv_value(row.group[key])) if key in row.group else None for row in rows]
    content = io.BytesIO()
    try:
        frame.to_parquet(content, engine="pyarrow", index=False)
    except ImportError:
        raise not_installed("--format parquet: pyarrow", "parquet") from None
    return content.getvalue()
