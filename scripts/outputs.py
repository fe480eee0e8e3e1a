"""Outputs of the tutorial: `scripts/outputs FOLDER` runs its commands in FOLDER and writes what they print.

A command stands behind `$ ` in a block that is marked as `console`. The pictures that the page shows are copied into
docs/pictures/tutorial.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "tutorial.md"
PICTURES = DOCS / "pictures/tutorial"
SHOWN = 2  # lines of the progress of a sweep
_BLOCK = re.compile(r"(?<=^```console\n)(?P<text>.*?)(?=^```$)", re.MULTILINE | re.DOTALL)
_PROGRESS = re.compile(r"(?:^ *\d+ of \d+ done.*\n)+", re.MULTILINE)


def refreshed(page: str, run: Callable[[list[str]], str]) -> str:
    """Return the page with the output of each command, in the order of the page.

    Args:
        page: Markdown.
        run: returns what a command prints, whose words after `regbench` it gets.
    """
    return _BLOCK.sub(lambda block: "".join(_said(command, run) for command in commands(block["text"])), page)


def commands(text: str) -> list[str]:
    """Return the commands of a page or of a block."""
    return re.findall(r"^\$ (.+)$", text, re.MULTILINE)


def _said(command: str, run: Callable[[list[str]], str]) -> str:
    printed = run(shlex.split(command)[1:]).removeprefix("loading torch\n")  # nothing is left of it on a terminal
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    text = "".join(f"{line}\n" for line in lines)
    return f"$ {command}\n{_PROGRESS.sub(_shortened, text)}"


def _shortened(progress: re.Match[str]) -> str:
    lines = progress[0].splitlines(keepends=True)
    return "".join([*lines[:SHOWN], "...\n"] if len(lines) > SHOWN else lines)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Run the commands of docs/tutorial.md in FOLDER, and write what they print into it."""
    folder.mkdir(parents=True, exist_ok=True)
    variables = os.environ | {"COLUMNS": "100", "PYTHONUTF8": "1"}

    def run(words: list[str]) -> str:
        click.echo(shlex.join(words))
        command = [sys.executable, "-m", "regbench", *words]
        ended = subprocess.run(
            command, cwd=folder, env=variables, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return ended.stdout

    text = PAGE.read_text("utf-8")
    PAGE.write_text(refreshed(text, run), "utf-8")
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in re.findall(r"\(pictures/tutorial/(.+?)\)", text):
        shutil.copyfile(folder / name, PICTURES / name)


if __name__ == "__main__":
    main()
