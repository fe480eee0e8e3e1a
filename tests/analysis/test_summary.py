"""How runs become groups, and groups rows."""

import json
import math
import random
import statistics
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import regbench
from golden.records import CONFIG, INITS, NORMS, record, write
from regbench.analysis.effects import effects
from regbench.analysis.groups import differing
from regbench.analysis.summary import compare
from regbench.analysis.table import Against, Table
from regbench.errors import UserError
from regbench.records.files import Status
from regbench.records.frame import Runs, load
from regbench.records.metrics import METRICS
from regbench.tables.footer import footer
from regbench.tables.formats import to_html, to_json, to_latex, to_markdown
from regbench.tables.record import to_frame

SGD = {"name": "sgd", "lr": 0.1, "momentum": 0.9}
ADAM = CONFIG["optimizer"]


def found(tmp_path: Path, *records: dict[str, Any]) -> Runs:
    for number, content in enumerate(records):
        write(tmp_path, content, f"run{number:02}")
    return load([tmp_path])


def keys(tmp_path: Path, *changes: dict[str, Any]) -> list[str]:
    return differing(found(tmp_path, *(record(seed=seed, **change) for seed, change in enumerate(changes))).frame)


def groups(table: Table) -> list[tuple[Any, ...]]:
    return [tuple(row.group.values()) for row in table.rows]


def test_an_axis_and_a_value_that_differ_are_keys(tmp_path: Path) -> None:
    assert keys(tmp_path, {}, {"norm": NORMS["batch"]}, {"dropout": 0.5}) == ["norm", "dropout"]


def test_the_arguments_of_other_options_are_no_difference(tmp_path: Path) -> None:
    assert keys(tmp_path, {"optimizer": ADAM}, {"optimizer": SGD}) == ["optimizer"]


def test_an_argument_that_differs_within_an_option_is_a_key(tmp_path: Path) -> None:
    changed = [{"optimizer": ADAM}, {"optimizer": SGD}, {"optimizer": SGD | {"lr": 0.2}}]
    assert keys(tmp_path, *changed) == ["optimizer", "optimizer.lr"]


def test_lists_and_null_differ_as_values_do(tmp_path: Path) -> None:
    changed = [{}, {"model": {"name": "mlp", "hidden": [64]}}, {"clip_norm": 1.0}]
    assert keys(tmp_path, *changed) == ["model.hidden", "clip_norm"]


def test_seed_and_what_changes_no_number_are_never_keys(tmp_path: Path) -> None:
    runtime = CONFIG["runtime"] | {"device": "cuda"}
    assert keys(tmp_path, {}, {"study": "other"}, {"force": True}, {"runtime": runtime}) == []


def test_of_keys_that_split_alike_the_first_is_kept(tmp_path: Path) -> None:
    assert keys(tmp_path, {}, {"norm": NORMS["batch"], "dropout": 0.5}, {}) == ["norm"]


def test_a_key_that_older_runs_lack_is_no_difference(tmp_path: Path) -> None:
    older = record(seed=1)
    del older["config"]["drop_last"]
    assert differing(found(tmp_path, record(), older).frame) == []


def test_where_nothing_differs_there_is_one_row(tmp_path: Path) -> None:
    table = compare(found(tmp_path, record(seed=0), record(seed=1)))
    assert table.keys == ("runs",)
    assert [(row.group, row.estimate.n) for row in table.rows] == [({"runs": "all"}, 2)]


def test_figures_of_a_row(tmp_path: Path) -> None:
    accuracies = (0.97, 0.98, 0.96)
    (row,) = compare(found(tmp_path, *(record(test_acc=a, seed=s) for s, a in enumerate(accuracies)))).rows
    assert row.estimate.mean == pytest.approx(0.97)
    assert row.estimate.half_width == pytest.approx(4.302652729749464 * 0.01 / math.sqrt(3))
    assert (row.best, row.worst) == (0.98, 0.96)


def test_only_completed_runs_are_averaged(tmp_path: Path) -> None:
    ends = ("diverged", "failed", "running", "interrupted", "interrupted")
    records = [record(test_acc=0.9, seed=0), *(record(end, seed=seed) for seed, end in enumerate(ends, start=1))]
    # what an unfinished run might hold must not count either
    records[3]["result"] = records[0]["result"]
    (row,) = compare(found(tmp_path, *records)).rows
    assert (row.estimate.n, row.estimate.mean, row.estimate.half_width) == (1, 0.9, None)
    assert (row.diverged, row.failed, row.unfinished) == (1, 1, 3)


