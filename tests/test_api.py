"""The summary in Python."""

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
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


SMALL: dict[str, Any] = {"epochs": 1, "data.train_size": 300, "data.val_size": 200, "model.hidden": [8], "study": "x"}


@pytest.mark.slow
def test_a_run_in_python_is_the_run_of_the_command_line(train: Any, capfd: pytest.CaptureFixture[str]) -> None:
    status = regbench.train("norm=batch", **SMALL)
    assert (status.state, status.path.parent) == ("completed", Path("runs/x"))
    assert 0 < status.result["best_val"]["test_acc"] < 1
    assert capfd.readouterr().out == ""
    words = ("norm=batch", "epochs=1", "data.train_size=300", "data.val_size=200", "model.hidden=[8]", "study=x")
    assert "already trained" in train(*words).out
    assert len(list(Path("runs/x").iterdir())) == 1


@pytest.mark.slow
def test_a_sweep_in_python_is_a_frame_of_its_runs(own_process: None) -> None:
    small = SMALL | {"model.hidden": [[8]]}
    before = sys.argv
    frame = regbench.sweep(
        "+experiment=mlp_small", norm=["none", "batch"], seed=range(2), where="norm != batch or seed == 0", **small
    )
    assert frame[["norm", "seed"]].to_numpy().tolist() == [["none", 0], ["none", 1], ["batch", 0]]
    assert set(frame["status"]) == {"completed"}
    assert set(frame["experiment"]) == {"mlp_small"}
    assert sys.argv is before
    one = regbench.sweep("norm=none", "+experiment=mlp_small", seed=1, **small)
    assert one["path"].tolist() == frame["path"].tolist()[1:2]
    table = regbench.compare(regbench.load("runs"), by="experiment")
    assert table["experiment"].tolist() == ["mlp_small"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: regbench.train("norm=bacth"), "no option 'bacth' in the group 'norm'. Did you mean 'batch'?"),
        (lambda: regbench.train("optimizer.lrr=1"), "Did you mean 'lr'?"),
        (lambda: regbench.train(epochs=-1), "epochs=-1: must be"),
        (lambda: regbench.train("+study=norms"), "is a sweep. In Python: regbench.sweep('+study=norms')"),
        (lambda: regbench.train(progress="loud"), "train(progress='loud'): must be 'off', 'plain', 'bar' or 'auto'"),
        (lambda: regbench.sweep(until_decided="yes"), "sweep(until_decided='yes'): must be True or False"),
        (lambda: regbench.train("--plan"), "--plan: is a flag of the command line, and has no meaning in Python"),
        (lambda: regbench.train(["seed=1"]), "* takes a list apart: regbench.train(*words)"),
        (lambda: regbench.train(epochs={}), "epochs={}: must be text, a number, True, False, None or a list"),
        (lambda: regbench.train(None), "null: a word must be text"),  # type: ignore[arg-type]
        (lambda: regbench.sweep(norm={"none"}), "norm={'none'}: must be text, a number, True, False, None or a list"),
        (lambda: regbench.sweep(norm=[]), "norm=[]: needs at least one value"),
        (lambda: regbench.sweep("norm=none,bacth"), "Did you mean 'batch'?"),
        (lambda: regbench.sweep(seed=[0, -1]), "seed=-1: must be"),
        (lambda: regbench.sweep("norm=none,batch", margin=1.0), "margin: belongs to until_decided=True"),
        (lambda: regbench.sweep("norm=none,batch", until_decided=True, max_seeds=3), "max-seeds 3: must be at least 6"),
        (lambda: regbench.sweep("hydra.sweeper.plan=true", seed=[0, 1]), "regbench.sweep trains. To plan: "),
        (lambda: regbench.sweep("hydra.sweeper.max_seconds=-1", seed=[0, 1]), "max_seconds=-1: must be a number above"),
        (lambda: regbench.sweep("hydra.sweeper.max_seconds=1e-9", seed=[0, 1]), "was over before a run began"),
        (lambda: regbench.sweep("hydra/sweeper=optuna", seed=[0, 1]), "to search, run regbench train -m"),
    ],
)
def test_a_mistake_in_python_is_a_user_error(own_process: None, call: Any, message: str) -> None:
    with pytest.raises(regbench.UserError, match=re.escape(message)):
        call()
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("load", (5,), "load(dirs=5): must be text, a path or a list of text or a path"),
        ("load", ([5],), "load(5): must be the path of a folder of runs"),
        ("load", ("",), "load(''): must be the path of a folder of runs"),
        ("load", ([],), "load([]): needs at least one folder"),
        ("curves", (None,), "curves(dirs=None): must be "),
        ("compare", (), "compare(): missing a required argument: 'frame'"),
        ("load_model", (None,), "load_model(run=None): must be text or a path"),
        ("load_model", ("",), "load_model(''): must be the folder of a run"),
    ],
)
def test_an_argument_of_another_type_is_one_line(name: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(regbench.UserError, match=re.escape(message)):
        getattr(regbench, name)(*arguments)


def test_the_public_names_are_listed() -> None:
    assert dir(regbench) == ["UserError", "compare", "curves", "load", "load_model", "sweep", "train"]
    assert all(callable(getattr(regbench, name)) for name in dir(regbench))


def test_importing_imports_next_to_nothing() -> None:
    script = "import sys, regbench; print(*sys.modules)"
    modules = set(subprocess.check_output([sys.executable, "-c", script], text=True).split())
    assert not modules & {"torch", "pandas", "numpy", "scipy", "pydantic", "hydra"}
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        regbench.laod  # noqa: B018


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"margin": math.inf}, "--margin inf: must be a finite number above 0"),
        ({"margin": math.nan}, "--margin nan: must be a finite number above 0"),
        ({"margin": -1}, "--margin -1: must be a finite number above 0"),
        ({"correction": "bonferroni"}, "compare(correction='bonferroni'): must be 'holm', 'bh' or 'none'"),
        ({"select": "best"}, "compare(select='best'): must be 'last' or 'best_val'. Did you mean 'best_val'?"),
        ({"frame": "runs"}, "compare(frame='runs'): must be a DataFrame"),
        ({"frame": pd.DataFrame({"a": [1]})}, "must hold rows of regbench.load, and has no column 'status'"),
        ({"by": 3}, "compare(by=3): must be text or a list of text"),
        ({"by": ["norm", 3]}, "compare(by=['norm', 3]): must be text or a list of text"),
        ({"metric": None}, "compare(metric=None): must be text or a list of text"),
        ({"metric": []}, "compare(metric=[]): needs at least one metric"),
        ({"where": 5}, "compare(where=5): must be text, a list of text or None"),
        ({"show": ["seed"]}, "compare(show='seed'): no column 'seed' in the table. Did you mean 'seeds'?"),
        ({"status": "done"}, "compare(status='done'): no value 'done' in status. Did you mean 'completed'?"),
        ({"test_noise": 1}, "compare(test_noise=1): must be True or False"),
        ({"baselin": "norm=none"}, "compare(baselin=…): no argument 'baselin' in compare. Did you mean 'baseline'?"),
        ({"baseline": None, "margin": 0.1}, "compare(margin=…): needs a baseline"),
    ],
)
def test_compare_refuses_what_decides_nothing(wrong: dict[str, Any], message: str) -> None:
    """With an infinite margin every row would be equivalent."""
    right = {"frame": pd.DataFrame({"norm": ["none"], "status": ["completed"]}), "by": "norm", "baseline": "norm=none"}
    with pytest.raises(regbench.UserError, match=re.escape(message)):
        regbench.compare(**right | wrong)
