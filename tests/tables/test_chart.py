"""Learning curves in the terminal."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from golden.records import HERE as GOLDEN
from golden.records import NORMS, record, write
from regbench.analysis.curves import curves
from regbench.analysis.question import Question
from regbench.cli import group
from regbench.errors import UserError
from regbench.records.frame import load
from regbench.tables import chart


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for norm, last in (("none", 0.5), ("batch", 1.0)):
        run = write(tmp_path, record(norm=NORMS[norm]))
        (run / "metrics.csv").write_text(f"epoch,val_acc\n1,0.0\n2,{last / 2}\n3,{last}\n")
    return tmp_path


def drawn(runs: Path, width: int, encoding: str = "utf-8", colour: bool = False) -> list[str]:
    content = io.BytesIO()
    file = io.TextIOWrapper(content, encoding)
    console = Console(file=file, width=width, force_terminal=colour, color_system="standard" if colour else None)
    chart.show(curves(Question(load([runs]))), console)
    file.flush()
    return content.getvalue().decode(encoding).splitlines()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_chart_has_the_width_of_the_terminal_and_a_mark_for_each_epoch(runs: Path, width: int) -> None:
    title, *lines = drawn(runs, width)
    assert title == "val_acc in % by epoch"
    assert lines[-2:] == ["● batch: 100, n = 1", "■ none: 50, n = 1"]
    plot, axis = lines[:-3], lines[-3]
    assert max(map(len, plot)) <= width and len(axis) == width - 1
    assert plot[0].replace("·", " ") == "      100│" + " " * (width - 12) + "●"
    assert plot[7].startswith("       50│") and plot[7].count("●") == plot[7].count("■") == 1
    assert plot[14][:11] == "        0│■"  # both begin here, and the later line is above
    assert axis.split() == ["1", "3"]


def test_without_unicode_or_with_colour(runs: Path) -> None:
    plain = drawn(runs, 60, "ascii")
    assert "o batch: 100, n = 1" in plain and "#" in "".join(plain[1:16])
    assert "\x1b[34m" in "".join(drawn(runs, 60, colour=True))


def test_the_command(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, code in ((("curves", str(runs), "--by", "norm"), 0), (("curves", str(GOLDEN / "runs")), 2)):
        with pytest.raises(SystemExit) as end:
            group.main(list(words))
        assert int(end.value.code or 0) == code
    printed = capsys.readouterr()
    assert "batch: 100, n = 1" in printed.out
    assert printed.err == "error: none of the completed runs has a metrics.csv that can be read\n"


def test_lines_without_a_mark_of_their_own_are_refused(tmp_path: Path) -> None:
    for number in range(9):
        (write(tmp_path, record(dropout=number / 100)) / "metrics.csv").write_text("epoch,val_acc\n1,0.5\n")
    with pytest.raises(UserError, match="curves: 9 lines are too many"):
        drawn(tmp_path, 80)
