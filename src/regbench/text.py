"""Values and other people's text as regbench writes them."""

from typing import Any


def shown(value: Any) -> str:
    """A value as the command line writes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(map(shown, value))}]"
    text = str(value)
    return text if text.isprintable() else repr(text)


def plural(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """A foreign file's text without control characters, which could steer the terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def probability(p: float | None) -> str:
    """Three decimals, or that it is less."""
    return "" if p is None else "<.001" if p < 0.0005 else f"{p:.3f}"
