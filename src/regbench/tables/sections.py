"""Named facts in sections, for people: a heading, and a line for each fact below it."""

from collections.abc import Iterator, Mapping
from typing import Any

from regbench.text import printable, shown


def to_text(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """Write each section that has facts."""
    return "\n".join(line for name, known in sections.items() if known for line in _section(name, known)) + "\n"


def _section(name: str, known: Mapping[str, Any]) -> Iterator[str]:
    yield f"{name}:"
    width = max(map(len, known))
    yield from (f"  {key:{width}}  {printable(_value(value))}" for key, value in known.items())


def _value(value: Any) -> str:
    """Write several facts of one name with commas, and `-` for what is not there."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(shown, value)) or "-"
    return "-" if value is None else shown(value)
