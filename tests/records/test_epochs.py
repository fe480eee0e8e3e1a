"""metrics.csv, as the program writes it and as editors save it again."""

from collections.abc import Callable
from pathlib import Path

import pytest

import regbench
from golden.records import EPOCHS, record, write, write_metrics
from regbench.errors import UserError
from regbench.experiment.reporter import Reporter
from regbench.experiment.reproduce import reproduce
from regbench.records import epochs


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = write(tmp_path, record())
    write_metrics(path, 10)
    return path


def resave(run: Path, change: Callable[[str], str], encoding: str = "utf-8") -> None:
    file = run / "metrics.csv"
    file.write_bytes(change(file.read_text()).encode(encoding))


@pytest.mark.parametrize(
    ("change", "encoding"),
    [
        (lambda text: text, "utf-8-sig"),
        (lambda text: text.replace("\n", "\r\n"), "utf-8-sig"),
        (str.rstrip, "utf-8"),
        (lambda text: text.replace("\n", "\r\n").rstrip(), "utf-8-sig"),
    ],
    ids=["mark", "mark and CRLF", "no last line break", "all of it"],
)
def test_the_same_numbers_are_read(change: Callable[[str], str], encoding: str, run: Path) -> None:
    before = epochs.read(run)
    resave(run, change, encoding)
    assert epochs.read(run, completed=True) == before
    assert len(before) == EPOCHS
    assert epochs.fault(run, EPOCHS) is None
    table = regbench.compare(regbench.load(run), metric="weight_norm:lower")
    assert table["mean"].tolist() == [14]


def test_a_torn_last_line_of_a_run_that_is_not_completed_is_left_out(run: Path) -> None:
    resave(run, lambda text: text[:-2])
    assert len(epochs.read(run)) == EPOCHS - 1


@pytest.mark.parametrize(
    ("change", "encoding", "reason"),
    [
        (lambda text: text.replace(",", ";").replace(".", ","), "utf-8-sig", "its columns are separated by semicolons"),
        (lambda text: text.replace(",", "\t"), "utf-8", "its columns are separated by tabs, not by commas"),
        (lambda text: text, "utf-16", "is not UTF-8 text"),
        (lambda text: text.replace("3,", "x,", 1), "utf-8", "holds 2 of 5 epochs"),
        (lambda text: "", "utf-8", "holds 0 of 5 epochs"),
    ],
    ids=["decimal comma", "tabs", "UTF-16", "a broken line", "empty"],
)
def test_what_cannot_be_read_says_so(change: Callable[[str], str], encoding: str, reason: str, run: Path) -> None:
    resave(run, change, encoding)
    with pytest.raises(UserError) as mistake:
        reproduce(run, Reporter("off"))
    assert str(mistake.value).startswith(f"{run / 'metrics.csv'} cannot be read: {reason}")
    other = write(run.parents[1], record(seed=1), "other")
    write_metrics(other, 20)
    table = regbench.compare(regbench.load(run.parents[1]), metric="weight_norm:lower")
    assert any(f"1 unreadable: {run / 'metrics.csv'} cannot be read ({reason}" in note for note in table.attrs["notes"])


def test_curves_name_what_they_could_not_read(run: Path) -> None:
    other = write(run.parents[1], record(seed=1), "other")
    write_metrics(other, 20)
    resave(run, lambda text: text.replace(",", ";"))
    frame = regbench.curves(run.parents[1])
    assert set(frame["path"]) == {str(other)}
    assert list(frame.attrs["unreadable"]) == [str(run / "metrics.csv")]
    with pytest.raises(
        UserError, match=r"none of 1 runs has a metrics.csv: .*metrics.csv cannot be read \(its columns"
    ):
        regbench.curves(run)
    with pytest.raises(
        UserError, match=r"has a metrics.csv that can be read: .*metrics.csv cannot be read \(its columns"
    ):
        regbench.compare(regbench.load(run), metric="weight_norm:lower")
