"""Studies with their notes and tags."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from golden.records import HERE as GOLDEN
from support import Ended

Invoke = Callable[..., Ended]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(GOLDEN / "runs/again", tmp_path / "runs/again")
    monkeypatch.chdir(tmp_path)


def test_a_note_and_tags_are_shown_with_the_study(invoke: Invoke) -> None:
    assert invoke("note", "runs/again").out == "runs/again: no note\n"
    assert invoke("note", "runs/again", "which norm?", "--tag", "paper").out == "again: which norm? #paper\n"
    assert invoke("note", "runs/again", "--tag", "old", "--tag", "paper").out == "again: which norm? #paper #old\n"
    assert "\nagain: which norm? #paper #old\n" in invoke("studies").out
    (study,) = json.loads(invoke("studies", "--format", "json").out)["studies"]
    assert (study["note"], study["tags"], study["runs"]) == ("which norm?", ["paper", "old"], 2)
    assert invoke("studies", "--format", "csv").out.splitlines()[1].endswith(",which norm?,paper old")
    assert invoke("note", "runs/again", "", "--untag", "old").out == "again: #paper\n"


def test_mistakes_are_one_line_and_write_nothing(invoke: Invoke) -> None:
    assert invoke("note", "runs/agian").err.startswith("error: no directory 'runs/agian'")
    assert invoke("note", "runs/again", "text", "--untag", "x").err == "error: --untag x: the study has no such tag\n"
    assert not Path("runs/again/note.json").exists()


def test_a_damaged_note_is_none(invoke: Invoke) -> None:
    Path("runs/again/note.json").write_text("{")
    assert "again: " not in invoke("studies").out
