"""The summary in Python."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

import regbench
from golden.records import HERE as GOLDEN
from golden.records import NORMS, record, write, write_metrics
from regbench.errors import UserError


def test_load_is_a_row_per_run() -> None:
    frame = regbench.load(GOLDEN / "runs")
    assert (len(frame), len(frame.attrs["duplicates"]), len(frame.attrs["unreadable"])) == (15, 2, 3)
    assert set(frame["norm"]) == {"none", "batch", "layer"}
    assert len(regbench.load([GOLDEN / "runs" / "norms", GOLDEN / "runs" / "again"])) == 15


def test_curves_are_a_row_per_epoch_and_end_at_a_torn_line() -> None:
    frame = regbench.curves(GOLDEN / "verdicts")
    assert list(frame)[:5] == ["path", "status", "study", "seed", "norm"]
    epochs = frame.groupby(["norm", "seed"])["epoch"].max()
    assert epochs["rms", 5] == 4
    assert ("rms", 6) not in epochs.index
    assert (epochs.drop(("rms", 5)) == 5).all()
    assert frame["epoch"].dtype == int
    some = regbench.load(GOLDEN / "verdicts").query("norm == 'layer'")
    assert len(regbench.curves(some)) == 50


def test_empty_cells_and_broken_rows(tmp_path: Path) -> None:
    path = write(tmp_path, record())
    (path / "metrics.csv").write_text("epoch,val_loss\n1,\n2,0.5\n3\n4,0.5\n")
    frame = regbench.curves(tmp_path)
    assert frame["epoch"].tolist() == [1, 2]
    assert math.isnan(frame["val_loss"][0])
    (path / "metrics.csv").write_text("")
    with pytest.raises(UserError, match=r"none of 1 runs has a metrics.csv"):
        regbench.curves(tmp_path)


def test_compare_takes_some_of_the_runs() -> None:
    runs = regbench.load(GOLDEN / "verdicts")
    table = regbench.compare(runs[runs["norm"].isin(["none", "batch"])], by="norm", baseline={"norm": "none"})
    assert table[["norm", "verdict"]].to_numpy().tolist() == [["batch", "better"], ["none", "baseline"]]
    assert table["diff"][0] == pytest.approx(0.00398)
    assert any("1 duplicate left out" in line for line in table.attrs["notes"])


def test_any_recorded_figure_with_its_direction(tmp_path: Path) -> None:
    for seed, norm in enumerate(("none", "batch")):
        write_metrics(write(tmp_path, record(norm=NORMS[norm], seed=seed)), 10 * seed)
    runs = regbench.load(tmp_path)
    for direction, expected in (("lower", ["none", "batch"]), ("higher", ["batch", "none"])):
        table = regbench.compare(runs, metric=f"weight_norm:{direction}")
        assert table["norm"].tolist() == expected
        assert sorted(table["mean"]) == [4, 14]  # in epoch 4, the chosen one
    assert sorted(regbench.compare(runs, metric="weight_norm:lower", select="last")["mean"]) == [5, 15]
    with pytest.raises(UserError, match=r"no metric 'weight_nrm' .*Did you mean 'weight_norm'"):
        regbench.compare(runs, metric="weight_nrm")


def test_importing_imports_next_to_nothing() -> None:
    script = "import sys, regbench; print(*sys.modules)"
    modules = set(subprocess.check_output([sys.executable, "-c", script], text=True).split())
    assert not modules & {"torch", "pandas", "numpy", "scipy", "pydantic", "hydra"}
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        regbench.laod  # noqa: B018
