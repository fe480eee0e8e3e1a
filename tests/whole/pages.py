"""The commands that README.md and the pages of docs/ show."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_STARTS = re.compile(r"(?:\$ )?(?:scripts/)?regbench (?!\S*:)")
_BLOCK = re.compile(r"^(?:```.*\n(?P<fenced>(?:.*\n)*?)```|(?P<indented>(?: {4}.*\n|\n(?= {4}))+))", re.MULTILINE)


class Command(NamedTuple):
    """A command of a page: its words after `regbench`."""

    page: str
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}:{self.line} {shlex.join(self.words)}"


def commands() -> list[Command]:
    """All commands in blocks of code and in backticks, except lines of usage."""
    return [command for path in PAGES for command in _commands(path)]


def _commands(path: Path) -> Iterator[Command]:
    text = path.read_text("utf-8")
    for start, line in _lines(text):
        if "[OPTIONS]" not in line:
            yield Command(path.name, text.count("\n", 0, start) + 1, tuple(shlex.split(line, comments=True)[1:]))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each command with its place: a line of a block with those that continue it, or what backticks enclose."""
    for block in re.finditer(
        r"^(?:```.*\n(?P<fenced>(?:.*\n)*?)```|(?P<indented>(?: {4}.*\n|\n(?= {4}))+))", text, re.M
    ):
        name = "fenced" if block["fenced"] is not None else "indented"
        joined = re.sub(r"\\\n +", lambda cut: " " * len(cut[0]), block[name])
        for line in re.finditer(r"^ *(?P<line>\S.*)$", joined, re.MULTILINE):
            if _STARTS.match(line["line"]):
                yield block.start(name) + line.start("line"), line["line"].removeprefix("$ ")
    for span in re.finditer(r"(?<!`)`(?P<text>regbench [a-z][^`]*)`(?!`)", text):
        yield span.start(), span["text"].replace("\n", " ").replace(r"\|", "|")
