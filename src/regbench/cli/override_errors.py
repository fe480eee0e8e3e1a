"""Describe an override that Hydra's grammar refuses, and what to type instead."""

import re

from hydra.errors import OverrideParseException

from regbench.errors import no_such

_PAIRS = {")": "(", "]": "[", "}": "{"}
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_ALLOWED_IN_TEXT = re.compile(r"[\w/\\+.$%*@?|: -]*", re.ASCII)


def unreadable_word(error: OverrideParseException) -> str:
    """Describe it: the character, bracket, comma or function that is wrong."""
    word = str(error.override)
    key, _, value = word.partition("=")
    return f"{word}: {_of_function(str(error), value) or _of_brackets(value) or _of_character(key, value)}"


def _of_function(message: str, value: str) -> str | None:
    """Describe a function of a sweep that is unknown or has wrong arguments."""
    unknown = re.search(r"Unknown function '(.*)'\s+Available: (.*)", message)
    if unknown and re.search(r"\w\s+\(", value):  # text, a (1)
        return None
    if unknown:
        return no_such("function", unknown[1], "a sweep", unknown[2].split(","))
    if not (call := re.search(r"while evaluating '(\w+)\(.*?': (.*)", message)):
        return None
    wrong = re.search(r"mismatch type argument (\S+): \w+ is incompatible with (.*)", call[2])
    if wrong:
        kind = "numbers" if "int" in wrong[2] or "float" in wrong[2] else "other values"
        return f"{call[1]}(…) takes {kind}, as in {_EXAMPLES.get(call[1], f'{call[1]}(1,2)')}"
    return f"{call[1]}(…): {call[2]}, as in {_EXAMPLES[call[1]]}" if call[1] in _EXAMPLES else f"{call[1]}: {call[2]}"


_EXAMPLES = {
    "choice": "choice(a,b)",
    "glob": "glob(*)",
    "interval": "interval(0,1)",
    "range": "range(0,10)",
    "shuffle": "shuffle(1,2)",
    "sort": "sort(3,1,2)",
    "tag": "tag(log,interval(1e-4,1e-1))",
}


def _of_brackets(value: str) -> str | None:
    """Describe brackets and quotes without a partner, and commas with nothing after them."""
    rest = _QUOTED.sub("q", value)
    for quote in ('"', "'"):
        if quote in rest:
            return f"the quote {quote} is not closed"
    opened: list[str] = []
    for character in rest:
        if character in _PAIRS.values():
            opened.append(character)
        elif character in _PAIRS and (not opened or opened.pop() != _PAIRS[character]):
            return f"the '{character}' closes no '{_PAIRS[character]}'"
    if opened:
        return f"the '{opened[-1]}' is not closed"
    if re.search(r",\s*([\])},]|$)|^\s*,|[(\[{]\s*,", rest):
        return "a comma stands beside nothing"
    return None


def _of_character(key: str, value: str) -> str:
    """Describe a character that stands for itself only within quotes."""
    if "[" in key:
        name = key.partition("[")[0]
        return f"a list is given whole: '{name}=[VALUE,VALUE]'"
    if not re.fullmatch(r"[+~]*[\w.$/@:-]*", key, re.ASCII):
        return f"'{key}' is no key"
    if tuple_of := re.fullmatch(r"\(([^()]*)\)", value):
        return f"a list has brackets: '{key}=[{tuple_of[1]}]'"
    if re.fullmatch(r"[^\s=]+(\s+[+~]*[\w./]+=[^\s=]+)+", value):
        return f"holds several values, and each is a word of its own: {key}={value}"
    quoted = f"'{key}=\"{value}\"'" if '"' not in value else f"\"{key}='{value}'\""
    wrong = next((c for c in _QUOTED.sub("", value) if not _ALLOWED_IN_TEXT.fullmatch(c)), None)
    why = f"'{wrong}' needs quotes" if wrong else "this value needs quotes"
    return f"{why} within quotes: {quoted}"
