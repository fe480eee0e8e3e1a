"""What is found on disk, what it becomes, and what is left out."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from golden.records import NORMS, record, write
from regbench.analysis.groups import differing
from regbench.errors import UserError
from regbench.records.frame import load


def names(frame: Any) -> list[str]:
    return [Path(path).name for path in frame["path"]]


def test_a_row_holds_config_facts_and_figures(tmp_path: Path) -> None:
    path = write(tmp_path, record(test_acc=0.97, norm=NORMS["batch"], seed=3))
    (row,) = load([tmp_path]).frame.to_dict("records")
    assert (row["norm"], row["norm.eps"], row["norm.affine"]) == ("batch", 1e-05, True)
    assert (row["model"], row["model.hidden"]) == ("mlp", (256, 256))
    assert (row["seed"], row["study"], row["runtime.dir"]) == (3, "default", "runs")
    assert (row["status"], row["path"], row["seconds"]) == ("completed", str(path), 4.25)
    assert (row["best_val.test_acc"], row["best_val.epoch"], row["last.test_acc"]) == (0.97, 4, 0.969)
    assert str(row["finished"]) == "2026-01-01 10:05:00+00:00"


def test_null_and_no_such_argument_stay_apart(tmp_path: Path) -> None:
    write(tmp_path, record(norm=NORMS["none"]))
    write(tmp_path, record(norm=NORMS["batch"], clip_norm=1.5))
    frame = load([tmp_path]).frame.set_index("norm")
    assert frame.loc["none", "clip_norm"] is None
    assert math.isnan(frame.loc["none", "norm.eps"])
    assert frame.loc["batch", "clip_norm"] == 1.5


def test_keys_keep_the_order_of_the_config(tmp_path: Path) -> None:
    write(tmp_path, record(norm=NORMS["none"]), "a")
    write(tmp_path, record(norm=NORMS["batch"]), "b")
    columns = list(load([tmp_path]).frame)
    expected = ["model", "model.hidden", "norm", "norm.eps", "norm.momentum", "norm.affine", "activation", "init"]
    assert columns[: len(expected)] == expected


def test_a_run_without_result_has_no_figures(tmp_path: Path) -> None:
    write(tmp_path, record("diverged"))
    write(tmp_path, record(seed=1, test_acc=0.9))
    frame = load([tmp_path]).frame.set_index("status")
    assert math.isnan(frame.loc["diverged", "best_val.test_acc"])
    assert frame.loc["completed", "best_val.test_acc"] == 0.9


def test_any_level_of_the_tree_can_be_named(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    path = write(runs, record(study="one"))
    write(runs, record(study="two", seed=1))
    assert len(load([runs]).frame) == 2
    assert len(load([runs / "one"]).frame) == 1
    assert names(load([path]).frame) == [path.name]
    assert load([path, runs / "one", runs, str(runs)]).frame.equals(load([runs]).frame)
    assert load([path, runs]).duplicates == ()


def test_the_default_is_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "runs", record(), "run")
    monkeypatch.chdir(tmp_path)
    assert load().frame["path"].tolist() == [str(Path("runs/default/run"))]


def test_links_are_followed_once(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", record())
    (tmp_path / "runs").mkdir()
    for name, target in {"linked": "../elsewhere", "again": "../elsewhere", "up": "..", "self": "self"}.items():
        (tmp_path / "runs" / name).symlink_to(target)
    found = load([tmp_path / "runs"])
    assert (len(found.frame), found.duplicates, found.unreadable) == (1, (), {})


def test_nothing_inside_a_run_is_taken_for_a_run(tmp_path: Path) -> None:
    outer = write(tmp_path, record())
    write(outer, record(seed=1))
    assert len(load([tmp_path]).frame) == 1


def test_a_missing_directory_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^no directory '.*nowhere'. Train a run first"):
        load([tmp_path / "nowhere"])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file, not a folder of runs"):
        load([tmp_path / "file"])


def test_no_run_at_all_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^no runs in .*Train one: regbench train$"):
        load([tmp_path])
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"^no runs in .* that can be read: .*run.json is no JSON"):
        load([tmp_path])


def without(*keys: str) -> Callable[[dict[str, Any]], Any]:
    return lambda content: {key: value for key, value in content.items() if key not in keys}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: json.dumps(content)[:500],
        lambda content: "",
        lambda content: b"\x80\x04\x95",
        lambda content: [content],
        lambda content: None,
        lambda content: "\ud800",
        lambda content: content | {"format": 2},
        lambda content: content | {"status": "done"},
        lambda content: content | {"config": ["norm=batch"]},
        lambda content: content | {"result": None},
        lambda content: content | {"result": {"last": {"test_acc": "good"}, "best_val": {}, "seconds": 1}},
        lambda content: content | {"times": {"finished": "yesterday"}},
        without("format"),
        without("identity"),
        without("config"),
        without("times"),
    ],
)
def test_what_is_not_ours_is_counted(spoil: Callable[[dict[str, Any]], Any], tmp_path: Path) -> None:
    write(tmp_path, record(seed=1))
    spoilt = write(tmp_path, record(seed=2)) / "run.json"
    content = spoil(json.loads(spoilt.read_text()))
    spoilt.write_bytes(content if isinstance(content, bytes) else as_text(content).encode())
    found = load([tmp_path])
    assert (len(found.frame), list(found.unreadable)) == (1, [str(spoilt)])


def as_text(content: Any) -> str:
    return content if isinstance(content, str) and content.isascii() else json.dumps(content)


def test_a_directory_named_like_the_file_is_unreadable(tmp_path: Path) -> None:
    write(tmp_path, record())
    (tmp_path / "odd" / "run.json").mkdir(parents=True)
    assert load([tmp_path]).unreadable == {str(tmp_path / "odd" / "run.json"): "cannot be read (Is a directory)"}


def test_a_forbidden_directory_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, record())
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def forbid(path: Path) -> Any:  # not by chmod: root may read everything
        if path.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbid)
    assert load([tmp_path]).unreadable == {
        str(tmp_path / "closed" / "run.json"): "cannot be read (No such file or directory)"
    }


def test_an_identity_counts_once_the_completed_run_first(tmp_path: Path) -> None:
    write(tmp_path, record("completed", study="a", finished="2026-01-01T00:00:00+00:00"), "old")
    write(tmp_path, record("diverged", study="b", finished="2026-01-03T00:00:00+00:00"), "new")
    write(tmp_path, record("running", study="c"), "unfinished")
    found = load([tmp_path])
    assert names(found.frame) == ["old"]
    assert [Path(path).name for path in found.duplicates] == ["new", "unfinished"]


def test_of_two_completed_the_newest_counts(tmp_path: Path) -> None:
    for study, finished in {"a": "2026-01-02T01:00:00+02:00", "b": "2026-01-02T00:00:00+00:00", "c": None}.items():
        content = record(study=study)
        content["times"]["finished"] = finished
        write(tmp_path, content, study)
    assert names(load([tmp_path]).frame) == ["b"]
    assert names(load([tmp_path / study for study in "cba"]).frame) == ["b"]


def test_odd_values_of_a_foreign_config_do_no_harm(tmp_path: Path) -> None:
    write(tmp_path, record(model={"name": "mlp", "hidden": [[1, 2], {"a": []}]}, dropout={}))
    (row,) = load([tmp_path]).frame.to_dict("records")
    assert row["model.hidden"] == ((1, 2), '{"a": []}')


def test_other_data_under_the_same_path_is_another_group(tmp_path: Path) -> None:
    """The digest of the data is in the identity, so it must be seen where runs are compared."""
    for seed, digest in enumerate(["a" * 64, "a" * 64, "b" * 64, "b" * 64]):
        content = record(seed=seed % 2) | {"data_digest": digest}
        content["identity"] = f"{seed}" * 64
        write(tmp_path, content, str(seed))
    frame = load([tmp_path]).frame
    assert frame["data.digest"].tolist() == ["a" * 12, "a" * 12, "b" * 12, "b" * 12]
    assert differing(frame) == ["data.digest"]


def test_an_older_run_without_a_digest_is_read(tmp_path: Path) -> None:
    write(tmp_path, record(), "old")
    write(tmp_path, record(seed=1) | {"data_digest": "c" * 64}, "new")
    frame = load([tmp_path]).frame
    assert len(frame) == 2
    assert differing(frame) == []
