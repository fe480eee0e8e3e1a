"""The options of an axis for people: a line each, their arguments below."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from regbench.tables import as_json
from regbench.text import printable, shown


class Argument(NamedTuple):
    """An argument of an option; `default` is what its YAML file sets."""

    key: str
    default: Any
    allowed: str


class Choice(NamedTuple):
    """An option of an axis; `meaning` is the first line of its text."""

    name: str
    meaning: str
    arguments: list[Argument]


def to_text(axis: str, choices: Sequence[Choice]) -> str:
    """Write `norm=batch`, what it means, and below it `norm.momentum=0.1`, what is allowed."""
    return "".join(f"{printable(line)}\n" for choice in choices for line in _lines(axis, choice))


def to_json(axis: str, choices: Sequence[Choice]) -> str:
    """Write the options with their arguments."""
    options = [choice._asdict() | {"arguments": [a._asdict() for a in choice.arguments]} for choice in choices]
    return as_json.document("options", {"axis": axis, "options": options})


def _lines(axis: str, choice: Choice) -> Iterator[str]:
    yield f"{axis}={choice.name}  {choice.meaning}".rstrip()
    words = [f"{argument.key}={shown(argument.default)}" for argument in choice.arguments]
    width = max(map(len, words), default=0)
    yield from (f"    {word:{width}}  {a.allowed}" for word, a in zip(words, choice.arguments, strict=True))
