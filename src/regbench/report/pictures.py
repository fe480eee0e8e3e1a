"""The pictures of a report that its runs hold, and why others are left out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from regbench.analysis.question import Question
from regbench.analysis.table import Table
from regbench.errors import UserError
from regbench.figures import style
from regbench.figures.choices import KINDS
from regbench.figures.kinds import draw
from regbench.figures.wishes import Wishes

_OF_NO_METRIC = ("layers", "confusion")
_TITLES = {"heatmap": "the table as a map: rows down, columns across"}
INTERACTIVE = ("curves", "forest")  # which a page draws by script


@dataclass(frozen=True)
class Pictures:
    """The content of each picture's file by kind and, for kinds that are left out, the reason."""

    drawn: Mapping[str, bytes]
    left_out: Mapping[str, str]


def kinds(table: Table) -> Iterator[str]:
    """Name the kinds that the design asks for."""
    yield "curves"
    if table.contrast:
        yield "forest"
    if table.columns:
        yield "heatmap"
    if len(table.keys) > 1 and table.base is None:
        yield "effects"
    yield from _OF_NO_METRIC


def pictures(question: Question, names: Sequence[str], format: str, *, dark: bool = False) -> Pictures:
    """Draw the kinds; what the runs do not hold is left out, with the reason."""
    drawn, left_out = {}, {}
    for kind in names:
        try:
            drawn[kind] = _drawn(kind, question, format, dark)
        except UserError as error:
            left_out[kind] = str(error).removeprefix(f"plot {kind}: ").removeprefix(f"{kind}: ")
    return Pictures(drawn, left_out)


def _drawn(kind: str, question: Question, format: str, dark: bool) -> bytes:
    # Curves are drawn of epochs: a figure that is chosen for the table may not be one.
    asked = replace(question, metrics=()) if kind in (*_OF_NO_METRIC, "curves") else question
    with style.applied(dark=dark):
        return style.encoded(draw(kind, asked, Wishes(), _no_images), format)


def _no_images(*_: object) -> NDArray[np.uint8]:
    raise UserError("a report shows no test images")


def title(kind: str) -> str:
    """Say what a kind of picture shows: a sentence without its full stop."""
    text = _TITLES.get(kind, KINDS[kind])
    return text[0].upper() + text[1:]
