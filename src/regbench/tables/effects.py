"""The analysis of variance as a table."""

from dataclasses import asdict, fields

from regbench.analysis.effects import Effect, Effects
from regbench.tables.layout import Cells, csv_text
from regbench.text import probability


def cells(found: Effects) -> Cells:
    """Write the terms as people read them."""
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
    return Cells(["effect", "df", "share %", "F", "p", "p Holm"], rows, figures=range(1, 6))


def to_csv(found: Effects) -> str:
    """Write every number of each term, unrounded."""
    return csv_text([field.name for field in fields(Effect)], map(asdict, found.terms))
