"""docs/tutorial.md: its commands run, and print what the page shows. If one fails: scripts/outputs FOLDER."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from outputs import PAGE, PICTURES, commands, refreshed
from regbench.cli import main as cli

TEXT = PAGE.read_text("utf-8")
TINY = ["model.hidden=[8]", "data.val_size=100"]
_CHANGES = re.compile(
    r"[\w-]+-[0-9a-f]{12}|[\w/]+/[0-9a-f]{12}|[-+]?\d[\w.,:/%]*|─+|threads?|better|worse|undecided.*|equivalent"
)
Run = Callable[[list[str]], str]


@pytest.fixture
def run(own_process: None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command in this process: what it prints, as a pipe gets it."""
    monkeypatch.setenv("COLUMNS", "100")

    def call(words: list[str]) -> str:
        monkeypatch.setattr(sys, "argv", ["regbench", *words])
        capfd.readouterr()
        try:
            cli.main()
        except SystemExit as end:
            assert not end.code, capfd.readouterr().err
        said = capfd.readouterr()
        return said.err + said.out

    return call


def shape(text: str) -> list[list[str]]:
    """The words of each line, without what another processor may change: numbers, names of runs, order, verdicts."""
    lines = (_CHANGES.sub("", line).split() for line in text.splitlines())
    return sorted(words for words in lines if words)


def test_every_command_has_its_output_and_the_picture_is_there() -> None:
    shown = dict(re.findall(r"^\$ (.+)\n((?:(?!\$ |```).*\n)*)", TEXT, re.MULTILINE))
    assert [
        command for command in commands(TEXT) if not shown[command].strip() and " -o table.tex" not in command
    ] == []
    assert [path.name for path in PICTURES.iterdir()] == ["forest.svg"]


@pytest.mark.slow
def test_the_commands_run_one_after_another(run: Run) -> None:
    """On few images and a small network, whose verdicts are others: the first line of each output is the page's."""

    def small(words: list[str]) -> str:
        return run([*words, *TINY, "data.train_size=100"] if words[0] == "train" else words)

    page = TEXT.replace(" data.train_size=2000", "")
    made = re.findall(r"^\$ (.+)\n(.*)", refreshed(page, small), re.MULTILINE)
    shown = re.findall(r"^\$ (.+)\n(.*)", page, re.MULTILINE)
    assert [shape(first) for _, first in made] == [shape(first) for _, first in shown]
    assert {path.name for path in Path().iterdir()} == {"runs", "forest.svg", "table.tex", "report.html"}


@pytest.mark.slow
@pytest.mark.stress
def test_the_outputs_are_those_of_the_page(run: Run) -> None:
    assert shape(refreshed(TEXT, run)) == shape(TEXT)
