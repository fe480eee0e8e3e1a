"""How regbench writes values, and text that comes from files."""

import re
from collections.abc import Mapping
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
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def first_of(faults: Mapping[str, str]) -> str:
    """Write the first file with what is wrong with it, and how many more there are: `a.csv is empty and 2 more`."""
    path, reason = next(iter(faults.items()))
    more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
    return f"{shown(path)} {printable(reason)}{more}"


_MARKDOWN = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": r"\|", "](": r"]\(", "][": r"]\[", "]:": r"]\:"}
_IN_MARKDOWN = re.compile("|".join(map(re.escape, _MARKDOWN)))
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def for_markdown(text: str) -> str:
    """Write text as Markdown shows it: no tag, no link, no new cell of a table."""
    return _IN_MARKDOWN.sub(lambda found: _MARKDOWN[found[0]], text)


def for_csv(value: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would take for a formula; numbers stay.

    To undo it, take one apostrophe from a cell that begins with apostrophes and then =, +, -, @, a tab or a return.
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) and not _is_number(value) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def probability(p: float | None) -> str:
    """Write a p-value with three decimals, or `<.001`."""
    return "" if p is None else "<.001" if p < 0.0005 else f"{p:.3f}"