def test_a_group_without_figures_is_the_last_row(tmp_path: Path) -> None:
    records = [record("diverged"), record(test_acc=0.1, norm=NORMS["batch"]), record(test_acc=0.2, norm=NORMS["layer"])]
    table = compare(found(tmp_path, *records))
    assert groups(table) == [("layer",), ("batch",), ("none",)]
    assert (table.rows[2].estimate.n, table.rows[2].best, table.rows[2].diverged) == (0, None, 1)


def test_ties_are_sorted_by_value_numbers_as_numbers(tmp_path: Path) -> None:
    sizes: list[Any] = [1000, None, 200, 30]
    records = [record(data=CONFIG["data"] | {"train_size": size}) for size in sizes]
    assert groups(compare(found(tmp_path, *records))) == [(30,), (200,), (1000,), (None,)]


@pytest.mark.parametrize("metric", [name for name in METRICS if name not in ("epoch", "seconds", "cpu_seconds")])
def test_direction(metric: str, tmp_path: Path) -> None:
    table = compare(found(tmp_path, record(test_acc=0.9), record(test_acc=0.99, norm=NORMS["batch"])), metric=metric)
    assert groups(table) == [("batch",), ("none",)]  # more accuracy and less loss
    (row,) = compare(found(tmp_path / "one", record(test_acc=0.9), record(test_acc=0.99, seed=1)), metric=metric).rows
    assert row.best is not None and row.worst is not None
    assert (row.best > row.worst) == metric.endswith("acc")


def test_selection(tmp_path: Path) -> None:
    runs = found(tmp_path, record(test_acc=0.9))
    assert compare(runs).rows[0].estimate.mean == 0.9
    assert compare(runs, select="last").rows[0].estimate.mean == 0.899
    assert compare(runs, metric="epoch").rows[0].best == 4
    assert compare(runs, metric="epoch", select="last").rows[0].best == 5


def test_seconds_are_of_the_whole_run(tmp_path: Path) -> None:
    table = compare(found(tmp_path, record()), metric="seconds")
    assert (table.rows[0].estimate.mean, table.select) == (4.25, None)


def test_a_completed_run_without_a_finite_figure_is_counted(tmp_path: Path) -> None:
    records = [record(seed=seed) for seed in range(2)]
    for content, figure in zip(records, (None, 0.5), strict=True):
        content["result"]["best_val"]["val_acc"] = figure
        content["result"]["best_val"]["val_loss"] = figure
    table = compare(found(tmp_path, *records), metric="val_acc")
    assert (table.rows[0].estimate.n, table.completed, table.without_figure) == (1, 2, 1)
    assert table.without_validation == 1


def test_a_figure_that_no_run_has_leaves_the_mean_open(tmp_path: Path) -> None:
    table = compare(found(tmp_path, record("failed")), metric="val_acc")
    assert (table.rows[0].estimate.mean, table.rows[0].failed) == (None, 1)


def test_named_keys_group_and_what_is_averaged_is_said(tmp_path: Path) -> None:
    records = [record(norm=NORMS[n], init=INITS[i], seed=s) for n in NORMS for i in INITS for s in (0, 1)]
    runs = found(tmp_path, *records)
    assert compare(runs).averaged == ()
    table = compare(runs, ["norm"])
    assert ({row.estimate.n for row in table.rows}, table.averaged) == ({4}, ("init",))
    assert compare(runs, ["seed", "seed"]).keys == ("seed",)
    assert compare(runs, ["study"]).averaged == ("norm", "init")


def test_a_key_of_some_options_only_is_left_out_of_the_others(tmp_path: Path) -> None:
    table = compare(found(tmp_path, record(), record(norm=NORMS["batch"])), ["norm.eps"])
    assert sorted((row.group for row in table.rows), key=len) == [{}, {"norm.eps": 1e-05}]


def test_a_key_that_goes_with_another_is_said(tmp_path: Path) -> None:
    pairs = ((0.1, 20), (0.001, 500))
    records = [record(optimizer=ADAM | {"lr": lr}, batch_size=size, seed=s) for lr, size in pairs for s in (0, 1)]
    table = compare(found(tmp_path, *records))
    assert table.keys == ("optimizer.lr",)
    line = "batch_size goes with optimizer.lr: 20 at 0.1, 500 at 0.001."
    for tables in (footer(table), footer(table, explain=False), to_frame([table]).attrs["notes"]):
        assert line in tables
    content = json.loads(to_json([table]))
    assert content["goes_with"] == [{"key": "batch_size", "with": "optimizer.lr", "pairs": [[20, 0.1], [500, 0.001]]}]
    assert line in content["notes"]
    assert all(line in text([table]) for text in (to_markdown, to_latex, to_html))


