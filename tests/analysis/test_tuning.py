"""Rows at their own tuned values: what chooses, what is reported, what is said of the choice."""

import json
from pathlib import Path
from typing import Any

import pytest

import regbench
from golden.records import CONFIG, INITS, NORMS, record, write
from regbench.analysis.summary import compare
from regbench.analysis.table import Against, Table
from regbench.errors import UserError
from regbench.records.frame import load
from regbench.tables.cell import runs_behind, to_table
from regbench.tables.cells import cells
from regbench.tables.footer import footer
from regbench.tables.formats import to_csv, to_html, to_json, to_latex, to_markdown

LR = "optimizer.lr"


def run(folder: Path, seed: int, lr: float, val: float, test: float, status: str = "completed", **changes: Any) -> None:
    """Write a run whose validation and test accuracy have nothing to do with each other."""
    content = record(status, test, seed=seed, optimizer=CONFIG["optimizer"] | {"lr": lr}, **changes)
    if status == "completed":
        content["result"]["best_val"]["val_acc"] = val
    write(folder, content, f"run{len(list(folder.rglob('run.json'))):03}")


def grid(folder: Path, vals: dict[float, list[float]], **changes: Any) -> None:
    """Write a row: of each rate the validation accuracies by seed; a test accuracy says its rate and seed."""
    for lr, by_seed in vals.items():
        for seed, val in enumerate(by_seed):
            run(folder, seed, lr, val, accuracy(lr, seed), **changes)


def accuracy(lr: float, seed: int) -> float:
    return round(0.5 + lr + seed / 1000, 6)


def tuned(folder: Path, **settings: Any) -> Table:
    return compare(load([folder]), tune=[LR], **settings)


def test_earlier_seeds_choose_and_this_seed_s_test_figure_is_reported(tmp_path: Path) -> None:
    """At seed 1 only seed 0 chooses; at seed 2 the mean of both; what seed 2 would prefer itself does not count."""
    grid(tmp_path, {0.1: [0.9, 0.1, 0.0], 0.2: [0.5, 0.8, 0.9], 0.3: [0.1, 0.2, 1.0]})
    (row,) = tuned(tmp_path).rows
    assert row.figures == ((1, accuracy(0.1, 1)), (2, accuracy(0.2, 2)))
    assert row.choice is not None
    assert row.choice.chosen == (((0.1,), 1), ((0.2,), 1))
    assert (row.choice.values, row.choice.runs) == (3, 9)


def test_a_test_figure_chooses_nothing(tmp_path: Path) -> None:
    grid(tmp_path, {0.1: [0.9] * 4, 0.2: [0.8] * 4})
    before = tuned(tmp_path).rows[0].choice
    for path in tmp_path.rglob("run.json"):
        content = json.loads(path.read_text())
        content["result"]["best_val"]["test_acc"] = 1 - content["result"]["best_val"]["test_acc"]
        path.write_text(json.dumps(content))
    assert tuned(tmp_path).rows[0].choice == before


def test_a_loss_is_tuned_by_the_loss_of_validation(tmp_path: Path) -> None:
    grid(tmp_path, {0.1: [0.9] * 3, 0.2: [0.8] * 3})
    table = tuned(tmp_path, metric="test_loss")
    assert table.tuning is not None and table.tuning.metric == "val_loss"
    (row,) = table.rows  # the records' validation loss falls as their test accuracy rises
    assert row.choice is not None and row.choice.chosen == (((0.2,), 2),)


def test_each_row_chooses_for_itself_and_pairs_stay_by_seed(tmp_path: Path) -> None:
    grid(tmp_path, {0.1: [0.9] * 8, 0.2: [0.8] * 8})
    grid(tmp_path, {0.1: [0.8] * 8, 0.2: [0.9] * 8}, norm=NORMS["batch"])
    table = tuned(tmp_path, against=Against(["norm=none"]))
    assert table.keys == ("norm",)
    batch = next(row for row in table.rows if row.group == {"norm": "batch"})
    assert batch.comparison is not None
    assert (batch.comparison.pairs, batch.comparison.verdict) == (7, "better")
    assert batch.comparison.difference == pytest.approx(0.1)
    assert not (table.averaged or table.together or (table.contrast and table.contrast.confounded))


def test_values_that_diverge_are_chosen_last(tmp_path: Path) -> None:
    grid(tmp_path, {0.1: [0.5] * 4})
    for seed in range(4):
        run(tmp_path, seed, 0.2, 0.9, 0.9, "diverged" if seed == 1 else "completed")
    table = tuned(tmp_path)
    (row,) = table.rows
    assert row.choice is not None
    assert (row.diverged, row.choice.chosen) == (1, (((0.1,), 2), ((0.2,), 1)))  # seed 0 chose 0.2 for seed 1
    assert "Values with diverged runs are chosen last: runs=all (0.2: 1 run)." in footer(table)


