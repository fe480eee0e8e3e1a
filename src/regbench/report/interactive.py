"""Curves and differences that a reader can hover over and zoom into, drawn by Bokeh in the page.

Bokeh's main script has 1.3 MB, a quarter of Plotly's, and needs no eval, so that the page can forbid it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.core.types import ID
from bokeh.embed import json_item
from bokeh.models import BasicTicker, ColumnDataSource, HoverTool
from bokeh.models.annotations import BoxAnnotation, Span
from bokeh.plotting import figure
from bokeh.resources import Resources

from regbench.analysis.curves import Curve, Curves
from regbench.analysis.table import Row, Table
from regbench.figures import style, words
from regbench.figures.forest import LOOKS
from regbench.records.metrics import Metric
from regbench.tables.cell_text import verdict

_MARKERS = {
    "^": "triangle",
    "v": "inverted_triangle",
    "s": "square",
    "o": "circle",
    "d": "diamond",
    "X": "x",
    "P": "cross",
}
_LINE_MARKERS = {"o": "circle", "s": "square", "^": "triangle", "D": "diamond", "v": "inverted_triangle", "P": "plus"}
_DASHES = {"-": "solid", "--": "dashed", ":": "dotted"}
_ROW = 34  # pixels of a row of differences
Item = Mapping[str, Any]  # what `Bokeh.embed.embed_item` takes


def script() -> str:
    """Return Bokeh's own script, which draws all items."""
    (text,) = Resources(mode="inline", components=["bokeh"]).js_raw[:1]
    return text.replace("</script", r"<\/script")


def labels(curves: Curves) -> list[str]:
    """Name the lines that curves show: as many of the first as can be told apart."""
    names = dict.fromkeys(curve.line.label for panel in curves.panels for curve in panel.curves if curve.x)
    return list(names)[: style.MOST_LINES]


def curves(curves: Curves, metric: Metric, target: str) -> Item:
    """Draw the mean of a figure by epoch with its band; the lines are named by their number, for the page to hide."""
    plot = _plot(curves.x, words.figure(metric.name), 320)
    plot.xaxis.ticker = BasicTicker(min_interval=1, num_minor_ticks=0)  # there is no half of an epoch
    names = labels(curves)
    shown = [c for panel in curves.panels for c in panel.curves if c.metric == metric and c.x and c.line.label in names]
    lines = [_line(plot, curve, names.index(curve.line.label)) for curve in shown]
    unit = " %" if metric.percent else ""
    tips = [("", "@label"), (curves.x, "@x"), (words.short_figure(metric.name), f"@text{unit}")]
    tips += [("95 % interval", "@interval"), ("runs", "@n")]
    plot.add_tools(HoverTool(renderers=lines, tooltips=tips, mode="mouse"))
    return _item(plot, target)


def _line(plot: Any, curve: Curve, number: int) -> Any:
    look, scale = style.line(number), curve.metric.scale
    means = [estimate.mean for estimate in curve.estimates]
    ends = [estimate.interval or (estimate.mean,) * 2 for estimate in curve.estimates]
    columns: dict[str, Any] = {
        "x": list(curve.x),
        "mean": [_scaled(mean, scale) for mean in means],
        "low": [_scaled(low, scale) for low, _ in ends],
        "high": [_scaled(high, scale) for _, high in ends],
        "text": list(map(curve.metric.text, means)),
        "interval": [
            " to ".join(map(curve.metric.text, estimate.interval)) if estimate.interval else "none"
            for estimate in curve.estimates
        ],
        "n": [estimate.n for estimate in curve.estimates],
        "label": [curve.line.label] * len(means),
    }
    source, name, colour = ColumnDataSource(columns), f"line{number}", look["color"]
    plot.varea("x", "low", "high", source=source, fill_color=colour, fill_alpha=0.15, name=name)
    plot.line("x", "mean", source=source, color=colour, line_width=2, line_dash=_DASHES[look["linestyle"]], name=name)
    marker = _LINE_MARKERS[look["marker"]]
    return plot.scatter("x", "mean", source=source, color=colour, size=6, marker=marker, name=name)


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else round(scale * value, 6)


def forest(table: Table, rows: Sequence[Row], target: str) -> Item:
    """Draw the difference of each row from its baseline, its interval and its verdict; the margin as a strip."""
    names = [words.row(row, table) for row in rows]
    columns = _differences(table, rows, names)
    margin = table.contrast.margin * table.metric.scale if table.contrast and table.contrast.margin else 0.0
    ends = [0.0, margin, -margin, *columns["low"], *columns["high"]]
    room = 0.04 * (max(ends) - min(ends))
    places = list(dict.fromkeys(reversed(names)))
    x_range = (min(ends) - room, max(ends) + room)
    plot = _plot(words.difference(table.metric), "", _ROW * len(rows) + 120, x_range=x_range, y_range=places)
    if margin:
        plot.add_layout(BoxAnnotation(left=-margin, right=margin, fill_color=style.GREY, fill_alpha=0.2))
    plot.add_layout(Span(location=0, dimension="height", line_color=style.GREY))
    source = ColumnDataSource(columns)
    plot.segment("low", "name", "high", "name", source=source, line_color="colour", line_width=2)
    look = {"marker": "marker", "line_color": "colour", "fill_color": "fill"}
    points = plot.scatter("mean", "name", source=source, size=11, line_width=2, **look)
    tips = [("", "@name"), ("verdict", "@verdict"), ("difference", "@text"), ("95 % interval", "@interval")]
    plot.add_tools(HoverTool(renderers=[points], tooltips=tips))
    return _item(plot, target)


def _differences(table: Table, rows: Sequence[Row], names: Sequence[str]) -> dict[str, Any]:
    columns: dict[str, Any] = {"name": list(names)}
    for row in rows:
        comparison = row.comparison
        assert comparison and comparison.difference is not None
        look, ends = LOOKS[comparison.verdict], comparison.ends or (comparison.difference,) * 2
        values = {
            "mean": _scaled(comparison.difference, table.metric.scale),
            "low": _scaled(ends[0], table.metric.scale),
            "high": _scaled(ends[1], table.metric.scale),
            "colour": look["color"],
            "fill": None if look.get("markerfacecolor") == "none" else look["color"],
            "marker": _MARKERS[look["marker"]],
            "verdict": verdict(row),
            "text": table.metric.signed(comparison.difference),
            "interval": " to ".join(table.metric.signed(end) for end in ends) if comparison.ends else "none",
        }
        for name, value in values.items():
            columns.setdefault(name, []).append(value)
    return columns


def _plot(x: str, y: str, height: int, **more: Any) -> Any:
    """Make an empty plot whose paper shows through; the page gives its text the colour of ink."""
    plot = figure(
        height=height,
        sizing_mode="stretch_width",
        tools="box_zoom,pan,wheel_zoom,reset",
        active_drag="box_zoom",
        x_axis_label=x,
        y_axis_label=y or None,
        **more,
    )
    plot.background_fill_alpha = plot.border_fill_alpha = 0
    plot.outline_line_color = None
    plot.grid.grid_line_color, plot.grid.grid_line_alpha = style.GREY, 0.25
    plot.toolbar.logo = None
    return plot


def _item(plot: Any, target: str) -> Item:
    item: Item = json.loads(json.dumps(json_item(plot, ID(target))))
    return item
