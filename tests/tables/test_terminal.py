"""The table in every format: byte for byte over the committed runs, and the corners that those do not reach."""

import csv
import io
import json
import re
import shutil
import statistics
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.cells import cell_len
from rich.console import Console

from golden.records import CHANGES, CONFIG, NORMS, SETS, generate_everything, record, write
from golden.records import HERE as GOLDEN
from regbench.analysis import inference
from regbench.analysis.groups import differing
from regbench.analysis.summary import compare
from regbench.analysis.table import Against, Table
from regbench.errors import UserError
from regbench.records.frame import Runs, load
from regbench.records.metrics import METRICS
from regbench.tables import contrast_notes, footer, formats, terminal
from regbench.tables.cells import cells
from regbench.tables.choices import SUMMARY_FORMATS
from regbench.tables.layout import Cells
from regbench.text import shown

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
    assert getattr(formats, SUMMARY_FORMATS[name])([golden]).encode() == expected


@pytest.mark.parametrize("name", SETS)
def test_the_committed_runs_are_those_of_the_generator(name: str, tmp_path: Path) -> None:
    SETS[name](tmp_path)
    files = {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    committed = {str(p.relative_to(GOLDEN / name)): p.read_bytes() for p in GOLDEN.glob(f"{name}/**/*") if p.is_file()}
    assert files == committed


def test_every_format_holds_what_the_terminal_shows(golden: Table) -> None:
    found = cells([golden])
    csv_rows = pd.read_csv(io.StringIO(formats.to_csv([golden]))).to_dict("records")
    json_rows = json.loads(formats.to_json([golden]))["rows"]
    for texts, from_csv, from_json in zip(found.rows, csv_rows, json_rows, strict=True):
        shown_cells = dict(zip(found.headings, texts, strict=True))
        for row in (from_csv, from_json):
            names = {"test_acc %": "mean", "±": "ci95"}
            assert {"diverged", "failed", "unfinished"} <= row.keys()
            for heading, cell in shown_cells.items():
                value = row[names.get(heading, heading)]
                if heading in ("test_acc %", "±", "best", "worst"):
                    assert cell == ("" if value is None or value != value else f"{100 * value:.2f}")
                else:
                    assert cell == str(value)


def test_numbers_survive_the_round_trip(golden: Table) -> None:
    from_csv = list(csv.DictReader(io.StringIO(formats.to_csv([golden]))))
    from_json = json.loads(formats.to_json([golden]))["rows"]
    for row, text, value in zip(golden.rows, from_csv, from_json, strict=True):
        assert value["mean"] == row.estimate.mean
        assert (float(text["mean"]) if text["mean"] else None) == row.estimate.mean
        assert (value["ci95_low"] is None) == (row.estimate.n < 2)


def test_values_are_written_as_on_the_command_line(tmp_path: Path) -> None:
    odd = {"model": {"name": "mlp", "hidden": [64]}, "clip_norm": 1e-05, "drop_last": True, "data": {"name": "mnist"}}
    by = ["model.hidden", "clip_norm", "drop_last", "data.train_size"]
    table = table_of(tmp_path, record(test_acc=0.9), record(**odd), by=by)
    assert [row[:4] for row in cells([table]).rows] == [
        ["[64]", "1e-05", "true", "-"],
        ["[256,256]", "null", "false", "null"],
    ]
    assert formats.to_csv([table]).splitlines()[1].startswith("[64],1e-05,true,,test_acc,")
    assert formats.to_csv([table]).splitlines()[2].startswith('"[256,256]",(null),false,(null),test_acc,')
    rows = json.loads(formats.to_json([table]))["rows"]
    assert [rows[0][key] for key in by[:3]] == [[64], 1e-05, True]
    assert by[3] not in rows[0]
    assert [rows[1][key] for key in by] == [[256, 256], None, False, None]


KEYS = ("norm", "init", "optimizer.lr", "model.hidden", "optimizer.betas")
NOTHING = "Not shown, for want of room: "


@pytest.mark.parametrize("number", range(1, 6))
@pytest.mark.parametrize("width", [30, 60, 80, 200])
def test_nothing_is_cut_and_what_is_left_out_is_said(number: int, width: int) -> None:
    table = compare(load([GOLDEN / "runs"]), KEYS[:number])
    text, notes = printed(table, width).split("\n\n")
    found = cells([table])
    said = " ".join(notes.split()).partition(NOTHING)[2].partition(".")[0]
    shown = [place for place, heading in enumerate(found.headings) if heading not in said.split(", ")]
    texts = "".join("".join(row[place] for place in shown) for row in (found.headings, *found.rows))
    assert Counter("".join(text.split())) - Counter("─" * 999) == Counter("".join(texts.split()))
    for row in found.rows:
        assert all(row[place] in text.split() for place in shown[number:] if row[place])
    if (number < 5 and width == 80) or width == 200:
        assert max(map(cell_len, text.splitlines())) <= width
        assert all(word in text.split() for row in found.rows for word in row[:number]), "no value is broken"


@pytest.mark.slow
@pytest.mark.parametrize("width", [20, 40, 60, 80, 100])
@pytest.mark.parametrize("name", ["runs", "verdicts"])
def test_headings_break_neither_in_words_nor_at_decimal_points(name: str, width: int) -> None:
    pivots = [compare(load([GOLDEN / name]), columns=["norm"], against=Against(["norm=none"]))]
    for table in (compare(load([GOLDEN / name]), KEYS[:4]), *pivots):
        head = printed(table, width).split("─")[0]
        found = cells([table])
        allowed = {
            piece for heading in (*found.headings, *found.heads) for piece in re.split(r"(?<=_)| |(?=\.\D)", heading)
        }
        whole = {*allowed, *found.headings, *found.heads, found.across}
        assert {piece for word in head.split() for piece in re.split(r"(?<=_)|(?=\.\D)", word)} <= whole


def test_a_pivot_names_its_key_once_and_fits(tmp_path: Path) -> None:
    rates = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    norms = ("none", "batch", "layer")
    runs = [
        record(
            test_acc=0.9 + seed / 1000 + (norm == "batch") / 100,
            norm=NORMS[norm],
            optimizer=CONFIG["optimizer"] | {"lr": rate},
            seed=seed,
        )
        for norm in norms
        for rate in rates
        for seed in range(6)
    ]
    table = table_of(tmp_path, *runs, by=["norm"], columns=["optimizer.lr"], against=Against(["norm=none"]))
    text, first, second = printed(table), *printed(table).split("\n\n")[:2]
    assert max(map(cell_len, text.splitlines())) <= 80
    assert first.splitlines()[0].split() == ["optimizer.lr"]
    assert [line.split() for line in (first.splitlines()[1], second.splitlines()[1])] == [
        ["norm", "0.003", "0.01", "0.03", "0.1", "0.3"],
        ["norm", "1"],
    ]
    assert [line.split()[0] for line in second.splitlines()[3:]] == ["batch", "layer", "none"]
    assert all(line.endswith(sign) for line, sign in zip(second.splitlines()[3:], "??b", strict=True))
    assert "? undecided, b baseline, by p Holm ≤ 0.05" in " ".join(text.split())


def test_a_pivot_of_too_many_columns_is_refused(tmp_path: Path) -> None:
    table = table_of(tmp_path, *(record(seed=seed) for seed in range(201)), by=["norm"], columns=["seed"])
    with pytest.raises(UserError, match=r"--cols seed: 201 columns. Name a key with 200 values at most"):
        cells([table])


def test_the_table_of_everything_fits_80_columns(tmp_path: Path) -> None:
    """128 runs, 64 rows, 14 keys: one column says what each row changes."""
    generate_everything(tmp_path)
    runs = load([tmp_path])
    assert len(differing(runs.frame)) == len(CHANGES) == 14
    for against in (None, Against(["default"])):
        table = compare(runs, against=against)
        text = printed(table)
        assert max(map(cell_len, text.splitlines())) <= 80
        grid = text.split("─\n")[1].split("\n\n")[0].splitlines()
        assert len(grid) == 64
        expected = {f"{key}={shown(value)}" for key, values in CHANGES.items() for value in values} | {"default"}
        assert {line.split()[0] for line in grid} == expected
    (base,) = [row for row in table.rows if row.comparison and row.comparison.verdict == "baseline"]
    assert base.change == "default"
    assert sum(bool(row.comparison and row.comparison.pairs == 2) for row in table.rows) == 62
    assert "diverged 2/2" in text
    rows = list(csv.DictReader(io.StringIO(formats.to_csv([table]))))
    assert len(rows) == 64
    assert {(row["change"], row["norm"], row["init"]) for row in rows} >= {("init=lsuv", "none", "lsuv")}


def test_styles_never_reach_a_file_or_a_terminal_without_colour(golden: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in printed(golden)
    assert "\x1b[1m" in printed(golden, force_terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[\d;]*[34]\d", printed(golden, force_terminal=True))


def test_an_end_that_runs_had_has_a_column(tmp_path: Path) -> None:
    table = table_of(tmp_path, record(), record("failed", seed=1))
    found = cells([table])
    assert found.headings[-3:] == ["best", "worst", "failed"], "counters that are all 0 are not shown"
    assert found.rows[0][-1] == "1"
    assert "2 runs, 1 completed, 1 failed. More: --explain." in printed(table)


def test_markup_and_control_characters_are_only_text(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path, record(seed=seed))
    frame = load([tmp_path]).frame.assign(study=["[bold]a|b", "\x1b[2Jc\nd", ":warning:"])
    table = compare(Runs(frame), ["study"])
    text = printed(table, force_terminal=True, color_system=None)
    assert all(value in text for value in ("[bold]a|b", r"'\x1b[2Jc\nd'", ":warning:"))
    assert "\x1b[2J" not in text
    assert r"| [bold]a\|b" in formats.to_markdown([table])
    assert len(formats.to_latex([table]).splitlines()) == 9 + len(footer.footer(table))


def test_cells_that_latex_would_read_as_options(tmp_path: Path) -> None:
    r"""After `\\\\` and `\midrule`, `[` begins an option and `*` a variant."""
    models = [{"name": "mlp", "hidden": hidden} for hidden in ([64], [64, 32])]
    text = formats.to_latex([table_of(tmp_path, *(record(model=model) for model in models))])
    assert not re.search(r"^\s*[\[*]", text, re.MULTILINE)
    assert "\n{}[64,32] & 1" in text
    lines = formats.latex(Cells(["*a", "b"], [["*", "-0.5"], ["-x", "<~^|±×−"]], range(1, 2)), ["note"]).splitlines()
    assert lines[2] == r"{}*a & b \\"
    assert lines[4:6] == [
        r"{}* & $-$0.5 \\",
        r"-x & \textless{}\textasciitilde{}\textasciicircum{}\textbar{}$\pm$$\times$$-$ \\",
    ]


def test_latex_escapes_what_it_must(tmp_path: Path) -> None:
    text = formats.to_latex([table_of(tmp_path, record(norm={"name": "a_b%&#$"}), record())])
    assert r"a\_b\%\&\#\$" in text
    assert r"test\_acc \%" in text
    assert r"$\pm$" in text


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs LaTeX")
def test_latex_compiles(tmp_path: Path) -> None:
    """Every character that a name of a study may have on disk, and every shape of a table that is committed."""
    odd = ["100%", "a_b&c#d", "~x^2\\y{z}$", 'größe ± – × − ≤ ↑ ·"<|>', "[64", "*star", "-0.5", "-x"]
    (tmp_path / "odd.tex").write_text(formats.latex(Cells(odd, [odd, odd[::-1]], range(1, 8)), odd), encoding="utf-8")
    for name in ("expected", "pivot", "verdicts", "images"):
        shutil.copy(GOLDEN / f"{name}.tex", tmp_path)
    tables = "\\par".join(rf"\input{{{path.stem}}}" for path in sorted(tmp_path.glob("*.tex")))
    page = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{tables}\end{{document}}"
    (tmp_path / "page.tex").write_text(page)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:]


def test_letters_that_pdflatex_lacks_are_said() -> None:
    lines = formats.latex(Cells(["a"], [["größe"], ["α"]], range(1)), []).splitlines()
    assert lines[0] == "% α needs xelatex or lualatex, and a font that has these letters."
    assert formats.latex(Cells(["a"], [["größe ±"]], range(1)), []).startswith("\\begin")


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
        table,
        without_figure=2,
        averaged=("init",),
        duplicates=("a",),
        unreadable={str(number): "is empty" for number in range(5)},
    )
    remarks = [
        "The runs of a row also differ in init: --by shows them apart.",
        "2 of the completed runs have no finite test_acc and are not in n.",
        "5 unreadable: 0 is empty and 4 more.",
    ]
    assert footer.footer(spoilt)[1:] == [
        "±: 95 % t interval of the mean over the runs of a row, in percentage points.",
        "n = 1: one seed has no interval.",
        "1 run read: 1 completed, 0 diverged, 0 failed, 0 unfinished; 1 duplicate left out.",
        *remarks,
    ]
    assert footer.footer(spoilt, explain=False) == [
        "test_acc in %, at the epoch with the best validation loss; ±: 95 % t interval.",
        "1 run, all completed; 1 duplicate left out. More: --explain.",
        *remarks,
    ]


def test_the_footer_has_two_lines_where_nothing_is_odd(tmp_path: Path) -> None:
    runs = [record(test_acc=0.9 + seed / 1000, norm=NORMS[n], seed=seed) for n in NORMS for seed in range(6)]
    assert len(footer.footer(table_of(tmp_path, *runs), explain=False)) == 2
    against = compare(load([tmp_path]), against=Against(["norm=none"]))
    assert len(footer.footer(against, explain=False)) == 4, "and what p is for, and how many seeds could decide"
    assert len(footer.footer(against)) > 6


def test_intervals_beyond_what_an_accuracy_can_be_are_remarked_and_cut_in_files(tmp_path: Path) -> None:
    table = table_of(tmp_path, record(test_acc=0.1), record(test_acc=0.9, seed=1))
    remark = "Some ± reach beyond 0 or 100 %"
    assert any(line.startswith(remark) for line in footer.footer(table, explain=False))
    (row,) = json.loads(formats.to_json([table]))["rows"]
    assert (row["ci95_low"], row["ci95_high"]) == (0, 1)
    assert row["ci95"] == pytest.approx(12.706204736432095 * 0.4)
    loss = compare(load([tmp_path]), metric="test_loss")
    assert not any(line.startswith(remark) for line in footer.footer(loss))


def test_more_columns_on_request(tmp_path: Path) -> None:
    accuracies = (0.97, 0.98, 0.99, 0.91)
    table = table_of(tmp_path, *(record(test_acc=a, seed=s) for s, a in enumerate(accuracies)))
    found = cells([table], ["seeds", "std", "se", "median"])
    asked = dict(zip(found.headings, found.rows[0], strict=True))
    deviation = 100 * statistics.stdev(accuracies)
    assert asked["std"] == f"{deviation:.2f}"
    assert asked["se"] == f"{deviation / 2:.2f}"
    assert (asked["median"], asked["seeds"]) == ("97.50", "97.00 98.00 99.00 91.00")
    (row,) = csv.DictReader(io.StringIO(formats.to_csv([table], ["seeds"])))
    assert row["seeds"] == "0:0.97 1:0.98 2:0.99 3:0.91"
    assert float(row["median"]) == 0.975


def test_several_figures_stand_side_by_side(tmp_path: Path) -> None:
    runs = [
        record(test_acc=0.9 + (n == "batch") / 50, norm=NORMS[n], seed=s) for n in ("none", "batch") for s in (0, 1)
    ]
    first = table_of(tmp_path, *runs)
    second = compare(load([tmp_path]), metric="test_loss")
    found = cells([first, second])
    assert found.headings == ["norm", "n", "test_acc %", "±", "test_loss", "±"]
    assert [[row[0], row[2], row[4]] for row in found.rows] == [
        ["batch", "92.00", "0.2400"],
        ["none", "90.00", "0.3000"],
    ]
    rows = list(csv.DictReader(io.StringIO(formats.to_csv([first, second]))))
    assert [(row["norm"], row["metric"]) for row in rows] == [
        ("batch", "test_acc"),
        ("none", "test_acc"),
        ("batch", "test_loss"),
        ("none", "test_loss"),
    ]
    assert [table["metric"] for table in json.loads(formats.to_json([first, second]))["tables"]] == [
        "test_acc",
        "test_loss",
    ]
    lines = footer.footer([first, second], explain=False)
    assert [line.partition(",")[0] for line in lines[:2]] == ["test_acc in %", "test_loss"]
    assert len(lines) == 3


def test_null_survives_pandas_in_csv(tmp_path: Path) -> None:
    limits = (None, None, 0.5, 1.0)
    table = table_of(tmp_path, *(record(clip_norm=limit, seed=s) for s, limit in enumerate(limits)), by=["clip_norm"])
    frame = pd.read_csv(io.StringIO(formats.to_csv([table])))
    assert frame.groupby("clip_norm")["n"].sum().to_dict() == {"(null)": 2, "0.5": 1, "1": 1}
    for text in (footer.footer(table), formats.to_json([table])):
        assert "(null)" in "".join(text)


def test_csv_with_decimal_commas_is_read_as_it_was_written(tmp_path: Path) -> None:
    rates = [record(test_acc=0.97125, optimizer=CONFIG["optimizer"] | {"lr": rate}) for rate in (0.001, 0.01)]
    table = table_of(tmp_path, *rates)
    text = formats.to_csv([table], decimal_comma=True)
    assert text.startswith("\N{BYTE ORDER MARK}optimizer.lr;metric;")
    found = pd.read_csv(io.StringIO(text.removeprefix("\N{BYTE ORDER MARK}")), sep=";", decimal=",")
    assert found["mean"].tolist() == [0.97125, 0.97125]
    assert found["optimizer.lr"].tolist() == [0.001, 0.01]


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
    found = cells([replace(table, metric=METRICS[metric], rows=(row,))])
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
