"""Training a run again, and comparing the numbers."""

import copy
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.records import record, write, write_metrics
from regbench.errors import UserError
from regbench.experiment.reporter import Reporter
from regbench.experiment.reproduce import compared, reproduce
from regbench.records import predictions


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
    found = predictions.read(run)
    assert found
    classes = {name: own.copy() for name, own in found.classes.items()}
    hits = np.flatnonzero(found.of("last"))[:3]
    classes["last"][hits] = (classes["last"][hits] + 1) % 10
    (run / "metrics.csv").write_bytes(files[run / "metrics.csv"])
    (run / "predicted.safetensors").write_bytes(predictions.encoded(classes, found.answers))
    flipped = reproduce(run, Reporter("off"))
    assert (flipped.verdict, flipped.flipped, flipped.first) == ("different", 3, "the test images")
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(content | {"status": "failed", "result": None}))
    with pytest.raises(UserError, match="must be the directory of one completed run"):
        reproduce(run, Reporter("off"))


def test_nothing_is_kept_where_the_recorded_run_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = copy.deepcopy(record(seed=0))
    content |= {"machine": {"threads": 1}, "overrides": ["seed=0"]}
    his = str(tmp_path / "his")
    content["config"]["runtime"] |= {"dir": his, "cache": his, "tracker": "tensorboard"}
    path = write(tmp_path / "runs", content)
    write_metrics(path, 0.5)
    checked: list[Any] = []

    def check(config: Any) -> None:
        checked.append(config["runtime"])
        raise UserError("enough")

    monkeypatch.setattr("regbench.experiment.reproduce.check", check)
    with pytest.raises(UserError, match="enough"):
        reproduce(path, Reporter("off"))
    assert checked[0]["cache"] is None and checked[0]["tracker"] == "none"
    assert checked[0]["dir"] != his and not Path(his).exists()
