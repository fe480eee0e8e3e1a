"""How two runs differ."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from golden.records import CONFIG, NORMS, record, write
from regbench.errors import UserError
from regbench.tables.difference import between, show, to_csv, to_json


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    one = write(tmp_path, record(test_acc=0.97), "one")
    changed = record(test_acc=0.98, norm=NORMS["layer"], optimizer=CONFIG["optimizer"] | {"lr": 0.01}, study="x")
    changed["versions"]["torch"] = "2.10.0"
    changed |= {"data_digest": "f" * 64, "experiment": "mlp_xavier"}
    return one, write(tmp_path, changed, "two")


def shown(*paths: Path, **options: Any) -> list[str]:
    console = Console(width=80, highlight=False)
    with console.capture() as captured:
        show(between(*paths), console, **options)
    return [" ".join(line.split()) for line in captured.get().splitlines() if line.strip(" ─")]


def test_two_runs_differ_in(two: tuple[Path, Path]) -> None:
    found = between(*two)
    assert list(found.config) == ["norm", "norm.eps", "norm.affine", "optimizer.lr", "data.digest"]
    assert found.config["optimizer.lr"] == (0.001, 0.01)
    assert found.config["data.digest"][1] == "f" * 12
    assert found.origins == {"torch": ("2.9.0", "2.10.0")}
    assert found.figures["best_val.test_acc"] == (0.97, 0.98)


def test_it_is_short_and_in_percent(two: tuple[Path, Path]) -> None:
    lines = shown(*two)
    assert lines[:4] == ["key first second", "norm none layer", "optimizer.lr 0.001 0.01", "data.digest - ffffffffffff"]
    assert lines[4:6] == ["origin first second", "torch 2.9.0 2.10.0"]
    assert lines[6:8] == ["figure first second second - first", "best_val.test_acc % 97.00 98.00 +1.00"]
    assert len(lines) == 12
    long = shown(*two, long=True)
    assert "norm.eps - 1e-05" in long
    assert any(line.startswith("seconds ") for line in long)


def test_identical_configs_have_no_empty_table(two: tuple[Path, Path], tmp_path: Path) -> None:
    lines = shown(two[0], two[0])
    assert lines[:2] == ["The two configs are identical.", "figure first second second - first"]
    other = record(test_acc=0.97)
    other["versions"]["torch"] = "2.10.0"
    assert shown(two[0], write(tmp_path, other, "other"))[:2] == [
        "The two configs are identical.",
        "origin first second",
    ]


def test_a_run_without_a_figure(two: tuple[Path, Path], tmp_path: Path) -> None:
    unfinished = write(tmp_path, record("running", seed=9), "three")
    assert "best_val.test_acc % 97.00" in shown(two[0], unfinished)
    with pytest.raises(UserError, match="holds several runs"):
        between(tmp_path, two[0])


def test_csv_and_json_hold_fractions(two: tuple[Path, Path]) -> None:
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(to_csv(between(*two))))}
    assert rows["best_val.test_acc"] == {
        "kind": "figure", "name": "best_val.test_acc", "first": "0.97", "second": "0.98"
    }  # fmt: skip
    assert rows["norm.eps"]["first"] == ""
    content = json.loads(to_json(between(*two)))
    assert content["config"]["norm"] == ["none", "layer"]
    assert content["config"]["norm.eps"] == [None, 1e-05]
