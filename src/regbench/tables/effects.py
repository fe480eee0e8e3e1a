"""The analysis of variance as a table."""

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from typing import Any

from regbench.analysis.effects import Effect, Effects
from regbench.errors import UserError, no_such
from regbench.tables import as_json, formats
from regbench.tables.layout import Cells, csv_text
from regbench.text import probability

_MANY = 10_000  # an F above this is written in few digits
_COLUMNS: dict[str, Callable[[Effect], Any]] = {
    "effect": lambda effect: effect.term,
    "df": lambda effect: effect.df,
    "share": lambda effect: effect.share,
    "F": lambda effect: effect.f,
    "p": lambda effect: effect.p,
}


def in_order(effects: Effects, sort: str) -> Effects:
    """Sort the terms by a column, `-` before it reverses; those without a value come last.

    Raises:
        UserError: there is no such column.
    """
    name = sort.removeprefix("-")
    if name not in _COLUMNS:
        raise UserError(f"--sort {sort}: {no_such('column', name, 'the table', _COLUMNS)}")
    value = _COLUMNS[name]
    present = [effect for effect in effects.terms if value(effect) is not None]
    absent = [effect for effect in effects.terms if value(effect) is None]
    return replace(effects, terms=(*sorted(present, key=value, reverse=sort.startswith("-")), *absent))


def cells(effects: Effects) -> Cells:
    """Write the terms as people read them."""
    rows = [
        [
            effect.term,
            str(effect.df),
            f"{100 * effect.share:.1f}",
            _f(effect.f),
            probability(effect.p),
            probability(effect.p_adjusted),
        ]
        for effect in effects.terms
    ]
    return Cells(["effect", "df", "share %", "F", "p", "p Holm"], rows, figures=range(1, 6))


def _f(f: float | None) -> str:
    return "" if f is None else f"{f:.2f}" if f < _MANY else f"{f:.3g}"


def to_csv(effects: Effects, *, decimal_comma: bool = False) -> str:
    """Write every number of each term, unrounded."""
    names = [field.name for field in fields(Effect)]
    return csv_text(names, map(asdict, effects.terms), decimal_comma=decimal_comma)


def to_markdown(effects: Effects) -> str:
    """Write a GitHub table, the notes below."""
    return formats.markdown(cells(effects), effects.notes)


def to_latex(effects: Effects) -> str:
    """Write a booktabs tabular, the notes as comments."""
    return formats.latex(cells(effects), effects.notes)


def to_html(effects: Effects) -> str:
    """Write a whole page without scripts."""
    return formats.page(cells(effects), effects.notes, "regbench effects")


def to_json(effects: Effects) -> str:
    """Write the terms with every number, and the notes."""
    return as_json.document("effects", {"terms": [asdict(term) for term in effects.terms], "notes": effects.notes})
