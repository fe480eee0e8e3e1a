"""Describe what is wrong in a YAML file: which file, which line."""

import re
from pathlib import Path

import yaml

from regbench.cli.command_line import CommandLine
from regbench.config.vocabulary import RECIPES, is_text, line_of

_HINTS = {
    r"character '\\t'": "a tab, where YAML takes blanks only",
    r"found unhashable key": "{{ is no YAML: text that begins with a brace needs quotes",
    r"mapping values are not allowed": "the indentation is wrong, or text with a colon needs quotes",
    r"expected ',' or '(.)'": r"a bracket is not closed: '\1' is missing",
    r"found duplicate key (.*)": r"the key '\1' stands there twice",
    r"found unexpected end of stream": "a quote is not closed",
    r"expected <block end>": "the indentation is wrong",
}
_SUBJECT = re.compile(r"([\w.]+?)(\[\d+\])?(=| is missing|:)")


def unreadable(error: yaml.YAMLError | UnicodeDecodeError, line: CommandLine) -> str:
    """Describe a file that YAML cannot read."""
    if isinstance(error, UnicodeDecodeError):
        path = next((path for path in line.files() if not is_text(path)), None) or line.vocabulary.not_text()
        return f"{_shown(path) if path else 'a YAML file'}: must be saved as UTF-8"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    mark, problem = error.problem_mark, str(error.problem)
    for pattern, hint in _HINTS.items():
        if match := re.search(pattern, problem):
            problem = match.expand(hint)
            break
    start = error.context_mark.line if "bracket" in problem and error.context_mark else mark.line
    return f"{_shown(Path(mark.name))}, line {start + 1}: {problem}"


def located(message: str, key: str | None, line: CommandLine) -> str:
    """Put the file and line before a message about a key that a file of the user's sets, and not the command line."""
    subject = _SUBJECT.match(message)
    name = (key or (subject[1] if subject else "")).lstrip("+")
    if not name or (line.sets(name) and name not in RECIPES):
        return message
    for path in line.files():
        if path.parent.name in (*RECIPES, name.partition(".")[0]) and (number := line_of(path, name)):
            return f"{_shown(path)}, line {number}: {message}"
        if path.parent.name == name or (path.parent.name == name.partition(".")[0] and "is missing" in message):
            return f"{_shown(path)}: {message}"
    return message


def _shown(path: Path) -> str:
    """Write a path, below the current folder without that."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
