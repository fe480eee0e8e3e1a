"""--tune, --anytime and --shrink in pictures: the numbers of the table, or one line where they mean nothing."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from golden.records import CONFIG, NORMS, record, write
from regbench.analysis.question import Question
from regbench.analysis.table import Against, Row, Table
from regbench.errors import UserError
from regbench.figures import style
from regbench.figures.choices import KINDS
from regbench.figures.fitting import check
from regbench.figures.kinds import draw
from regbench.figures.wishes import Wishes
from regbench.records.frame import Runs, load

LRS, SEEDS = (0.1, 0.01), range(8)
TUNED = {"tune": ["optimizer.lr"]}
TAKEN = {
    "--tune": {"forest", "dots", "box", "heatmap", "interaction", "sensitivity", "cd"},
    "--anytime": {"forest", "heatmap"},
    "--shrink": {"box", "heatmap"},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Three norms × two rates × two rates of dropout × eight seeds; the better rate of none is the other one."""
    folder, noise = tmp_path_factory.mktemp("runs"), random.Random(0)
    for place, norm in enumerate(NORMS):
        for lr in LRS:
            for dropout in (0.0, 0.5):
                for seed in SEEDS:
                    accuracy = 0.8 + 0.003 * place + 0.02 * ((norm == "none") == (lr == 0.1)) + noise.gauss(0, 0.004)
                    changes = {"norm": NORMS[norm], "optimizer": CONFIG["optimizer"] | {"lr": lr}}
                    content = record(test_acc=accuracy, dropout=dropout, seed=seed, **changes)
                    write(folder, content, f"{norm}-{lr}-{dropout}-{seed}")
    return load([folder])


def asked(runs: Runs, *, by: Sequence[str] = ("norm",), anytime: bool = False, baseline: bool = False, **rest: Any):
    where = rest.pop("where", "dropout == 0")
    against = Against(("norm=none",), anytime=anytime) if baseline or anytime else None
    return Question(runs, by=by, where=where, against=against, **rest)


def drawn(kind: str, question: Question) -> tuple[Figure, Table]:
    check([kind], question, Wishes())
    with style.applied():
        return draw(kind, question, Wishes(), lambda *_: np.zeros(0, np.uint8)), question.table()


def caption(figure: Figure) -> str:
    return " ".join(figure.get_supxlabel().split())


def compared(table: Table) -> list[Row]:
    return [row for row in table.rows if row.comparison and row.comparison.verdict != "baseline"]


def names(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


@pytest.mark.slow
def test_a_forest_of_tuned_rows_has_their_differences_and_names_the_chosen_values(runs: Runs) -> None:
    figure, table = drawn("forest", asked(runs, baseline=True, **TUNED))
    rows = compared(table)
    marks = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    assert marks == pytest.approx([100 * (row.comparison.difference or 0) for row in rows if row.comparison])
    assert names(figure) == [f"{row.group['norm']} at 0.01" for row in rows]
    assert "Learning rate: chosen for each seed by the mean validation accuracy of the seeds before it." in caption(
        figure
    )
    plain, _ = drawn("forest", asked(runs, baseline=True, where="dropout == 0 and optimizer.lr == 0.1"))
    assert marks != pytest.approx(
        [line.get_xdata()[0] for line in plain.axes[0].lines if line.get_linestyle() == "None"]
    )


def test_a_forest_valid_at_any_time_has_the_confidence_sequences(runs: Runs) -> None:
    figure, table = drawn("forest", asked(runs, anytime=True, **TUNED))
    bars = [line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata()) == 2][1:]
    sequences = [row.comparison.sequence for row in compared(table) if row.comparison]
    assert all(sequences)
    assert [tuple(bar) for bar in bars] == [pytest.approx([100 * end for end in ends or ()]) for ends in sequences]
    assert "line: 95 % confidence sequence" in caption(figure)
    assert "Verdicts: bets on signs, valid at any number of seeds" in caption(figure)


