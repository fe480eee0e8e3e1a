"""The JSON of every command names its schema and version."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from golden.records import HERE as GOLDEN
from regbench.experiment import reproduce
from regbench.experiment.reproduce import Outcome
from support import Ended, Train

Invoke = Callable[..., Ended]
RUNS = sorted(str(path) for path in (GOLDEN / "runs/norms").glob("mlp-*"))
TOP = {
    ("ls", "runs/norms"): {"runs", "queued", "unreadable"},
    ("ls", "runs/norms", "--studies"): {"studies", "unreadable"},
    ("explain", "norm=batch", "runs/norms"): {"runs"},
    ("show", RUNS[0]): {
        *("path", "status", "error", "changed", "command", "config", "result", "times", "stack", "versions"),
        *("machine", "git", "epochs", "layers", "hints", "classes"),
    },
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


def test_show_has_the_rows_of_the_files_and_counts_the_classes(invoke: Invoke) -> None:
    study = GOLDEN / "verdicts/verdicts"
    path = next(path.parent for path in sorted(study.rglob("metrics.csv")))
    content = json.loads(invoke("show", str(path), "--format", "json").out)
    rows = list(csv.DictReader((path / "metrics.csv").read_text().splitlines()))
    assert [float(row["train_loss"]) for row in rows] == [row["train_loss"] for row in content["epochs"]]
    assert content["result"] == json.loads((path / "run.json").read_text())["result"]
    assert content["command"].startswith("regbench train")


@pytest.mark.slow
def test_a_plan_names_every_run_with_its_stack(train: Train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["norm=none,batch,none", "seed=range(0,3)", "model.hidden=[4]", "data.train_size=100", "epochs=1"]
    ended = train("-m", *words, "where=norm != batch or seed != 1", "--plan", "--format", "json")
    content = json.loads(ended.out)
    assert (ended.code, ended.err, content.pop("schema")) == (0, "", "regbench.plan/1")
    page = (Path(__file__).parents[2] / "docs/programs.md").read_text()
    assert "`regbench.plan/1`" in page and all(f"`{key}`" in page for key in content)
    assert (content["total"], content["to_train"], content["duplicates"], content["stacks"]) == (5, 5, 3, 2)
    stacks = {(run["overrides"][0], run["stack"]) for run in content["runs"]}
    assert stacks == {("norm=none", 0), ("norm=batch", 1)}
    assert content["forecast"]["missing"] == []
    assert content["smallest_difference"]["fewest"] == 6
    assert list(Path.cwd().iterdir()) == []
