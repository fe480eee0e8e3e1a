"""The answer in words: from the verdicts of the table, with its numbers."""

import re
from pathlib import Path

import pytest

from golden.records import HERE as GOLDEN
from golden.records import NORMS
from regbench.analysis.question import Question
from regbench.analysis.table import Against
from regbench.config.location import CHECKOUT
from regbench.records.frame import load
from regbench.report import glossary
from regbench.report.answer import answer
from regbench.report.content import gather
from regbench.report.glossary import glossary as glossary_of
from report.conftest import HOSTILE, add

AGAINST = Against(("norm=none",))


def test_the_answer_says_what_the_verdicts_say(runs: Path) -> None:
    found = answer(Question(load([runs]), against=AGAINST).table())
    assert found.question == "Does the normalization change the test accuracy, compared with norm=none?"
    assert found.short == f"Better than norm=none: batch. Undecided: {HOSTILE}."
    batch, other = found.sentences
    # The differences are 2 + s²/10 - s/10 points, for s from 0 to 7: 3.4 on average
    assert batch.startswith("batch is better: +3.40 points (95 % interval +")
    assert batch.endswith("ahead in 8 of 8 seeds, p 0.016.")
    assert re.search(r" is undecided: 0\.00 points .*, ahead in 4 of 8 seeds", other)


def test_every_row_of_a_table_with_a_margin_has_a_sentence() -> None:
    table = Question(load([GOLDEN / "verdicts"]), against=Against(("norm=none",), 0.5)).table()
    found = answer(table)
    assert found.short == "Equivalent to norm=none: batch; instance; group; rms; layer."
    assert len(found.sentences) == len(table.rows) - 1
    assert "layer is equivalent: -0.29 points (95 % interval -0.34 to -0.23), ahead in 0 of 10 seeds" in str(found)


def test_runs_that_diverge_are_said_to(tmp_path: Path) -> None:
    for seed in range(6):
        add(tmp_path, 0.9, seed)
        add(tmp_path, None, seed, "diverged", norm=NORMS["batch"], dropout=0.5)
        add(tmp_path, 0.9, seed, dropout=0.5)
    found = answer(Question(load([tmp_path]), ["norm", "dropout"], against=Against(("norm=none",))).table())
    assert (
        found.question
        == "Does the normalization change the test accuracy, compared with norm=none, at each dropout rate?"
    )
    assert found.short == "Always diverges: batch, 0.5."
    assert found.sentences == ("batch, 0.5 always diverges (6 of 6 runs): p 0.031.",)


def test_without_a_baseline_the_best_is_named_and_nothing_is_claimed(runs: Path) -> None:
    found = answer(Question(load([runs])).table())
    assert found.question == "Which normalization has the best test accuracy?"
    assert found.short.startswith("batch has the best mean, 93.75 % (95 % interval ") and "--baseline" in found.short
    assert not found.sentences


@pytest.mark.slow
def test_the_default_run_is_the_baseline_where_there_is_one(runs: Path, tmp_path: Path) -> None:
    found = gather(Question(load([runs])), "regbench report")
    assert found.answer.question.endswith("compared with default (norm=none)?")
    add(tmp_path / "one", 0.9, 0, norm=NORMS["batch"])
    alone = gather(Question(load([tmp_path / "one"])), "regbench report")
    assert alone.table.contrast is None and alone.answer.short == "90.00 % (n = 1)"


def test_the_statistics_are_explained_in_the_words_of_the_documentation() -> None:
    page = " ".join((CHECKOUT / "docs/statistics.md").read_text("utf-8").split())
    texts = {name: text for name, text in vars(glossary).items() if name.isupper() and isinstance(text, str)}
    assert len(texts) == 8
    assert [name for name, text in texts.items() if text.removesuffix(".") not in page] == []


@pytest.mark.parametrize(("anytime", "expected"), [(False, "p"), (True, "p, interval")])
def test_only_what_stands_in_the_table_is_explained(runs: Path, anytime: bool, expected: str) -> None:
    against = Against(("norm=none",), anytime=anytime)
    headings = [heading for heading, _ in glossary_of(Question(load([runs]), against=against).table())]
    assert expected in headings and "undecided (n)" in headings and "equivalent" not in headings
