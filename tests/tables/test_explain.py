"""The runs behind a cell, differences between two, and reproduction."""

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest

from golden.records import CONFIG, NORMS, record, write
from regbench.errors import UserError
from regbench.experiment.reproduce import compared
from regbench.records import correct_images
from regbench.records.frame import load
from regbench.tables.explain import behind, difference


def test_runs_of_a_cell_with_their_commands(tmp_path: Path) -> None:
    for seed in (1, 0):
        content = record(test_acc=0.97, norm=NORMS["batch"], seed=seed)
        content |= {"overrides": ["norm=batch", "model.hidden=[64, 32]"], "git": {"commit": "abc", "dirty": True}}
        write(tmp_path, content, f"run{seed}")
    write(tmp_path, record("failed"), "other")
    lines = list(behind(load([tmp_path]), {"norm": "batch"}))
    assert len(lines) == 6
    assert lines[0] == f"{tmp_path / 'default' / 'run0'}: completed, test_acc 97.00 %"
    assert lines[1] == "    regbench train norm=batch 'model.hidden=[64, 32]'"
    assert lines[2] == "    regbench 0.1.0, torch 2.9.0, device cpu cpu, commit abc with changes"
    assert next(behind(load([tmp_path]), {"norm": "none"})).endswith("other: failed")


def test_no_such_cell(tmp_path: Path) -> None:
    write(tmp_path, record())
    with pytest.raises(
        UserError, match=r"norm=non: no value 'non' in the runs of 'norm'. Did you mean 'none'\? Allowed"
    ):
        list(behind(load([tmp_path]), {"norm": "non"}))
    write(tmp_path, record(norm=NORMS["batch"], seed=1))
    with pytest.raises(UserError, match="norm=batch,seed=0: no run has all of these values"):
        list(behind(load([tmp_path]), {"norm": "batch", "seed": "0"}))
    with pytest.raises(UserError, match="Did you mean 'norm'"):
        list(behind(load([tmp_path]), {"nrom": "batch"}))


def test_two_runs_differ_in(tmp_path: Path) -> None:
    one = write(tmp_path, record(test_acc=0.97), "one")
    changed = record(test_acc=0.98, norm=NORMS["layer"], optimizer=CONFIG["optimizer"] | {"lr": 0.01}, study="x")
    changed["versions"]["torch"] = "2.10.0"
    config, figures = difference(one, write(tmp_path, changed, "two"))
    assert config.rows == [
        ["norm", "none", "layer"],
        ["norm.eps", "-", "1e-05"],
        ["norm.affine", "-", "true"],
        ["optimizer.lr", "0.001", "0.01"],
        ["torch", "2.9.0", "2.10.0"],
    ]
    assert ["best_val.test_acc", "0.97", "0.98", "+0.01"] in figures.rows
    same, _ = difference(one, one)
    assert same.rows == []
    unfinished = write(tmp_path, record("running", seed=9), "three")
    assert ["best_val.test_acc", "0.97", "", ""] in difference(one, unfinished)[1].rows
    with pytest.raises(UserError, match="holds several runs"):
        difference(tmp_path, one)


def outcome(*now: float) -> tuple[Any, ...]:
    before = [("epoch 1, val_loss", 0.5), ("epoch 2, val_loss", 0.25), ("last.val_loss", math.nan)]
    found = compared(before, [(name, value) for (name, _), value in zip(before, now, strict=True)])
    return found.verdict, found.first


def test_outcomes() -> None:
    assert outcome(0.5, 0.25, math.nan) == ("bitwise equal", None)
    close = 0.25 * (1 + 1e-7)
    assert outcome(0.5, close, math.nan) == ("equal within tolerance", f"epoch 2, val_loss: 0.25, now {close!r}")
    assert outcome(0.5 * (1 + 1e-7), 0.3, math.nan) == ("different", "epoch 2, val_loss: 0.25, now 0.3")
    assert outcome(0.5, 0.25, 0.1)[0] == "different"
    missing = compared([("a", 1.0)], [])
    assert (missing.verdict, missing.first) == ("different", "a: recorded by one of the runs only")


@pytest.mark.slow
def test_a_run_trained_again_is_bitwise_equal_and_a_forged_one_is_found_out(
    train: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from regbench.experiment.reporter import Reporter
    from regbench.experiment.reproduce import reproduce

    small = ("epochs=2", "data.train_size=300", "model.hidden=[8]", "runtime.threads=1", "dropout=0.2")
    assert train(*small).code == 0
    (run,) = (tmp_path / "runs" / "default").iterdir()
    files = {path: path.read_bytes() for path in run.iterdir()}
    again = reproduce(run, Reporter("plain"))
    printed = capfd.readouterr().out
    assert "2/2" in printed
    assert tempfile.gettempdir() not in printed  # where nothing is any more
    assert (again.verdict, again.images, again.flipped) == ("bitwise equal", 20_000, 0)
    assert {path: path.read_bytes() for path in run.iterdir()} == files
    lines = (run / "metrics.csv").read_text().splitlines()
    cells = lines[2].split(",")
    cells[2] = "9.5"
    (run / "metrics.csv").write_text("\n".join([*lines[:2], ",".join(cells)]) + "\n")
    forged = reproduce(run, Reporter("off"))
    assert (forged.verdict, (forged.first or "").partition(":")[0]) == ("different", "epoch 2, train_loss")
    bits = correct_images.read(run)
    assert bits
    rights = {name: bits.of(name) for name in ("last", "best_val")}
    rights["last"][:3] = ~rights["last"][:3]
    (run / "metrics.csv").write_bytes(files[run / "metrics.csv"])
    (run / "correct.safetensors").write_bytes(correct_images.encoded(rights, bits.test_set))
    flipped = reproduce(run, Reporter("off"))
    assert (flipped.verdict, flipped.flipped, flipped.first) == ("different", 3, "the test images")
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(content | {"status": "failed", "result": None}))
    with pytest.raises(UserError, match="must be the directory of one completed run"):
        reproduce(run, Reporter("off"))
