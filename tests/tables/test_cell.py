"""The runs behind a cell of a table."""

import csv
import io
import json
from pathlib import Path

import pytest

from golden.records import NORMS, record, write
from regbench.errors import UserError
from regbench.records.frame import load
from regbench.tables.cell import runs_behind, to_csv, to_json, to_lines, to_table


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs with batch norm, which differ in dropout, and a failed one without."""
    monkeypatch.chdir(tmp_path)
    folder = Path("runs")
    for seed, dropout in ((1, 0.0), (0, 0.2)):
        content = record(test_acc=0.97 + 0.01 * seed, norm=NORMS["batch"], seed=seed, dropout=dropout)
        content |= {"overrides": ["norm=batch", "runtime.study=x", "model.hidden=[64, 32]"]}
        content |= {"git": {"commit": "abcdef0123456789", "dirty": seed == 0}}
        write(folder, content, f"mlp-s{seed}-0000000000a{seed}")
    write(folder, record("failed"), "other")
    return folder


def test_a_line_for_each_run_and_the_mean(runs: Path) -> None:
    assert to_table(runs_behind(load([runs]), {"norm": "batch"})).splitlines() == [
        "dropout  seed  test %  status     commit    run",
        "0.2      0      97.00  completed  abcdef0+  default/0000000000a0",
        "0        1      98.00  completed  abcdef0   default/0000000000a1",
        "",
        "2 runs: 2 completed",
        "mean test_acc 97.50 %, from 97.00 to 98.00, at the epoch with the best validation loss",
    ]


def test_a_failed_run_has_no_figure(runs: Path) -> None:
    _, line, _, last = to_table(runs_behind(load([runs]), {"norm": "none"})).splitlines()
    assert line.split()[:3] == ["0", "-", "failed"]
    assert last == "1 run: 1 failed"


def test_all_of_it_is_longer(runs: Path) -> None:
    lines = to_lines(runs_behind(load([runs]), {"norm": "batch"})).splitlines()
    assert lines[0] == "runs/default/mlp-s0-0000000000a0: completed, test_acc 97.00 %"
    assert lines[1] == "    regbench train norm=batch study=x 'model.hidden=[64, 32]'"
    assert lines[2] == "    regbench 0.1.0, torch 2.9.0, device cpu cpu, commit abcdef0123456789 with changes"
    assert lines[-1].startswith("mean test_acc 97.50 %")


def test_csv_and_json_hold_every_value(runs: Path) -> None:
    found = runs_behind(load([runs]), {"norm": "batch"})
    first = next(csv.DictReader(io.StringIO(to_csv(found))))
    assert (first["test_acc"], first["seed"], first["commit"]) == ("0.97", "0", "abcdef0123456789 with changes")
    assert json.loads(to_json(found))["runs"][1]["test_acc"] == pytest.approx(0.98)


def test_no_such_cell(tmp_path: Path) -> None:
    write(tmp_path, record())
    with pytest.raises(UserError, match=r"norm=non: no value 'non' in the runs of 'norm'. Did you mean 'none'\?$"):
        runs_behind(load([tmp_path]), {"norm": "non"})
    write(tmp_path, record(norm=NORMS["batch"], seed=1))
    with pytest.raises(UserError, match="norm=batch,seed=0: no run has all of these values"):
        runs_behind(load([tmp_path]), {"norm": "batch", "seed": "0"})
    with pytest.raises(UserError, match="Did you mean 'norm'"):
        runs_behind(load([tmp_path]), {"nrom": "batch"})
