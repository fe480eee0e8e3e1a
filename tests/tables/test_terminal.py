"""The table in every format: byte for byte over the committed runs, and the corners that those do not reach."""

import csv
import io
import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.cells import cell_len
from rich.console import Console

from golden.records import HERE as GOLDEN
from golden.records import NORMS, SETS, record, write
from regbench.analysis import inference
from regbench.analysis.summary import compare
from regbench.analysis.table import Table
from regbench.records.frame import Runs, load
from regbench.records.metrics import METRICS
from regbench.tables import contrast_notes, footer, formats, terminal
from regbench.tables.cells import cells
from regbench.tables.choices import SUMMARY_FORMATS

EXPECTED = {"csv": "csv", "md": "md", "latex": "tex", "json": "json", "html": "html"}


@pytest.fixture
def golden(monkeypatch: pytest.MonkeyPatch) -> Table:
    monkeypatch.chdir(GOLDEN)
    return compare(load())


def printed(table: Table, width: int = 80, **settings: Any) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, **settings)
    terminal.table(table, console)
    return console.file.getvalue()


def table_of(tmp_path: Path, *records: dict[str, Any], **arguments: Any) -> Table:
    for number, content in enumerate(records):
        write(tmp_path, content, f"run{number:02}")
    return compare(load([tmp_path]), **arguments)


