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


def test_a_note_is_only_written_beside_the_runs_of_a_study(invoke: Invoke) -> None:
    """One within a run would keep `rm` from removing it."""
    run = next(Path("runs/again").glob("*-*"))
    assert (
        invoke("note", str(run), "x").err
        == f"error: {run}: is a run, and a note is about a study: regbench note runs/again\n"
    )
    assert "error: runs: is a folder of studies." in invoke("note", "runs", "x").err
    assert invoke("note", "again", "x").err == "error: no directory 'again'. Did you mean 'runs/again'?\n"
    assert not list(Path().rglob("note.json"))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--tag", "two words"], "--tag two words: must be one word of at most 100 characters"),
        (["ü" * 5000], "TEXT: has 5,000 characters, and a note has room for 8,192 bytes"),
    ],
)
def test_a_note_that_could_not_be_read_again_is_refused(invoke: Invoke, words: list[str], line: str) -> None:
    assert line in invoke("note", "runs/again", *words).err
    assert not Path("runs/again/note.json").exists()


def test_a_study_is_found_by_the_name_in_the_list(invoke: Invoke) -> None:
    assert invoke("summary", "again").err == "error: no directory 'again'. Did you mean 'runs/again'?\n"


@pytest.mark.parametrize("command", ["summary", "curves", "effects"])
def test_a_short_name_stands_for_a_run(invoke: Invoke, command: str) -> None:
    run = next(Path("runs/again").glob("*-*"))
    assert "no directory" not in invoke(command, run.name.rpartition("-")[2][:6]).err


def test_a_damaged_note_is_none(invoke: Invoke) -> None:
    Path("runs/again/note.json").write_text("{")
    assert "again: " not in invoke("studies").out


def test_the_note_is_shown_where_the_runs_of_the_study_are(invoke: Invoke) -> None:
    invoke("note", "runs/again", "<which> norm?", "--tag", "paper")
    assert invoke("ls").out.count("\nagain: <which> norm? #paper\n") == 1
    assert "\nNote on again: <which> norm? #paper\n" in invoke("summary").out
    assert "Note on again: <which> norm? #paper" in json.loads(invoke("summary", "--format", "json").out)["notes"]
    assert invoke("report", "--output", "page.html").code == invoke("report", "--output", "page.md").code == 0
    below = Path("page.html").read_text().partition("</h1>")[2].partition('<p class="answer">')[0]
    assert "again: &lt;which&gt; norm? #paper" in below
    assert Path("page.md").read_text().splitlines()[2] == "*again: &lt;which&gt; norm? #paper*"


def test_a_summary_of_several_studies_has_no_note(invoke: Invoke) -> None:
    run = next((GOLDEN / "runs/norms").glob("mlp-*"))
    shutil.copytree(run, Path("runs/norms", run.name))
    invoke("note", "runs/again", "which norm?")
    assert "which norm?" not in invoke("summary").out
    assert "\nagain: which norm?\n" in invoke("ls").out
