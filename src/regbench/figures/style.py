"""The one style of all pictures: readable at column width, in grey and without red or green.

The colours are those of Okabe and Ito (2008, Color Universal Design), made for all kinds of colour vision; ramps are
cividis (Nuñez, Anderton and Renslow 2018) and PuOr (Brewer 2002). What a colour says, a marker or a line says as well.
"""

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib

from regbench.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

COLUMN, PAGE = 3.3, 6.9  # inches: the width of a column and of a page in print
IN_COLUMN = 3  # panels side by side that a column's width holds
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
GREY = "#8C8C8C"
SEQUENTIAL, DIVERGING = "cividis", "PuOr_r"
MOST_LINES = 18  # that can be told apart

_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINES = ("-", "--", ":")
_CAPTION = 5.5  # points
_PER_INCH = 23  # characters of the caption
_IN_LEGEND, _HANDLE = 13.5, 6  # characters of a legend in an inch; what a sample takes, in characters
_BASE: dict[str, Any] = {
    "font.size": 7.5,
    "font.family": "sans-serif",
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.title_fontsize": 6.5,
    "legend.frameon": False,
    "figure.titlesize": 7.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.formatter.useoffset": False,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # embedded TrueType, which can be searched and edited
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "regbench",  # the same picture is the same file
}
_LIGHT, _DARK = ("white", "#1A1A1A"), ("#14171A", "#E8E8E8")  # paper and ink


@contextmanager
def applied(*, dark: bool = False) -> Iterator[None]:
    """Draw and save in this style inside the block; `dark` is for slides."""
    paper, ink = _DARK if dark else _LIGHT
    names = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    colours: dict[str, Any] = dict.fromkeys(names, ink)
    papers: dict[str, Any] = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), paper)
    settings: Any = {**_BASE, **colours, **papers}
    with matplotlib.rc_context(settings):
        yield


def ink() -> str:
    """The colour of text and axes."""
    return str(matplotlib.rcParams["text.color"])


def paper() -> str:
    """The colour of the background."""
    return str(matplotlib.rcParams["figure.facecolor"])


def new(height: float, width: float = COLUMN) -> "Figure":
    """Make an empty figure, inches high and wide."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def line(place: int) -> dict[str, Any]:
    """How the line at a place looks: its colour, marker and dashes."""
    cycle, number = divmod(place, len(_COLOURS))
    return {
        "color": _COLOURS[number],
        "marker": _MARKERS[(number + cycle) % len(_MARKERS)],
        "linestyle": _LINES[cycle % len(_LINES)],
    }


def check_lines(kind: str, number: int, advice: str = "Choose by --where, --by") -> None:
    """Raise UserError if a kind of picture has more lines than can be told apart."""
    if number > MOST_LINES:
        raise UserError(f"plot {kind}: {number} lines are too many to tell apart (at most {MOST_LINES}). {advice}")


def samples(labels: Sequence[str]) -> "list[Line2D]":
    """Make what a legend shows of the lines at the first places."""
    from matplotlib.lines import Line2D

    return [Line2D([], [], label=label, **line(place)) for place, label in enumerate(labels)]


def legend(figure: "Figure", handles: Sequence[Any], title: str | None = None) -> None:
    """Put a legend above all axes, where it covers nothing, in as many columns as there is room for."""
    if not handles:
        return
    widths = [len(str(handle.get_label())) + _HANDLE for handle in handles]
    room = figure.get_figwidth() * _IN_LEGEND
    figure.legend(
        handles=handles,
        title=title,
        loc="outside upper left",
        ncols=next((n for n in range(len(handles), 1, -1) if _across(widths, n) <= room), 1),
        alignment="left",
        borderaxespad=0.2,
        columnspacing=1.0,
        handlelength=2.2,
    )


def _across(widths: Sequence[int], columns: int) -> int:
    """How wide a legend is whose entries fill one column after another."""
    rows = -(-len(widths) // columns)
    return sum(max(widths[start : start + rows]) for start in range(0, len(widths), rows))


def caption(figure: "Figure", *sentences: str) -> None:
    """Write below all axes how many runs a picture shows and what its band is."""
    text = " ".join(filter(None, sentences))
    lines = textwrap.wrap(text, int(figure.get_figwidth() * _PER_INCH))
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=_CAPTION, linespacing=1.25)


def grid(axes: "Axes", axis: str = "y") -> None:
    """Draw faint lines to read values by."""
    axes.grid(axis=axis, color=GREY, alpha=0.25, linewidth=0.5)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def on(colour: Any) -> str:
    """The colour of text on a background (red, green, blue, …): black or white, by its luminance (ITU-R BT.709)."""
    red, green, blue = colour[:3]
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5 else "white"


def encoded(figure: "Figure", format: str) -> bytes:
    """Return the content of a picture's file: no date in it, so that the same picture is the same file."""
    content = io.BytesIO()
    nameless = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format, {})
    figure.savefig(content, format=format, metadata=nameless)
    return content.getvalue()
