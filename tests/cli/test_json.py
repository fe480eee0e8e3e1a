"""The JSON of every command names its schema and version."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from golden.records import HERE as GOLDEN
from regbench.experiment import reproduce
from regbench.experiment.reproduce import Outcome
from support import Ended

Invoke = Callable[..., Ended]
RUNS = sorted(str(path) for path in (GOLDEN / "runs/norms").glob("mlp-*"))
TOP = {
    ("ls", "runs/norms"): {"runs", "unreadable"},
    ("ls", "runs/norms", "--studies"): {"studies", "unreadable"},
    ("explain", "norm=batch", "runs/norms"): {"runs"},
    ("diff", *RUNS[:2]): {"config", "origins", "figures"},
    ("effects", "verdicts", "--by", "norm"): {"terms", "notes"},
    ("rm", "runs/again", "--dry-run"): {"remove", "left"},
    ("options", "norm"): {"axis", "options"},
}


@pytest.fixture(autouse=True)
def in_golden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)


@pytest.mark.parametrize("words", TOP, ids=" ".join)
def test_the_schema_is_named_and_has_its_keys(words: tuple[str, ...], invoke: Invoke) -> None:
    ended = invoke(*words, "--format", "json")
    content = json.loads(ended.out)
    name = "studies" if "--studies" in words else words[0]
    assert content.pop("schema") == f"regbench.{name}/1"
    assert set(content) == TOP[words]
    page = (Path(__file__).parents[2] / "docs/programs.md").read_text()
    assert f"`regbench.{name}/1`" in page
    assert all(f"`{key}`" in page for key in content)


def test_what_rm_would_remove_is_listed_and_nothing_removed(invoke: Invoke) -> None:
    content = json.loads(
        invoke(
            "rm", "runs/norms", "--where", "norm=batch", "--where", "init=xavier", "--dry-run", "--format", "json"
        ).out
    )
    assert len(content["remove"]) + len(content["left"]) == 3
    assert all(Path(path).is_dir() for path in content["remove"])
    assert invoke("rm", "runs/norms", "--format", "json").code == 2


@pytest.mark.parametrize(("verdict", "code"), [("bitwise equal", 0), ("different", 1)])
def test_reproduce_says_how_runs_compare(
    verdict: str, code: int, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = Outcome(verdict, 7, float("inf"), "epoch 1, lr" if code else None)
    monkeypatch.setattr(reproduce, "reproduce", lambda *_: outcome)
    ended = invoke("reproduce", RUNS[0], "--format", "json")
    content = json.loads(ended.out)
    assert (ended.code, content["schema"], content["verdict"]) == (code, "regbench.reproduce/1", verdict)
    assert content["figures"] == 7 and content["largest"] is None