def test_every_key_that_goes_with_another_is_said(tmp_path: Path) -> None:
    """Recipes differ in many keys, of which two tell them apart."""
    wide = {"name": "mlp", "hidden": [512]}
    recipes: list[dict[str, Any]] = [
        {"epochs": 1, "batch_size": 20},
        {"norm": NORMS["batch"], "epochs": 3, "batch_size": 50},
        {"model": wide, "epochs": 3, "batch_size": 90},
    ]
    table = compare(found(tmp_path, *(record(**recipe) for recipe in recipes)))
    named = {*table.keys, *(follower.key for follower in table.together)}
    assert named == {"model.hidden", "norm", "epochs", "batch_size"}
    by_norm = compare(load([tmp_path]), ["norm"])
    assert by_norm.averaged == ("model.hidden", "epochs", "batch_size"), "all of them, also those that split alike"


def test_an_argument_that_is_set_for_each_option_is_said(tmp_path: Path) -> None:
    """`zip=optimizer,optimizer.lr`: no two runs of one option differ in it, and the options' files say other values."""
    records = [record(optimizer=ADAM | {"lr": 0.1}), record(optimizer=SGD | {"lr": 0.001})]
    table = compare(found(tmp_path, *records))
    assert "optimizer.lr goes with optimizer: 0.001 at sgd, 0.1 at adam." in footer(table)
    usual = compare(found(tmp_path / "usual", record(), record(optimizer=SGD)))
    assert not any("goes with" in line for line in footer(usual))


def test_a_key_that_only_several_others_tell_is_said(tmp_path: Path) -> None:
    sizes = {("none", "xavier"): 10, ("none", "kaiming"): 20, ("batch", "xavier"): 20, ("batch", "kaiming"): 10}
    records = [record(norm=NORMS[n], init=INITS[i], batch_size=size) for (n, i), size in sizes.items()]
    table = compare(found(tmp_path, *records), ["norm", "init"])
    assert "batch_size differs between rows too: 10, 20. --by shows it." in footer(table)


def test_the_same_runs_in_two_studies_are_compared(tmp_path: Path) -> None:
    """Copies are left out where the study is no key, and only there."""
    for study, seed in (("a", 0), ("a", 1), ("b", 0), ("b", 1)):
        write(tmp_path, record(test_acc=0.9 + seed / 100, seed=seed, study=study))
    runs = load([tmp_path])
    assert (len(runs.frame), len(runs.duplicates)) == (2, 2)
    by_study = compare(runs, ["study"], against=Against(["study=a"]))
    assert [(row.group["study"], row.estimate.n) for row in by_study.rows] == [("a", 2), ("b", 2)]
    assert by_study.duplicates == ()
    (_, other) = by_study.rows
    assert other.comparison and (other.comparison.pairs, other.comparison.difference) == (2, 0.0)
    for study in "ab":
        table = compare(runs, where=f"study=={study}")
        assert (table.runs, table.left_out) == (2, 0)
    assert (compare(runs).runs, len(compare(runs).duplicates)) == (2, 2)
    frame = regbench.compare(regbench.load(tmp_path), by="study")
    assert frame["n"].tolist() == [2, 2]


def test_a_copy_in_the_same_study_counts_once(tmp_path: Path) -> None:
    for number, study in enumerate("aab"):
        write(tmp_path, record(study=study, finished=f"2026-01-0{number + 1}T10:05:00+00:00"), f"run{number}")
    table = compare(load([tmp_path]), ["study"])
    assert [(row.group["study"], row.estimate.n) for row in table.rows] == [("a", 1), ("b", 1)]
    assert len(table.duplicates) == 1


def timed(seconds: float, start: int, stack: int | None = 1, **changes: Any) -> dict[str, Any]:
    """A run that trained from a minute to the next."""
    content = record(finished=f"2026-01-01T10:{start + 1:02}:00+00:00", **changes)
    content["times"]["started"] = f"2026-01-01T10:{start:02}:00+00:00"
    content["result"]["seconds"] = seconds
    return content | ({} if stack is None else {"stack": stack})


def one_after_another(stack: int | None, step: int = 1) -> list[dict[str, Any]]:
    runs = [(norm, seed) for norm in ("none", "batch") for seed in range(6)]
    return [
        timed(4 + seed / 100 + (norm == "batch"), step * place, stack, norm=NORMS[norm], seed=seed)
        for place, (norm, seed) in enumerate(runs)
    ]


