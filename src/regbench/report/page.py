"""A report as one HTML file that loads nothing: its script, style, pictures and data are in it."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import starmap
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from regbench.analysis.table import Row, Table
from regbench.figures import style, words
from regbench.figures.forest import LOOKS
from regbench.report import interactive
from regbench.report.content import Content
from regbench.report.markdown import reproduction
from regbench.report.pictures import INTERACTIVE, kinds, pictures, title

_CSS_DASHES = {"-": "solid", "--": "dashed", ":": "dotted"}
_TYPED = {"^": "▲", "v": "▼", "s": "■", "o": "○", "d": "◇", "X": "✕", "P": "✚"}  # markers as characters
_PIXELS = 1.8  # of a printed point: a page in print is as wide as this page
_MOST_ROWS = 200  # of differences in one plot


@dataclass(frozen=True)
class _Picture:
    """A picture for paper and one for a dark screen, as addresses that hold them."""

    title: str
    light: str
    dark: str
    width: int  # pixels


@dataclass(frozen=True)
class _Line:
    """A line of the curves, which a box hides or shows."""

    name: str
    label: str
    colour: str
    dash: str  # as CSS draws it


@dataclass(frozen=True)
class _Look:
    """A verdict, and the mark that stands for it in the plot of differences."""

    verdict: str
    mark: str
    colour: str


def page(content: Content) -> bytes:
    """Write the page. All text from runs is escaped, and only its own scripts may run in it."""
    template = _environment().from_string(_resource("page.html"))
    text = template.render(
        content=content,
        style=Markup(_resource("page.css")),
        columns=list(zip(content.cells.headings, content.cells.alignment, strict=True)),
        commands=reproduction(content),
        **_interactive(content),
        **_still(content),
    )
    return text.encode()


def _interactive(content: Content) -> dict[str, Any]:
    """Fill in the plots, the lines that boxes hide, and the scripts; what is too much for a plot is counted."""
    compared, found = _compared(content.table), content.curves
    plots = dict(_plots(content, compared[:_MOST_ROWS]))
    scripts = [_resource("page.js"), *([interactive.script()] if plots else [])]  # controls work before plots do
    every = {curve.line.label for panel in found.panels for curve in panel.curves} if found else set()
    return {
        "plots": [(target, _title(target)) for target in plots],
        "looks": list(_looks(compared[:_MOST_ROWS])),
        "rows": (min(len(compared), _MOST_ROWS), len(compared)),
        "lines": list(starmap(_line, enumerate(interactive.labels(found) if found else []))),
        "all_lines": len(every),
        "keys": words.keys(found.keys) if found else "",
        "scripts": list(map(Markup, scripts)),
        "hashes": list(map(_hash, scripts)),
        "data": Markup(_json({"plots": list(plots.values()), "csv": content.csv})),
    }


def _looks(rows: Sequence[Row]) -> Iterator[_Look]:
    """Say which mark stands for which verdict."""
    present = {row.comparison.verdict for row in rows if row.comparison}
    for verdict, look in LOOKS.items():
        if verdict in present:
            yield _Look(verdict, _TYPED[look["marker"]], look["color"])


def _still(content: Content) -> dict[str, Any]:
    """Draw the pictures for paper and for a dark screen, and say which are left out."""
    names = [kind for kind in kinds(content.table) if kind not in INTERACTIVE]
    light, dark = (pictures(content.question, names, "svg", dark=dark) for dark in (False, True))
    drawn = [_picture(kind, light.drawn[kind], dark.drawn[kind]) for kind in light.drawn]
    return {"pictures": drawn, "left_out": light.left_out}


def _line(place: int, label: str) -> _Line:
    look = style.line(place)
    return _Line(f"line{place}", label, look["color"], _CSS_DASHES[look["linestyle"]])


def _plots(content: Content, rows: Sequence[Row]) -> Iterator[tuple[str, Any]]:
    """Make the interactive plots by their place in the page."""
    if rows:
        yield "plot-forest", interactive.forest(content.table, rows, "plot-forest")
    for metric in content.curves.metrics if content.curves else ():
        assert content.curves
        if any(curve.x for panel in content.curves.panels for curve in panel.curves if curve.metric == metric):
            target = f"plot-{metric.name}"
            yield target, interactive.curves(content.curves, metric, target)


def _compared(table: Table) -> Sequence[Row]:
    found = [row for row in table.rows if row.comparison and row.comparison.difference is not None]
    return [row for row in found if row.comparison and row.comparison.verdict not in ("baseline", "no baseline")]


def _title(target: str) -> str:
    name = target.removeprefix("plot-")
    text = title("forest") if name == "forest" else f"{words.short_figure(name)} by epoch, mean and 95 % interval"
    return text[0].upper() + text[1:]


def _environment() -> Environment:
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _resource(name: str) -> str:
    return (resources.files("regbench.report") / name).read_text("utf-8")


def _hash(script: str) -> str:
    """Return what the page's policy allows: this script and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _json(data: Mapping[str, Any]) -> str:
    """Write data that no text in it can leave."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _picture(kind: str, light: bytes, dark: bytes) -> _Picture:
    found = re.search(rb'<svg[^>]* width="([\d.]+)pt"', light)
    return _Picture(title(kind), _address(light), _address(dark), round(float(found[1]) * _PIXELS) if found else 600)


def _address(picture: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(picture).decode()}"
