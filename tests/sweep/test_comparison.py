"""The command that is shown at the end of a sweep."""

from pathlib import Path
from typing import Any

import pytest

from regbench.experiment.run import Run
from regbench.sweep.comparison import command

NORMS = [["norm=batch"], ["norm=none"]]
RATES = [["optimizer.lr=0.1"], ["optimizer.lr=0.001"]]


@pytest.mark.parametrize(
    ("sweep", "expected"),
    [
        ([["seed=0"], ["seed=1"]], ""),
        (NORMS, "--baseline norm=none"),
        ([["norm=layer"], ["norm=batch"]], "--baseline norm=layer"),
        ([["dropout=0.2"], ["dropout=0.0"]], "--baseline dropout=0"),
        ([["clip_norm=1"], ["clip_norm=null"]], "--baseline clip_norm=null"),
        ([["activation=gelu"], ["activation=relu"]], "--baseline activation=relu"),
        (RATES, "--baseline optimizer.lr=0.001"),
        ([["optimizer.lr=0.1"], ["optimizer.lr=0.2"]], "--baseline optimizer.lr=0.1"),
        ([["model.hidden=[8]"], ["model.hidden=[256,256]"]], "--baseline 'model.hidden=[256,256]'"),
        ([[*norm, *rate] for norm in NORMS for rate in RATES], "--baseline norm=none"),
        ([["norm=batch", "dropout=0.2"], ["norm=none", "dropout=0.0"]], "--baseline norm=none,dropout=0"),
        ([["norm=batch", "dropout=0.0"], ["norm=none", "dropout=0.2"]], ""),
        ([*NORMS, ["dropout=0.2"], ["max_norm=2"], ["batch_size=50"]], "--baseline default"),
        ([["dropout=0.2"], ["norm=batch"]], ""),
        ([[*norm, f"seed={seed}"] for norm in NORMS for seed in (0, 1)], "--baseline norm=none"),
    ],
    ids=str,
)
def test_the_baseline_is_none_or_the_default(
    make_config: Any, tmp_path: Path, sweep: list[list[str]], expected: str
) -> None:
    runs = [Run(make_config(*words, f"runtime.dir={tmp_path}"), words) for words in sweep]
    assert command(runs) == f"regbench summary {tmp_path / 'default'} {expected}".rstrip()


def test_every_study_is_named_once_and_recipes_are_rows(make_config: Any) -> None:
    sweep = [["norm=batch", "study=one"], ["norm=none", "study=two"], ["norm=none", "study=one"]]
    runs = [Run(make_config(norm, f"runtime.{study}"), [norm, study]) for norm, study in sweep]
    assert command(runs) == "regbench summary runs/one runs/two --baseline norm=none"
    recipes = [Run(make_config(), [f"+experiment={name}"]) for name in ("mlp_xavier", "mlp_deep")]
    assert command(recipes) == "regbench summary runs/default --by experiment"
