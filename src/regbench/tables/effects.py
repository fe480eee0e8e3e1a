"""The analysis of variance as a table."""

from regbench.analysis.effects import Effects
from regbench.tables.cells import Cells
from regbench.text import probability


def cells(found: Effects) -> Cells:
    """As people read it."""
    rows = [
        [
            effect.term,
            str(effect.df),
            f"{100 * effect.share:.1f}",
            "" if effect.f is None else f"{effect.f:.2f}",
            probability(effect.p),
            probability(effect.p_adjusted),
        ]
        for effect in found.terms
    ]
    return Cells(["effect", "df", "share %", "F", "p", "p Holm"], rows, 1)
