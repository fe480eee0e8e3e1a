"""A table for programs and papers: CSV, Markdown, LaTeX, JSON, HTML, Parquet."""

import html
import io
import json
from typing import Literal

from tabulate import tabulate

from regbench.analysis.intervals import LEVEL
from regbench.analysis.table import Table
from regbench.errors import UserError
from regbench.tables.cells import cells
from regbench.tables.footer import footer
from regbench.tables.layout import Cells, csv_text
from regbench.tables.record import columns, record, to_frame
from regbench.text import shown


def to_csv(table: Table) -> str:
    """Write plain numbers, fractions unrounded; a cell is empty if the figure is not known."""
    rows = ({key: shown(value) for key, value in row.group.items()} | record(table, row) for row in table.rows)
    return csv_text(columns(table), rows)


def to_markdown(table: Table) -> str:
    """Write a GitHub table, the footer below."""
    found = cells(table)
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in found.rows]
    body = _tabulated(Cells(found.headings, escaped, found.figures), "pipe")
    return "\n".join([body, "", *(f"- {line}" for line in footer(table))]) + "\n"


def to_latex(table: Table) -> str:
    r"""Write a booktabs tabular, for `\usepackage{booktabs}`, the footer as comments."""
    body = _tabulated(cells(table), "latex_booktabs").replace("±", r"$\pm$")
    return "\n".join([body, *(f"% {line}" for line in footer(table))]) + "\n"


def _tabulated(found: Cells, style: Literal["pipe", "latex_booktabs", "html"]) -> str:
    return tabulate(found.rows, found.headings, style, disable_numparse=True, colalign=found.alignment)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>regbench summary</title>
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


def to_html(table: Table) -> str:
    """Write a whole page without scripts: the table, the footer as a list below."""
    notes = "\n".join(f"<li>{html.escape(line)}</li>" for line in footer(table))
    return _PAGE.format(table=_tabulated(cells(table), "html"), notes=notes)


def to_json(table: Table) -> str:
    """Write all that the table knows; values of keys keep their types, figures are unrounded fractions."""
    contrast = table.contrast
    content = {
        "metric": table.metric.name,
        "better": "higher" if table.metric.higher_is_better else "lower",
        "select": table.select,
        "level": LEVEL,
        "keys": table.keys,
        "columns": table.columns,
        "rows": [{**row.group, **record(table, row)} for row in table.rows],
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
        "unreadable": table.unreadable,
        "mixed": dict(table.mixed),
        "notes": footer(table),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def to_parquet(table: Table) -> bytes:
    """Write the CSV's columns with their types; keys with values of several types become text; the footer is in attrs.

    Raises:
        UserError: pyarrow is not installed.
    """
    frame = to_frame(table)
    for key in table.keys:
        if len({type(value) for value in frame[key]}) > 1 or isinstance(frame[key].iloc[0], tuple):
            frame[key] = [shown(row.group[key]) if key in row.group else None for row in table.rows]
    content = io.BytesIO()
    try:
        frame.to_parquet(content, engine="pyarrow", index=False)
    except ImportError:
        raise UserError("--format parquet: needs pyarrow. Install it with: pip install 'regbench[parquet]'") from None
    return content.getvalue()
