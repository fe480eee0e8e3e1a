"""A table for programs and papers: CSV, Markdown, LaTeX, JSON, HTML, Parquet."""

import csv
import html
import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd
from tabulate import tabulate

from regbench.analysis.intervals import LEVEL
from regbench.analysis.table import Contrast, Row, Table
from regbench.errors import UserError
from regbench.tables.cells import cells
from regbench.tables.footer import COUNTS, footer, total
from regbench.text import shown

if TYPE_CHECKING:
    from regbench.analysis.image_noise import Noise


STATISTICS = ("n", "mean", "ci95", "ci95_low", "ci95_high", "best", "worst", *COUNTS, "missing")
COMPARED = (
    *("baseline", "correction", "margin", "pairs", "diff", "diff_ci95", "diff_ci95_low", "diff_ci95_high"),
    *("p", "p_adjusted", "won", "tied", "won_ci95_low", "won_ci95_high", "hedges_g"),
    *("p_equivalence", "p_equivalence_adjusted", "verdict", "seeds_to_decide", "unpaired"),
)
NOISE = ("test_images", "test_runs", "test_ci95_low", "test_ci95_high")
NOISE_COMPARED = (
    *("test_pairs", "test_diff", "test_diff_ci95", "test_diff_ci95_low", "test_diff_ci95_high"),
    *("test_p", "test_p_adjusted"),
)


def record(table: Table, row: Row) -> dict[str, Any]:
    """All that is known of a row but its keys: plain numbers, figures as fractions, None where there is none."""
    low, high = row.estimate.interval or (None, None)
    figures = (row.estimate.n, row.estimate.mean, row.estimate.half_width, low, high, row.best, row.worst)
    counts = (getattr(row, count) for count in COUNTS)
    known: dict[str, Any] = {"metric": table.metric.name, "select": table.select}
    known |= dict(zip(STATISTICS, (*figures, *counts, row.missing), strict=True))
    known |= _compared(table.contrast, row) if table.contrast else {}
    return known | (_noise(row.noise, compared=table.contrast is not None) if table.test_noise else {})


def _compared(contrast: Contrast, row: Row) -> dict[str, Any]:
    found = row.comparison
    assert found
    middle, half = found.difference, found.half_width
    baseline = ",".join(f"{key}={text}" for key, text in contrast.baseline.items())
    won_low, won_high = found.won_share or (None, None)
    values = (
        *(baseline, contrast.correction, contrast.margin, found.pairs, middle, half, *_ends(middle, half)),
        *(found.p, found.p_adjusted, found.won, found.tied, won_low, won_high, found.hedges_g),
        *(found.p_equivalence, found.p_equivalence_adjusted, found.verdict, found.seeds, found.unpaired),
    )
    return dict(zip(COMPARED, values, strict=True))


def _noise(found: "Noise | None", compared: bool) -> dict[str, Any]:
    names = (*NOISE, *(NOISE_COMPARED if compared else ()))
    if found is None:
        return dict.fromkeys(names)
    middle, half = found.difference, found.half_width
    own = (found.images, found.runs, *found.interval)
    difference = (found.pairs, middle, half, *_ends(middle, half), found.p, found.p_adjusted)
    return dict(zip(names, (*own, *(difference if compared else ())), strict=True))


def _ends(middle: float | None, half: float | None) -> tuple[float | None, float | None]:
    return (None, None) if middle is None or half is None else (middle - half, middle + half)


def _columns(table: Table) -> list[str]:
    compared, noise = (COMPARED, NOISE_COMPARED) if table.contrast else ((), ())
    return [*table.keys, "metric", "select", *STATISTICS, *compared, *([*NOISE, *noise] if table.test_noise else [])]


def to_frame(table: Table) -> pd.DataFrame:
    """A row for each group: its keys and `record`; the footer in `attrs["notes"]`."""
    rows = [{**row.group, **record(table, row)} for row in table.rows]
    frame = pd.DataFrame(rows, columns=_columns(table))
    frame.attrs["notes"] = footer(table)
    return frame


def to_csv(table: Table) -> str:
    """Plain numbers, fractions unrounded; a cell is empty where there is nothing to say."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(table), restval="", lineterminator="\n")
    writer.writeheader()
    for row in table.rows:
        writer.writerow({key: shown(value) for key, value in row.group.items()} | record(table, row))
    return text.getvalue()


def to_markdown(table: Table) -> str:
    """A GitHub table, the footer below."""
    found = cells(table)
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in found.rows]
    body = tabulate(escaped, found.headings, "pipe", disable_numparse=True, colalign=found.alignment)
    return "\n".join([body, "", *(f"- {line}" for line in footer(table))]) + "\n"


def to_latex(table: Table) -> str:
    r"""A booktabs tabular, for `\usepackage{booktabs}`, the footer as comments."""
    found = cells(table)
    body = tabulate(found.rows, found.headings, "latex_booktabs", disable_numparse=True, colalign=found.alignment)
    return "\n".join([body.replace("±", r"$\pm$"), *(f"% {line}" for line in footer(table))]) + "\n"


PAGE = """<!doctype html>
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
    """A page of its own, without scripts: the table, the footer as a list below."""
    found = cells(table)
    body = tabulate(found.rows, found.headings, "html", disable_numparse=True, colalign=found.alignment)
    notes = "\n".join(f"<li>{html.escape(line)}</li>" for line in footer(table))
    return PAGE.format(table=body, notes=notes)


def to_json(table: Table) -> str:
    """All that the table knows; values of keys keep their types, figures are fractions unrounded."""
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
        **{count: total(table, count) for count in (*COUNTS, "missing")},
        "without_figure": table.without_figure,
        "without_validation": table.without_validation,
        "duplicates": table.duplicates,
        "unreadable": table.unreadable,
        "mixed": dict(table.mixed),
        "notes": footer(table),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def to_parquet(table: Table) -> bytes:
    """The CSV's columns with their types; keys whose values have several are texts; the footer as pandas attributes.

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


FORMATS: dict[str, Callable[[Table], str]] = {
    "csv": to_csv,
    "md": to_markdown,
    "latex": to_latex,
    "json": to_json,
    "html": to_html,
}
