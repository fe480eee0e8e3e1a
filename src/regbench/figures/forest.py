"""A forest plot: each row's difference from its baseline, with its interval and its verdict."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from regbench.analysis.table import Contrast, Row, Table
from regbench.errors import UserError
from regbench.figures import rows as of_rows
from regbench.figures import style, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS: dict[str, dict[str, Any]] = {  # of verdicts: a colour and a shape each
    "better": {"color": style.BLUE, "marker": "^"},
    "worse": {"color": style.VERMILION, "marker": "v"},
    "equivalent": {"color": style.GREEN, "marker": "s"},
    "undecided": {"color": style.GREY, "marker": "o", "markerfacecolor": "none"},
    "not tested": {"color": style.GREY, "marker": "d", "markerfacecolor": "none"},
    "diverged": {"color": style.PURPLE, "marker": "X"},
    "diverges more": {"color": style.PURPLE, "marker": "X"},
    "diverges less": {"color": style.SKY, "marker": "P"},
}


def draw(table: Table) -> "Figure":
    """Draw a row for each comparison of the table; the margin, if there is one, as a strip.

    Raises:
        UserError: the table has no baseline, or too many rows.
    """
    if table.contrast is None:
        raise UserError("plot forest: needs a --baseline, as in --baseline norm=none")
    rows = [row for row in table.rows if row.comparison and row.comparison.verdict not in ("baseline", "no baseline")]
    of_rows.check_number("forest", len(rows))
    figure, axes = of_rows.new(rows)
    scale = table.metric.scale
    if table.contrast.margin:
        margin = scale * table.contrast.margin
        axes.axvspan(-margin, margin, color=style.GREY, alpha=0.2, linewidth=0, label="margin")
    axes.axvline(0, color=style.ink(), linewidth=0.6)
    style.grid(axes, "x")
    for place, row in enumerate(rows):
        _draw_row(axes, place, row, scale)
    axes.set_xlabel(words.difference(table.metric))
    of_rows.label(axes, rows, table)
    style.legend(figure, list(_handles(rows, table.contrast)))
    style.caption(figure, *_sentences(rows, table, table.contrast))
    return figure


def _draw_row(axes: "Axes", place: int, row: Row, scale: float) -> None:
    comparison = row.comparison
    assert comparison
    look = LOOKS[comparison.verdict]
    lost = f"diverged {row.diverged}/{row.ended}" if row.diverged else ""
    if comparison.difference is None:
        axes.annotate(lost or "no pair", (0, place), (4, 0), textcoords="offset points", va="center", fontsize=6)
        axes.plot([0], [place], linestyle="none", **look)
        return
    middle = scale * comparison.difference
    low, high = (scale * end for end in comparison.ends or (comparison.difference,) * 2)
    axes.plot([low, high], [place, place], color=look["color"], linewidth=1.1)
    axes.plot(
        [middle], [place], linestyle="none", markersize=4.5, **{k: v for k, v in look.items() if k != "markersize"}
    )
    if lost:
        axes.annotate(lost, (high, place), (4, 0), textcoords="offset points", va="center", fontsize=6)


def _handles(rows: "list[Row]", contrast: Contrast) -> Iterator[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    present = {row.comparison.verdict for row in rows if row.comparison}
    for verdict, look in LOOKS.items():
        if verdict in present:
            yield Line2D([], [], label=verdict, linewidth=1.1, **look)
    if contrast.margin:
        yield Patch(color=style.GREY, alpha=0.2, linewidth=0, label="margin")


def _sentences(rows: "list[Row]", table: Table, contrast: Contrast) -> Iterator[str]:
    pairs = [row.comparison.pairs for row in rows if row.comparison]
    least, most = min(pairs, default=0), max(pairs, default=0)
    seeds = f"{most}" if least == most else f"{least} to {most}"
    better = "higher" if table.metric.higher_is_better else "lower"
    interval = words.SEQUENCE_WORDS if contrast.anytime else words.LEVEL_WORDS
    yield f"Difference from {contrast.label} by seed, n = {seeds} pairs; line: {interval}; {better} is better."
    correction = {"holm": "Holm's p", "bh": "Benjamini-Hochberg's p", "none": "uncorrected p"}[contrast.correction]
    test = "bets on signs, valid at any number of seeds" if contrast.anytime else "sign-flip test"
    yield f"Verdicts: {test}, {correction} ≤ 0.05."
    if contrast.margin:
        yield f"Margin: ±{table.metric.scale * contrast.margin:g}."
    yield of_rows.what(table)
    yield from of_rows.about(table)