def test_terminal(golden: Table) -> None:
    assert printed(golden) == (GOLDEN / "expected.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SUMMARY_FORMATS)
def test_format(name: str, golden: Table) -> None:
    expected = (GOLDEN / f"expected.{EXPECTED[name]}").read_bytes()
    assert getattr(formats, SUMMARY_FORMATS[name])(golden).encode() == expected


@pytest.mark.parametrize("name", SETS)
def test_the_committed_runs_are_those_of_the_generator(name: str, tmp_path: Path) -> None:
    SETS[name](tmp_path)
    files = {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    committed = {str(p.relative_to(GOLDEN / name)): p.read_bytes() for p in GOLDEN.glob(f"{name}/**/*") if p.is_file()}
    assert files == committed


def test_every_format_holds_what_the_terminal_shows(golden: Table) -> None:
    found = cells(golden)
    csv_rows = pd.read_csv(io.StringIO(formats.to_csv(golden))).to_dict("records")
    json_rows = json.loads(formats.to_json(golden))["rows"]
    for shown, from_csv, from_json in zip(found.rows, csv_rows, json_rows, strict=True):
        shown_cells = dict(zip(found.headings, shown, strict=True))
        for row in (from_csv, from_json):
            names = {"test_acc %": "mean", "±": "ci95"}
            for heading, cell in shown_cells.items():
                value = row[names.get(heading, heading)]
                if heading in ("test_acc %", "±", "best", "worst"):
                    assert cell == ("" if value is None or value != value else f"{100 * value:.2f}")
                else:
                    assert cell == str(value)


def test_numbers_survive_the_round_trip(golden: Table) -> None:
    from_csv = list(csv.DictReader(io.StringIO(formats.to_csv(golden))))
    from_json = json.loads(formats.to_json(golden))["rows"]
    for row, text, value in zip(golden.rows, from_csv, from_json, strict=True):
        assert value["mean"] == row.estimate.mean
        assert (float(text["mean"]) if text["mean"] else None) == row.estimate.mean
        assert (value["ci95_low"] is None) == (row.estimate.n < 2)


def test_values_are_written_as_on_the_command_line(tmp_path: Path) -> None:
    odd = {"model": {"name": "mlp", "hidden": [64]}, "clip_norm": 1e-05, "drop_last": True, "data": {"name": "mnist"}}
    by = ["model.hidden", "clip_norm", "drop_last", "data.train_size"]
    table = table_of(tmp_path, record(test_acc=0.9), record(**odd), by=by)
    assert [row[:4] for row in cells(table).rows] == [
        ["[64]", "1e-05", "true", "-"],
        ["[256,256]", "null", "false", "null"],
    ]
    assert formats.to_csv(table).splitlines()[1].startswith("[64],1e-05,true,,test_acc,")
    assert formats.to_csv(table).splitlines()[2].startswith('"[256,256]",null,false,null,test_acc,')
    rows = json.loads(formats.to_json(table))["rows"]
    assert [rows[0][key] for key in by[:3]] == [[64], 1e-05, True]
    assert by[3] not in rows[0]
    assert [rows[1][key] for key in by] == [[256, 256], None, False, None]


FRAME = str.maketrans("", "", "─-")  # the rule, and the hyphen of a folded heading
KEYS = ("norm", "init", "optimizer.lr", "model.hidden", "optimizer.betas")


@pytest.mark.parametrize("number", range(1, 6))
@pytest.mark.parametrize("width", [30, 80, 200])
def test_nothing_is_cut(number: int, width: int) -> None:
    table = compare(load([GOLDEN / "runs"]), KEYS[:number])
    text = printed(table, width).split("\n\n")[0]
    found = cells(table)
    texts = "".join("".join(row) for row in (found.headings, *found.rows))
    assert Counter("".join(text.split()).translate(FRAME)) == Counter("".join(texts.split()).translate(FRAME))
    for row in found.rows:
        assert all(figure in text.split() for figure in row[number:] if figure)
    if (number < 5 and width == 80) or width == 200:
        assert max(map(cell_len, text.splitlines())) <= width


def test_styles_never_reach_a_file_or_a_terminal_without_colour(golden: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in printed(golden)
    assert "\x1b[1m" in printed(golden, force_terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[\d;]*[34]\d", printed(golden, force_terminal=True))


def test_every_end_but_completed_has_a_column(tmp_path: Path) -> None:
    table = table_of(tmp_path, record(), record("failed", seed=1))
    found = cells(table)
    assert found.headings[-3:] == ["diverged", "failed", "unfinished"]
    assert found.rows[0][-3:] == ["0", "1", "0"]
    assert "2 runs read: 1 completed, 0 diverged, 1 failed, 0 unfinished." in printed(table)


def test_markup_and_control_characters_are_only_text(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path, record(seed=seed))
    frame = load([tmp_path]).frame.assign(study=["[bold]a|b", "\x1b[2Jc\nd", ":warning:"])
    table = compare(Runs(frame), ["study"])
    text = printed(table, force_terminal=True, color_system=None)
    assert all(value in text for value in ("[bold]a|b", r"'\x1b[2Jc\nd'", ":warning:"))
    assert "\x1b[2J" not in text
    assert r"| [bold]a\|b" in formats.to_markdown(table)
    assert len(formats.to_latex(table).splitlines()) == 9 + len(footer.footer(table))


def test_latex_escapes_what_it_must(tmp_path: Path) -> None:
    text = formats.to_latex(table_of(tmp_path, record(norm={"name": "a_b%&#$"}), record()))
    assert r"a\_b\%\&\#\$" in text
    assert r"test\_acc \%" in text
    assert r"$\pm$" in text


def test_five_seeds_that_can_prove_nothing_are_said_to(tmp_path: Path) -> None:
    assert inference.fewest_pairs(inference.ALPHA) == contrast_notes.ENOUGH
    line = "n ≤ 5: no exact paired test between rows can reach 0.05; 6 seeds can."
    runs = [record(norm=NORMS[norm], seed=seed) for norm in ("none", "batch") for seed in range(6)]
    assert line not in footer.footer(table_of(tmp_path / "six", *runs))
    assert line in footer.footer(table_of(tmp_path / "five", *runs[:-1]))
    assert line not in footer.footer(table_of(tmp_path / "one", *runs[:5]))  # one row, nothing to compare with


def test_seeds_that_a_row_lacks_are_missing(tmp_path: Path) -> None:
    runs = [record(norm=NORMS["none"], seed=seed) for seed in range(3)] + [
        record("failed", norm=NORMS["batch"], seed=1)
    ]
    table = table_of(tmp_path, *runs)
    assert {row.group["norm"]: row.missing for row in table.rows} == {"none": 0, "batch": 2}
    assert "2 runs missing, of seeds that other rows have: 2 of norm=batch." in footer.footer(table)
    assert [row.missing for row in compare(load([tmp_path]), ["seed"]).rows] == [0, 0, 0]


def test_footer_says_where_the_figures_come_from(tmp_path: Path) -> None:
    table = table_of(tmp_path, record())
    assert footer.footer(table)[0] == "test_acc in %, at the epoch with the best validation loss."
    assert footer.footer(replace(table, select="last"))[0] == "test_acc in %, at the last epoch."
    loss = replace(table, metric=METRICS["val_loss"], without_validation=1)
    assert footer.footer(loss)[0].startswith(
        "val_loss, at the epoch with the best validation loss, the last one for runs"
    )
    seconds = replace(table, metric=METRICS["seconds"], select=None)
    assert footer.footer(seconds)[:2] == ["seconds, of the whole run.", "±: 95 % t interval of the mean over seeds."]


def test_footer_says_what_is_not_in_the_figures(tmp_path: Path) -> None:
    table = table_of(tmp_path, record())
    spoilt = replace(
        table, without_figure=2, averaged=("init",), duplicates=("a",), unreadable=tuple(map(str, range(5)))
    )
    assert footer.footer(spoilt)[1:] == [
        "±: 95 % t interval of the mean over the runs of a row, in percentage points.",
        "n = 1: one seed has no interval.",
        "The runs of a row also differ in init: --by shows them apart.",
        "1 run read: 1 completed, 0 diverged, 0 failed, 0 unfinished; 1 duplicate left out.",
        "2 of the completed runs have no finite test_acc and are not in n.",
        "5 unreadable: 0, 1, 2 and 2 more",
    ]


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        ("test_acc", 0.98765, "98.77"),
        ("test_acc", 1.0, "100.00"),
        ("test_acc", 0.0, "0.00"),
        ("test_acc", 0.000012, "0.0012"),
        ("test_loss", 0.123456, "0.1235"),
        ("test_loss", 1.234e-07, "1.23e-07"),
        ("test_loss", 1.234e9, "1.23e+09"),
        ("epoch", 4.0, "4.0"),
        ("seconds", 12.345, "12.35"),
    ],
)
def test_figures_are_readable(metric: str, value: float, expected: str, tmp_path: Path) -> None:
    table = table_of(tmp_path, record())
    row = replace(table.rows[0], best=value)
    found = cells(replace(table, metric=METRICS[metric], rows=(row,)))
    assert dict(zip(found.headings, found.rows[0], strict=True))["best"] == expected


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here to open the page")
def test_a_browser_shows_the_page(tmp_path: Path) -> None:
    """Opened as a file, whose encoding only the page itself tells."""
    (tmp_path / "verdicts.html").write_bytes((GOLDEN / "verdicts.html").read_bytes())
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom")
    page = subprocess.run(
        [str(BROWSER), *options, (tmp_path / "verdicts.html").as_uri()], capture_output=True, check=True, timeout=60
    ).stdout.decode()
    assert page.count("<tr>") == 7
    assert re.search(r"<th[^>]*> *±</th>", page)
    assert page.count("<li>") == len((GOLDEN / "verdicts.md").read_text(encoding="utf-8").split("\n- ")) - 1
