"""A run up close, in the terminal."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from golden.records import NORMS, record, write
from regbench.cli import group
from regbench.records import predictions
from regbench.records.files import PREDICTED

Show = Callable[..., tuple[int, str, str]]
LAYERS = "epoch,layer,before_std,after_std,dead,saturated,grad_norm,update_ratio\n"


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Show:
    """`show(run, width)`: the exit code and what is printed on both streams."""

    def call(run: Path, width: int = 80) -> tuple[int, str, str]:
        monkeypatch.setenv("COLUMNS", str(width))
        with pytest.raises(SystemExit) as end:
            group.main(["show", str(run)])
        return (int(end.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture
def run(tmp_path: Path) -> Path:
    changed = record(norm=NORMS["batch"] | {"momentum": 0.05}, seed=3) | {"overrides": ["norm=batch", "seed=3"]}
    path = write(tmp_path, changed)
    (path / "metrics.csv").write_text("epoch,train_loss,val_loss,val_acc,seconds\n1,2,1,0.5,2\n2,1,0.5,0.75,4\n")
    (path / "layers.csv").write_text(LAYERS + "1,dense1,1,1,0.1,,0.2,0.001\n2,dense1,1,1,0.41,,0.2,0.001\n")
    labels = np.array([0, 0, 1, 1], np.uint8)
    given = {"last": labels, "best_val": np.array([0, 0, 1, 0], np.uint8)}
    (path / PREDICTED).write_bytes(predictions.encoded(given, predictions.Answers("1", labels)))
    return path


@pytest.mark.parametrize("width", [80, 120])
def test_a_page_holds_all_parts_within_the_width(width: int, run: Path, show: Show) -> None:
    code, out, err = show(run, width)
    assert (code, err) == (0, "")
    assert "test accuracy 97.50 %, loss" in out and "after epoch 4 (least validation loss)" in out
    assert "norm=batch norm.momentum=0.05" in " ".join(out.split())
    assert "val_loss     █▁  1.0000 → 0.5000, best 0.5000".replace("█", "▃") in out  # on the scale of both losses
    assert "0:100.0  1:50.0" in out and "Class 1 is the hardest; 50.0 % of its images are taken for 0." in out
    assert "Hint: dense1: 41 % of the units are dead: a lower learning rate" in out
    assert "6.00 s: 2 epochs, 3.00 s each" in out
    assert out.splitlines()[-1] == "  regbench train norm=batch seed=3"
    assert max(map(len, out.splitlines())) <= width and "\x1b" not in out


def test_a_run_that_has_barely_begun_and_one_that_failed(tmp_path: Path, show: Show) -> None:
    begun, failed = (write(tmp_path, record(status, seed=seed)) for seed, status in enumerate(("running", "failed")))
    content = json.loads((failed / "run.json").read_text()) | {"error": "boom \x1b[31m"}
    (failed / "run.json").write_text(json.dumps(content))
    assert "killed\n0 epochs trained so far" in show(begun)[1]
    assert "boom \N{REPLACEMENT CHARACTER}[31m" in show(failed)[1]


def test_what_is_no_run_is_one_line(tmp_path: Path, show: Show) -> None:
    assert show(tmp_path / "no")[::2] == (
        2,
        f"error: no run '{tmp_path / 'no'}'. regbench ls lists the runs there are\n",
    )
    assert show(tmp_path)[0] == 2
