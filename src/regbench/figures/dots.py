"""Every seed's figure, joined to its baseline's by a line."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from regbench.analysis.joined import Joined
from regbench.analysis.table import Table
from regbench.errors import UserError
from regbench.figures import rows as of_rows
from regbench.figures import style, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 12  # rows side by side
_APART = 0.28
_LOOKS: dict[str, dict[str, Any]] = {
    "better than its baseline": {"color": style.BLUE, "marker": "^", "linestyle": "-"},
    "worse": {"color": style.VERMILION, "marker": "v", "linestyle": "--"},
    "equal": {"color": style.GREY, "marker": "o", "linestyle": ":"},
}


def draw(found: Sequence[Joined], table: Table) -> "Figure":
    """Draw for each row its baseline's figures at the left and its own at the right, a line for each seed.

    Raises:
        UserError: there are more rows than stand side by side.
    """
    from matplotlib.lines import Line2D

    if len(found) > _MOST:
        raise UserError(f"plot dots: {len(found)} rows are too many (at most {_MOST}). Choose by --where, --by")
    figure = style.new(2.8, style.COLUMN if len(found) <= 4 else style.PAGE)
    axes = figure.subplots()
    style.grid(axes)
    scale = table.metric.scale
    present: set[str] = set()
    for place, pair in enumerate(found):
        for _, base, value in pair.pairs:
            outcome = _outcome(base, value, higher=table.metric.higher_is_better)
            present.add(outcome)
            look = _LOOKS[outcome]
            ends = (place - _APART, place + _APART)
            axes.plot(
                ends, (scale * base, scale * value), color=look["color"], linestyle=look["linestyle"], linewidth=0.7
            )
            axes.plot(ends[0], scale * base, color=style.GREY, marker="o", markersize=2.5)
            axes.plot(ends[1], scale * value, color=look["color"], marker=look["marker"], markersize=3)
    places = [(place + side * _APART) for place in range(len(found)) for side in (-1, 1)]
    names = [name for pair in found for name in (words.row(pair.baseline, table), words.row(pair.row, table))]
    axes.set_xticks(places, names, rotation=30 if len(names) > 6 else 0, ha="right" if len(names) > 6 else "center")
    axes.set_xlim(-0.5, len(found) - 0.5)
    axes.set_xlabel(words.rows(table))
    axes.set_ylabel(words.figure(table.metric.name))
    handles = [Line2D([], [], label=name, **look) for name, look in _LOOKS.items() if name in present]
    style.legend(figure, handles)
    seeds = sorted({len(pair.pairs) for pair in found})
    numbers = " to ".join(map(str, dict.fromkeys((seeds[0], seeds[-1])))) if seeds else "0"
    style.caption(figure, f"A line joins the runs of one seed, n = {numbers} pairs per row.", *of_rows.about(table))
    return figure


def _outcome(base: float, value: float, *, higher: bool) -> str:
    better, worse, equal = _LOOKS
    if value == base:
        return equal
    return better if (value > base) == higher else worse
