"""Runs that a search chose: marked, listed, and not taken for independent figures."""

from pathlib import Path
from typing import Any

import pytest

from golden.records import NORMS, record, write
from regbench.analysis.effects import effects
from regbench.analysis.summary import compare
from regbench.analysis.table import Against
from regbench.records.frame import Runs, load
from regbench.records.listing import listing
from regbench.tables.footer import footer
from regbench.tables.record import to_frame


def searched(tmp_path: Path) -> Runs:
    """Three seeds each of two norms, chosen by a search, and a trial that it gave up."""
    for place, norm in enumerate(("none", "batch")):
        for seed in range(3):
            content = record(seed=seed, norm=NORMS[norm], test_acc=0.9 + 0.01 * place + 0.001 * seed)
            write(tmp_path, content | {"search": trial(3 * place + seed, "complete")}, f"{norm}{seed}")
    pruned = record("interrupted", seed=3) | {"error": "pruned by the search after epoch 1"}
    write(tmp_path, pruned | {"search": trial(6, "pruned")}, "pruned")
    return load([tmp_path])


def trial(number: int, state: str) -> dict[str, Any]:
    return {"name": "default-0badcafe", "trial": number, "state": state}


def test_searched_runs_have_no_interval_unless_asked_for(tmp_path: Path) -> None:
    against = Against(["norm=none"])
    table = compare(searched(tmp_path), ["norm"], against=against)
    assert [row.estimate.half_width for row in table.rows] == [None, None]
    assert {row.comparison.verdict for row in table.rows if row.comparison} == {"baseline", "not tested"}
    assert "A search chose 6 of 6 completed runs by the figures of others: no interval, no test." in "\n".join(
        footer(table)
    )
    wanted = compare(load([tmp_path]), ["norm"], against=against, searched=True)
    assert all(row.estimate.half_width for row in wanted.rows)
    assert "intervals and verdicts do not account for that" in "\n".join(footer(wanted))


def test_effects_of_searched_runs_have_shares_and_no_p_unless_asked_for(tmp_path: Path) -> None:
    searched(tmp_path)
    for seed, figure in enumerate((0.9, 0.93, 0.91)):
        write(tmp_path, record(seed=seed, norm=NORMS["layer"], test_acc=figure), f"layer{seed}")
    runs = load([tmp_path])
    plain, wanted = effects(runs, ["norm"]), effects(runs, ["norm"], as_if_fixed=True)
    assert all(term.f is None and term.p is None and term.p_adjusted is None for term in plain.terms)
    assert [term.share for term in plain.terms] == [term.share for term in wanted.terms]
    assert wanted.terms[0].p == pytest.approx(wanted.terms[0].p_adjusted)
    chosen = "A search chose 6 of 9 completed runs by the figures of others: "
    assert plain.notes[-1] == f"{chosen}no F, no p. --searched shows them all the same."
    assert wanted.notes[-1] == f"{chosen}F and p do not account for that."


def test_ordinary_runs_have_intervals_beside_the_trials_that_where_leaves_out(tmp_path: Path) -> None:
    searched(tmp_path)
    for seed in range(3):
        write(tmp_path, record(seed=seed, norm=NORMS["layer"], test_acc=0.9 + 0.001 * seed), f"layer{seed}")
    (row,) = compare(load([tmp_path]), ["norm"], where="norm == layer").rows
    assert row.estimate.half_width
    table = compare(load([tmp_path]), ["norm"], where="search == 'default-0badcafe' and trial >= 3")
    assert [row.group["norm"] for row in table.rows] == ["batch", "none"]


def test_pruned_is_an_end_of_its_own(tmp_path: Path) -> None:
    table = compare(searched(tmp_path), ["norm"])
    assert table.lost == {"diverged": 0, "failed": 0, "unfinished": 0, "pruned": 1}
    assert list(to_frame([table])["pruned"]) == [0, 1]
    runs = listing([tmp_path])
    assert [entry.path.name for entry in runs.only(["pruned"]).entries] == ["pruned"]
    assert not runs.only(["interrupted"]).entries
    assert [entry.path.name for entry in runs.only(where=["search == 'default-0badcafe' and trial == 4"]).entries] == [
        "batch1"
    ]
    assert "search" not in runs.differing
