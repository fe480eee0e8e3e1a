"""How regbench writes values, and text that comes from files."""

from typing import Any


def shown(value: Any) -> str:
    """Write a value as the command line does."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(map(shown, value))}]"
    text = str(value).removesuffix(".0") if isinstance(value, float) else str(value)
    return text if text.isprintable() else repr(text)


def file_name(path: object) -> str:
    """Write the name of a file; bytes that are no UTF-8 as `\\xfc`."""
    return shown(str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def plural(number: int, noun: str) -> str:
    """Write `1 run`, `2 runs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """Replace the control characters in text from a file: they could steer the terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def probability(p: float | None) -> str:
    """Write a p-value with three decimals, or `<.001`."""
    return "" if p is None else "<.001" if p < 0.0005 else f"{p:.3f}"