def test_boxes_have_the_tuned_runs_and_the_shrunk_means(runs: Runs) -> None:
    figure, table = drawn("box", asked(runs, shrink=True, **TUNED))
    lines = figure.axes[0].lines
    dots = [list(line.get_xdata()) for line in lines if line.get_marker() == "o"]
    assert dots == [pytest.approx([100 * value for _, value in row.figures]) for row in table.rows]
    assert all(len(row.figures) == len(SEEDS) - 1 for row in table.rows)  # the first seed only chooses
    diamonds = [line.get_xdata()[0] for line in lines if line.get_marker() == "D"]
    assert diamonds == pytest.approx([100 * (row.shrunk or 0) for row in table.rows])
    assert any(row.shrunk != row.estimate.mean for row in table.rows)
    assert "Diamonds: means drawn to each other as far as noise explains their spread" in caption(figure)
    plain, _ = drawn("box", asked(runs))
    assert not [line for line in plain.axes[0].lines if line.get_marker() == "D"]


@pytest.mark.parametrize("changes", [TUNED, {"shrink": True}, {**TUNED, "anytime": True}], ids=str)
def test_a_map_has_the_numbers_of_the_table(changes: dict[str, Any], runs: Runs) -> None:
    figure, table = drawn("heatmap", asked(runs, columns=["dropout"], where=None, **changes))
    values = {
        tuple(row.group.values()): row.comparison.difference or 0.0
        if row.comparison
        else (row.shrunk if table.shrink else row.estimate.mean)
        for row in table.rows
    }
    image = figure.axes[0].images[0].get_array().filled(np.nan)
    expected = [[100 * values[norm, dropout] for dropout in (0.0, 0.5)] for norm in ("batch", "layer", "none")]
    assert image == pytest.approx(np.array(expected))
    written = [text.get_text().split()[0].replace("−", "-") for text in figure.axes[0].texts]
    assert sorted(written) == sorted(
        (table.metric.signed if table.contrast else table.metric.text)(value) for value in values.values()
    )
    signs = {text.get_text().split()[-1] for text in figure.axes[0].texts} if table.contrast else set()
    assert all(f"{sign} " in caption(figure) for sign in signs)


@pytest.mark.parametrize("kind", ["dots", "interaction", "sensitivity", "cd"])
def test_other_pictures_of_tables_tune_too(kind: str, runs: Runs) -> None:
    by = ["norm"] if kind in ("dots", "cd") else ["dropout", "norm"]
    where = "dropout == 0" if kind in ("dots", "cd") else None
    figure, table = drawn(kind, asked(runs, by=by, where=where, baseline=kind == "dots", **TUNED))
    means = sorted(100 * (row.estimate.mean or 0) for row in table.rows)
    if kind == "cd":
        assert "n = 7 seeds" in caption(figure) and any("batch at 0.01" in t.get_text() for t in figure.axes[0].texts)
    elif kind == "dots":
        ends = [line.get_ydata()[1] for line in figure.axes[0].lines if len(line.get_ydata()) == 2]
        assert ends == pytest.approx([100 * value for row in compared(table) for _, value in row.figures])
    else:
        lines = [line for line in figure.axes[0].lines if len(line.get_ydata()) == 2 and line.get_marker() in "os^"]
        assert sorted(np.concatenate([line.get_ydata() for line in lines])) == pytest.approx(means)


@pytest.mark.parametrize("option", TAKEN)
@pytest.mark.parametrize("kind", KINDS)
def test_where_an_option_means_nothing_one_line_says_which_kinds_take_it(option: str, kind: str, runs: Runs) -> None:
    changes = {"--tune": TUNED, "--anytime": {"anytime": True}, "--shrink": {"shrink": True}}[option]
    question = asked(runs, **changes)
    if kind in TAKEN[option]:
        check([kind], question, Wishes())
        return
    with pytest.raises(UserError, match=rf"^{option}.*: means nothing to plot {kind}\. {option} is for \w+, "):
        check(["box", kind] if option != "--anytime" else ["forest", kind], question, Wishes())


def test_differences_are_not_shrunk_and_wishes_are_for_a_kind_that_sees_them(runs: Runs) -> None:
    with pytest.raises(UserError, match="--shrink: plot heatmap with a --baseline shows differences"):
        check(["heatmap"], asked(runs, baseline=True, shrink=True), Wishes())
    check(["box", "curves"], asked(runs), Wishes(x="step", log="y", each=True))
    for wishes, said in ((Wishes(x="step"), "--x step"), (Wishes(log="y"), "--log y"), (Wishes(each=True), "--each")):
        with pytest.raises(UserError, match=f"^{said}: means nothing to plot box forest. --.* is for curves"):
            check(["box", "forest"], asked(runs), wishes)