def test_the_doubts_of_a_choice_are_named(tmp_path: Path) -> None:
    grid(tmp_path, {0.1: [0.9] * 4, 0.2: [0.8] * 3})
    grid(tmp_path, {0.1: [0.8] * 4, 0.2: [0.9] * 4, 0.3: [0.7] * 4}, norm=NORMS["batch"])
    text = "\n".join(footer(tuned(tmp_path), explain=False))
    assert "by the mean val_acc of the seeds before it, of 2 to 3 values in 7 to 12 runs for each row." in text
    assert "Rows had unlike budgets" in text
    assert "a better value may lie beyond: norm=none (0.1 is the smallest)." in text
    assert "Values with fewer seeds than others of their row: norm=none (0.2: 3 seeds)." in text


def test_several_keys_are_chosen_together(tmp_path: Path) -> None:
    for dropout, lr, val in ((0.0, 0.1, 0.5), (0.0, 0.2, 0.6), (0.5, 0.1, 0.9)):
        grid(tmp_path, {lr: [val] * 3}, dropout=dropout)
    table = compare(load([tmp_path]), tune=[LR, "dropout"])
    (row,) = table.rows
    assert row.choice is not None
    assert (row.choice.chosen, row.choice.missing) == ((((0.1, 0.5), 2),), 1)


def test_every_format_and_python_have_the_choice(tmp_path: Path) -> None:
    grid(tmp_path, {0.1: [0.9, 0.1, 0.0], 0.2: [0.5, 0.8, 0.9]})
    grid(tmp_path, {0.1: [0.9] * 3, 0.2: [0.5] * 3}, norm=NORMS["batch"])
    table = tuned(tmp_path)
    for write_format in (to_markdown, to_latex, to_html):
        assert "0.1 (1), 0.2 (1)" in write_format([table])
    assert cells([table]).headings[:3] == ["norm", "n", LR]
    content = json.loads(to_json([table]))
    assert content["tuning"] == {"keys": [LR], "chosen_by": "val_acc", "runs": 12}
    frame = regbench.compare(regbench.load(tmp_path), tune=LR).set_index("norm")
    assert frame.loc["batch", [LR, "tried_values", "tried_runs", "at_edge"]].tolist() == [0.1, 2, 6, f"{LR}:smallest"]
    head, *rows = to_csv([table]).splitlines()
    assert rows[0].split(",")[head.split(",").index(LR)] in ("0.1", "0.2")


def test_a_pivot_and_explain_have_the_choice(tmp_path: Path) -> None:
    for norm in ("none", "batch"):
        grid(tmp_path, {0.1: [0.9] * 3, 0.2: [0.5] * 3}, norm=NORMS[norm])
        grid(tmp_path, {0.1: [0.5] * 3, 0.2: [0.9] * 3}, norm=NORMS[norm], init=INITS["xavier"])
    pivot = cells([tuned(tmp_path, by=["init"], columns=["norm"])])
    assert [[cell.partition("(")[2] for cell in row[1:]] for row in pivot.rows] == [["at 0.1)"] * 2, ["at 0.2)"] * 2]
    behind = runs_behind(load([tmp_path]), {"norm": "batch", "init": "xavier"}, [LR])
    assert [run["seed"] for run in behind.runs] == [1, 2]
    assert {run[LR] for run in behind.runs} == {0.2}
    assert "chosen for each seed by the mean val_acc of the seeds before it, from 6 runs" in to_table(behind)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tune": ["optimizer.rl"]}, "Did you mean 'optimizer.lr'?"),
        ({"tune": ["dropout"]}, "--tune dropout: no row has several values"),
        ({"tune": [LR], "by": [LR]}, "--tune optimizer.lr: the rows are told apart by it"),
        ({"tune": ["seed"]}, "--tune seed: a seed is no technique"),
        ({"tune": [LR], "by": ["seed"]}, "--tune optimizer.lr: chooses by earlier seeds"),
    ],
)
def test_what_cannot_be_tuned_is_refused(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    grid(tmp_path, {0.1: [0.9] * 2, 0.2: [0.5] * 2})
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        compare(load([tmp_path]), **arguments)


def test_runs_without_validation_images_cannot_choose(tmp_path: Path) -> None:
    grid(tmp_path, {0.1: [0.9] * 2, 0.2: [0.5] * 2})
    frame = load([tmp_path])
    frame.frame["best_val.val_acc"] = float("nan")
    with pytest.raises(UserError, match="no run has validation images"):
        compare(frame, tune=[LR])
