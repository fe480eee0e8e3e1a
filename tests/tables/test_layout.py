"""The plain layout of a table, and CSV."""

import csv
import io

import pytest

from regbench.tables.layout import Cells, csv_text, lay_out

CELLS = Cells(["name", "n", "path"], [["a", "7", "x/y"], ["longer", "12345", ""]], figures=range(1, 2))


def test_words_stand_left_and_figures_right() -> None:
    assert lay_out(CELLS) == ["name        n  path", "a           7  x/y", "longer  12345"]


def test_a_table_without_rows_is_its_headings() -> None:
    assert lay_out(Cells(["a", "bc"], [], figures=range(2))) == ["a  bc"]


@pytest.mark.parametrize(("room", "length"), [(None, 100), (200, 100), (60, 57), (10, 24)])
def test_the_last_column_is_shortened_in_its_middle_to_fit(room: int | None, length: int) -> None:
    path = "".join(chr(ord("a") + place % 26) for place in range(100))
    line = lay_out(Cells(["a", "p"], [["-", path]], figures=range(0)), room)[1]
    shown = line.removeprefix("-  ")
    assert len(shown) == length
    assert shown == path or shown == f"{path[: len(shown) - 17]}…{path[-16:]}"


def test_csv_holds_every_digit_and_leaves_unknown_cells_empty() -> None:
    text = csv_text(["a", "b", "c"], [{"a": 0.1 + 0.2, "b": None}, {"c": 'say "x", y', "a": True}])
    assert text == 'a,b,c\n0.30000000000000004,,\nTrue,,"say ""x"", y"\n'
    assert next(csv.DictReader(io.StringIO(text))) == {"a": "0.30000000000000004", "b": "", "c": ""}
