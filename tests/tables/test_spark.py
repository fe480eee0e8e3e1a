"""Small curves beside the rows of a table."""

from pathlib import Path

import pytest

from golden.records import HERE as GOLDEN
from golden.records import NORMS, record, write
from regbench.analysis.curves import curves
from regbench.analysis.question import Question
from regbench.cli import group
from regbench.records.frame import load
from regbench.tables.spark import spark, sparks


def test_heights_are_in_proportion_from_the_least_to_the_greatest() -> None:
    assert spark([0, 1, 7], 0, 7) == "▁▂█"
    assert spark([2, 2], 2, 2) == "▁▁"
    assert spark([0, 7], 0, 7, ascii_only=True) == "_#"


def test_all_rows_are_on_one_scale_in_the_order_of_the_table(tmp_path: Path) -> None:
    for norm, accuracies in {"none": (0.5, 0.6), "batch": (0.5, 1.2), "layer": ()}.items():
        run = write(tmp_path, record(test_acc=0.9 if norm == "none" else 0.8, norm=NORMS[norm]))
        rows = "".join(f"{epoch},{value}\n" for epoch, value in enumerate(accuracies, 1))
        (run / "metrics.csv").write_text(f"epoch,val_acc\n{rows}")
    question = Question(load([tmp_path]))
    found = sparks(curves(question), question.table())
    assert found.texts == ("▁▂", "▁█", "")
    assert found.note == "curve: mean val_acc of epochs 1 to 2, all rows on one scale, 50.00 to 120.00."
    assert sparks(curves(question), question.table(), ascii_only=True).texts == ("_.", "_#", "")


def test_the_summary_shows_them(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    words = ["summary", str(GOLDEN / "verdicts"), "--spark", "--metric", "train_loss", "--baseline", "norm=none"]
    with pytest.raises(SystemExit):
        group.main(words)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["norm", "curve"]
    assert all("█▄▂▁▁" in line for line in lines[2:8])
    with pytest.raises(SystemExit):
        group.main([*words, "--cols", "norm"])
    assert "--spark: a pivot has no room for curves" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        group.main([*words, "--tune", "dropout"])
    assert "--spark: a row may have other tuned values at each seed" in capsys.readouterr().err