def test_seconds_of_runs_that_had_the_machine_alone_are_tested(tmp_path: Path) -> None:
    table = compare(found(tmp_path, *one_after_another(1)), metric="seconds", against=Against(["norm=none"]))
    row = next(row for row in table.rows if row.group["norm"] == "batch")
    assert row.comparison and (row.comparison.verdict, row.comparison.p) == ("worse", 0.03125)
    assert (table.clocks, row.stack) == (0, 1)
    assert row.estimate.half_width


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (
            one_after_another(10),
            ", in stacks of 10: their seconds",
        ),
        (one_after_another(1, step=0), ": their seconds"),
        (one_after_another(None), ": their seconds"),
    ],
    ids=["stack", "processes", "unknown"],
)
def test_seconds_of_runs_that_shared_the_machine_have_no_test(
    records: list[dict[str, Any]], words: str, tmp_path: Path
) -> None:
    runs = found(tmp_path, *records)
    table = compare(runs, metric="seconds", against=Against(["norm=none"], margin=1))
    row = next(row for row in table.rows if row.group["norm"] == "batch")
    assert row.comparison and row.comparison.verdict == "not tested"
    assert row.comparison.difference == pytest.approx(1)
    assert row.comparison.p is row.comparison.half_width is row.comparison.p_equivalence is None
    assert all(row.estimate.half_width is None for row in table.rows)
    start = f"12 of 12 runs shared the machine while they were timed{words}"
    assert any(line.startswith(start) for line in footer(table, explain=False))
    accuracies = compare(runs, against=Against(["norm=none"]))
    assert {row.comparison.p for row in accuracies.rows if row.comparison} == {None, 1.0}
    assert "stack" in to_frame([table])
    with pytest.raises(UserError, match=r"effects: 12 of 12 runs shared the machine .* Train with runtime.stack=1"):
        effects(runs, metric="seconds")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": ["nrom"]}, r"no key 'nrom' in the runs. Did you mean 'norm'\?"),
        ({"by": ["best_val.test_acc"]}, "no key 'best_val.test_acc'"),
        ({"by": ["status"]}, "no key 'status'"),
        ({"metric": "test_ac"}, r"no metric 'test_ac' .*Did you mean 'test_acc'\?"),
    ],
)
def test_unknown_names(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        compare(found(tmp_path, record()), **arguments)


OUTCOMES = st.tuples(
    st.sampled_from(["none", "batch", "layer"]),
    st.sampled_from([None, 0.1, 20, True, "x", (1, 2)]),
    st.sampled_from([math.nan, 0.5]),
    st.sampled_from(get_args(Status)),
    st.one_of(st.floats(0, 1), st.just(math.nan), st.just(math.inf)),
)


def frame_of(outcomes: list[tuple[Any, ...]]) -> pd.DataFrame:
    columns = dict(
        zip(("norm", "clip", "norm.eps", "status", "best_val.test_acc"), zip(*outcomes, strict=True), strict=True)
    )
    return pd.DataFrame({key: pd.Series(list(values), dtype=object) for key, values in columns.items()})


@settings(deadline=None)  # the machine may be busy
@given(st.lists(OUTCOMES, min_size=1, max_size=40), st.sets(st.sampled_from(["norm", "clip", "norm.eps"])))
def test_every_run_is_in_one_row_and_one_column(outcomes: list[tuple[Any, ...]], by: set[str]) -> None:
    table = compare(Runs(frame_of(outcomes)), sorted(by))
    counted = sum(row.estimate.n + row.diverged + row.failed + row.unfinished for row in table.rows)
    assert counted + table.without_figure == table.runs == len(outcomes)
    assert len({tuple(sorted(row.group.items())) for row in table.rows}) == len(table.rows)
    for row in table.rows:
        assert (row.estimate.half_width is None) == (row.estimate.n < 2)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(OUTCOMES, min_size=1, max_size=40), st.randoms())
def test_the_order_of_runs_changes_nothing(outcomes: list[tuple[Any, ...]], shuffler: random.Random) -> None:
    shuffled = outcomes.copy()
    shuffler.shuffle(shuffled)
    assert compare(Runs(frame_of(shuffled))) == compare(Runs(frame_of(outcomes)))


@settings(deadline=None)  # the machine may be busy
@given(st.lists(OUTCOMES, min_size=1, max_size=40))
def test_means_are_those_of_a_plain_loop(outcomes: list[tuple[Any, ...]]) -> None:
    for row in compare(Runs(frame_of(outcomes)), ["norm"]).rows:
        figures = [o[4] for o in outcomes if o[0] == row.group["norm"] and o[3] == "completed" and math.isfinite(o[4])]
        assert row.estimate.mean == (statistics.mean(figures) if figures else None)
        assert row.best == max(figures, default=None)
