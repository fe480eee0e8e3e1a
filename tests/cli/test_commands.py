"""The command line: what it accepts, prints and refuses."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import click
import pandas as pd
import pytest

import regbench
from golden.records import HERE as GOLDEN
from golden.records import INITS, NORMS, record, write
from regbench.cli import commands, runs
from regbench.records.metrics import METRICS
from regbench.tables import formats, run_list
from regbench.tables.choices import RUN_LIST_FORMATS, SUMMARY_FORMATS
from support import Ended

SUMMARY = [sys.executable, "-m", "regbench", "summary"]


Invoke = Callable[..., Ended]


@pytest.fixture(autouse=True)
def in_golden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize(
    ("output", "file"),
    [("table", "txt"), ("csv", "csv"), ("md", "md"), ("latex", "tex"), ("json", "json")],
)
def test_every_format_is_printed(output: str, file: str, invoke: Invoke) -> None:
    result = invoke("summary", "--format", output)
    assert (result.code, result.err) == (0, "")
    assert result.out == (GOLDEN / f"expected.{file}").read_text(encoding="utf-8")


@pytest.mark.parametrize(("command", "module"), [(commands.summary, formats), (runs.ls, run_list)])
def test_every_format_offered_has_its_function(command: click.Command, module: ModuleType) -> None:
    option = next(p for p in command.params if p.name == "output")
    assert isinstance(option.type, click.Choice)
    offered = SUMMARY_FORMATS if module is formats else RUN_LIST_FORMATS
    assert set(option.type.choices) - {"table", "parquet"} == set(offered)
    functions = {name for name in vars(module) if name.startswith("to_")} - {"to_table", "to_parquet", "to_frame"}
    assert set(offered.values()) == functions


def test_csv_is_written_beside_what_is_printed(tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("summary", "--csv", tmp_path / "t.csv")
    assert result.out == (GOLDEN / "expected.txt").read_text(encoding="utf-8")
    assert (tmp_path / "t.csv").read_bytes() == (GOLDEN / "expected.csv").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    (tmp_path / "t.csv").write_text("old")
    invoke("summary", "--csv", tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == (GOLDEN / "expected.csv").read_bytes()


@pytest.mark.parametrize("by", ["--by norm,init", "--by norm init", "--by norm --by init", "--by norm, --by init,"])
def test_keys_follow_repeat_or_are_joined_by_commas(by: str, invoke: Invoke) -> None:
    assert json.loads(invoke("summary", "--format", "json", *by.split()).out)["keys"] == ["norm", "init"]


def test_directories_metric_and_selection_are_handed_on(tmp_path: Path, invoke: Invoke) -> None:
    write(tmp_path, record(norm=NORMS["batch"], init=INITS["xavier"], test_acc=0.9))
    arguments = ("--format", "json", "--metric", "test_acc", "--select", "last", "--by", "seed")
    content = json.loads(invoke("summary", tmp_path, "runs/again", *arguments).out)
    assert (content["runs"], content["select"], content["keys"]) == (3, "last", ["seed"])
    assert content["rows"][0] | {"mean": None, "best": None, "worst": None} == {
        "seed": 0,
        "metric": "test_acc",
        "select": "last",
        "n": 2,
        **dict.fromkeys(("mean", "best", "worst")),
        "ci95": pytest.approx(12.706204736432095 * 0.0781 / 2),
        "ci95_low": pytest.approx(0.93805 - 12.706204736432095 * 0.0781 / 2),
        "ci95_high": 1.0,
        "std": pytest.approx(0.0781 / 2**0.5),
        "se": pytest.approx(0.0781 / 2),
        "median": pytest.approx(0.93805),
        "diverged": 0,
        "failed": 0,
        "unfinished": 0,
        "missing": 0,
    }


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_accepted(metric: str, invoke: Invoke) -> None:
    result = invoke("summary", "--metric", metric)
    assert (result.code, result.err) == (0, "")
    assert f"\n{metric}" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["summary", "nowhere"], "no directory 'nowhere'"),
        (["summary", "runs/elsewhere"], "no runs in "),
        (["summary", "--by", "norm", "inti"], "Did you mean 'init'?"),
        (["summary", "--by", "nrom"], "Did you mean 'norm'?"),
        (["summary", "--metric", "test_ac"], "Did you mean 'test_acc'?"),
        (["summary", "--select", "best"], "--select best: no value 'best' in --select. Did you mean 'best_val'?"),
        (["summary", "--format", "xlsx"], "--format xlsx: no value 'xlsx' in --format. Did you mean 'csv'?"),
        (["summary", "--colour"], "--colour"),
        (["summary", "--csv"], "--csv: needs a value"),
        (["summary", "--csv", "nowhere/t.csv"], "--csv nowhere/t.csv: cannot be written: No such file or directory"),
        (["summary", "--csv", "runs"], "--csv runs: is not a regular file"),
        (["sumary"], "'sumary'"),
        (["--colour"], "--colour"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(arguments: list[str], message: str, invoke: Invoke) -> None:
    result = invoke(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    assert message in result.err


def test_csv_never_replaces_a_link(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to("target")
    assert invoke("summary", "--csv", tmp_path / "link").code == 2
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "kept"


def test_help_names_every_command(invoke: Invoke) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        result = invoke(*arguments)
        assert result.code == 0
        assert "summary" in result.out
        assert "train" in result.out
    assert "...\n" not in result.out.partition("Commands:")[2]  # each command in a sentence that fits 80 columns


def test_help_of_summary_names_every_option(invoke: Invoke) -> None:
    help_text = invoke("summary", "--help").out
    assert all(option in help_text for option in ("DIRS", "--by", "--metric", "--select", "--csv", "--format"))


def test_version(invoke: Invoke) -> None:
    assert invoke("--version").out == f"regbench {version('regbench')}\n"


@pytest.mark.slow
def test_a_summary_imports_only_what_it_needs() -> None:
    script = (
        "import sys\nfrom regbench.cli.group import main\n"
        "try: main(['summary', '--format', 'md'])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(*sys.modules, sep='\\n')"
    )
    modules = set(subprocess.check_output([sys.executable, "-c", script], text=True).split())
    assert {"regbench.analysis.summary", "pandas", "scipy.special"} <= modules
    assert not modules & {"torch", "torchvision", "hydra", "omegaconf", "scipy.stats", "matplotlib", "regbench.rng"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["summary", "--help"], ["ls", "--help"], ["ls", "runs"]], ids=" ".join
)
def test_help_and_ls_import_nothing_that_takes_time(arguments: list[str]) -> None:
    script = (
        f"import sys\nsys.argv = ['regbench', *{arguments}]\nfrom regbench.cli.main import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code, end.code\n"
        "print('modules', *sys.modules)"
    )
    modules = subprocess.check_output([sys.executable, "-c", script], text=True).splitlines()[-1].split()
    assert modules[0] == "modules"
    assert not {"torch", "numpy", "pandas", "scipy", "hydra", "omegaconf", "rich", "statsmodels"} & set(modules)


@pytest.mark.slow
def test_a_pipe_may_be_plain_ascii_and_may_close_early() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    plain = subprocess.run(SUMMARY, capture_output=True, env=environment, check=True)
    assert plain.stdout.isascii()
    assert b"98.09" in plain.stdout
    with subprocess.Popen(SUMMARY, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


VERDICTS = ("verdicts", "--baseline", "norm=none", "--margin", "0.1")
PIVOT = ("runs", "--rows", "init", "--cols", "norm", "--baseline", "norm=none", "--correction", "bh")
IMAGES = ("images", "--test-noise", "--baseline", "norm=none")
COMPARISONS = {"verdicts": VERDICTS, "pivot": PIVOT, "images": IMAGES}
EXPECTED = {"table": "txt", "csv": "csv", "md": "md", "latex": "tex", "json": "json", "html": "html"}


@pytest.mark.parametrize(
    "output", [pytest.param(name, marks=[pytest.mark.slow] * (name != "table")) for name in EXPECTED]
)
@pytest.mark.parametrize(("name", "arguments"), COMPARISONS.items())
def test_comparisons_byte_for_byte(name: str, arguments: tuple[str, ...], output: str, invoke: Invoke) -> None:
    result = invoke("summary", *arguments, "--format", output)
    assert (result.code, result.err) == (0, "")
    assert result.out == (GOLDEN / f"{name}.{EXPECTED[output]}").read_text(encoding="utf-8")


def test_figures_of_epochs_byte_for_byte(invoke: Invoke) -> None:
    """A torn last line and a damaged file leave their cells empty, and are named."""
    arguments = ("--rows", "seed", "--cols", "norm", "--metric", "weight_norm:lower", "--select", "last")
    result = invoke("summary", "verdicts", *arguments, "--where", "seed>=4 and norm in ['rms','group']")
    assert result.out == (GOLDEN / "weights.txt").read_text(encoding="utf-8")


@pytest.mark.slow
def test_parquet_holds_what_csv_does(tmp_path: Path, invoke: Invoke) -> None:
    for name, arguments in COMPARISONS.items():
        assert invoke("summary", *arguments, "--format", "parquet", "-o", tmp_path / "t.parquet").code == 0
        found, expected = pd.read_parquet(tmp_path / "t.parquet"), pd.read_csv(GOLDEN / f"{name}.csv")
        pd.testing.assert_frame_equal(found.convert_dtypes(), expected.convert_dtypes(), check_dtype=False)
        assert len(found.attrs["notes"]) > 5


@pytest.mark.parametrize("output", ["table", "md"])
def test_any_format_can_go_to_a_file(output: str, tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("summary", "--format", output, "--output", tmp_path / "t")
    assert (result.code, result.out) == (0, "")
    assert "98.09" in (tmp_path / "t").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("sort", "first"), [("norm", "batch"), ("-norm", "rms"), ("mean", "layer"), ("-diff", "batch"), ("p", "batch")]
)
@pytest.mark.slow
def test_sort(sort: str, first: str, invoke: Invoke) -> None:
    content = json.loads(invoke("summary", *VERDICTS, "--format", "json", "--sort", sort).out)
    assert content["rows"][0]["norm"] == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--where", "nrom=='x'"], "Did you mean 'norm'?"),
        (
            ["--where", "norm=btach"],
            "--where norm=btach: no value 'btach' in the runs of 'norm'. Did you mean 'batch'?",
        ),
        (["--where", "norm=batch,layer"], "several values are written 'norm in [batch, layer]'"),
        (["--where", "norm=batch,init=xavier"], "joined by and: 'norm=batch and init=xavier'"),
        (["--where", "lr<0.1"], "--where lr<0.1: no key 'lr' in the runs. Did you mean 'optimizer.lr'?"),
        (["--by", "lr"], "--by lr: no key 'lr' in the runs. Did you mean 'optimizer.lr'?"),
        (["--by", "norm=batch"], "--by norm=batch: takes keys without values. To choose runs: --where 'norm=batch'"),
        (["--baseline", "nrom=none"], "--baseline nrom: no key 'nrom' in the runs. Did you mean 'norm'?"),
        (["--sort", "test_acc"], "--sort test_acc: no column 'test_acc' in the table. Did you mean 'mean'?"),
        (["-o", "t.xlsx"], "no format 'xlsx' in the endings of files. Did you mean 'csv'? Or name it by --format"),
        (["--where", "seed>99"], "--where seed>99: matches none of the 15 runs"),
        (["--sort", "nrom"], "--sort nrom: no column 'nrom' in the table. Did you mean 'norm'?"),
        (["--margin", "0.1"], "--margin 0.1: needs a --baseline"),
        (["--anytime"], "--anytime: needs a --baseline"),
        (
            ["--tune", "optimizer.rl"],
            "--tune optimizer.rl: no key 'optimizer.rl' in the runs. Did you mean 'optimizer.lr'?",
        ),
        (["--tune", "dropout"], "--tune dropout: no row has several values to choose from"),
        (["--shrink", "--cols", "norm"], "--shrink: a pivot has no room for it"),
        (["--margin", "0", "--baseline", "norm=none"], "--margin"),
        (["--cols", "nrom"], "--cols nrom: no key 'nrom' in the runs. Did you mean 'norm'?"),
        (["--format", "parquet"], "parquet is binary: add --output FILE"),
        (["--output", "runs", "--format", "md"], "--output runs: is not a regular file"),
        (["--output", "t"], "--output t: the name has no ending. Or name it by --format"),
        (["--output", "t.mkd"], "no format 'mkd' in the endings of files. Did you mean 'md'?"),
        (["-o", "t.md", "--format", "csv"], "--output t.md: the ending means md, and --format csv another"),
        (["--sort", "norm", "--sort", "init"], "--sort: is given 2 times, and takes one value"),
        (["--select", "last", "-o", "a.md", "-o", "b.md"], "--output: is given 2 times, and takes one value"),
        (["--where", "norm"], "--where norm: none is neither true nor false. Compare it, as in"),
        (["--where", "test_acc > 88"], "--where test_acc > 88: test_acc is a fraction: write 0.88 instead of 88"),
        (["--show", "stdd"], "--show stdd: no column 'stdd' in the summary. Did you mean 'std'?"),
        (["--status", "done"], "no value 'done' in --status. Did you mean 'completed'?"),
        (["--status", "interrupted", "--where", "norm=batch"], "--status interrupted --where norm=batch: matches none"),
        (["--baseline", "seed=0"], "--baseline seed=0: rows are compared seed by seed"),
        (["--metric", "test_acc,test_loss", "--cols", "norm"], "--cols: a pivot shows one figure"),
        (["--decimal-comma"], "--decimal-comma: is for CSV: add --csv FILE or --format csv"),
        (["verdicts", "--metric", "weight_norm"], "Write weight_norm:lower or weight_norm:higher"),
        (["--metric", "test_acc:up"], "no direction 'up'"),
        (["--metric", "val_acc", "--test-noise"], "--test-noise: works for test_acc, not for val_acc"),
        (["--correction", "bonferroni"], "no value 'bonferroni' in --correction. Allowed: bh, holm, none"),
    ],
)
def test_a_mistake_in_a_comparison_is_one_line(arguments: list[str], message: str, invoke: Invoke) -> None:
    result = invoke("summary", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err


def test_a_value_that_no_run_has_is_said_below_the_table(invoke: Invoke) -> None:
    result = invoke("summary", "--where", "norm != nnoe", "--by", "norm")
    assert result.code == 0
    assert "no value 'nnoe' in the runs of 'norm'. Did you mean 'none'?" in result.out.replace("\n", " ")
    assert "no value" not in invoke("summary", "--where", "norm != none", "--by", "norm").out


def test_all_conditions_count(invoke: Invoke) -> None:
    """In summary, effects and Python, as in ls and rm."""
    once = ("--where", "norm in ['rms', 'none'] and seed < 5")
    twice = ("--where", "norm in ['rms', 'none']", "--where", "seed < 5")
    for command in ("summary", "effects"):
        both = [invoke(command, "verdicts", "--format", "csv", *where) for where in (once, twice)]
        assert both[0].out == both[1].out
        assert both[0].code == 0
    assert "only norm in ['rms', 'none'] and seed < 5, of 59 runs" in invoke("summary", "verdicts", *twice).out
    frame = regbench.compare(regbench.load("verdicts"), where=["norm in ['rms', 'none']", "seed < 5"])
    assert frame["n"].tolist() == [5, 5]
    either = invoke(
        "summary", "verdicts", "--where", "seed == 1 or seed == 2", "--where", "norm == rms", "--format", "json"
    )
    assert json.loads(either.out)["runs"] == 2


def test_only_runs_that_ended_so(invoke: Invoke) -> None:
    result = json.loads(invoke("summary", "--status", "diverged", "--status", "failed", "--format", "json").out)
    assert (result["runs"], result["diverged"], result["failed"], result["completed"]) == (2, 1, 1, 0)
    killed = json.loads(invoke("summary", "--status", "killed", "--format", "json").out)
    assert (killed["runs"], killed["unfinished"]) == (1, 1), "its record says that it runs, and no process has it"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_csv_on_the_standard_output_stands_alone(name: str) -> None:
    """Started as a program: /dev/stdout is what a shell has connected."""
    printed = subprocess.run([*SUMMARY, "--csv", name], capture_output=True, check=True)
    assert printed.stdout == (GOLDEN / "expected.csv").read_bytes()
    assert not (GOLDEN / "-").exists()


def test_a_pipe_and_a_device_are_written_to(tmp_path: Path, invoke: Invoke) -> None:
    assert invoke("summary", "--csv", "/dev/null").code == 0
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        assert invoke("summary", "--csv", tmp_path / "pipe").code == 0
        assert reader.communicate()[0] == (GOLDEN / "expected.csv").read_bytes()


@pytest.mark.parametrize(
    ("ending", "name"), [("csv", "csv"), ("md", "md"), ("tex", "tex"), ("json", "json"), ("html", "html")]
)
def test_the_ending_of_the_file_says_the_format(ending: str, name: str, tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("summary", "-o", tmp_path / f"t.{ending}")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert (tmp_path / f"t.{ending}").read_bytes() == (GOLDEN / f"expected.{ending}").read_bytes()


def test_a_table_in_a_text_file_has_the_whole_footer(tmp_path: Path, invoke: Invoke) -> None:
    assert invoke("summary", "-o", tmp_path / "t.txt").code == 0
    text = (tmp_path / "t.txt").read_text(encoding="utf-8")
    assert "of the mean over seeds, in percentage points." in text
    assert "of the mean over seeds, in percentage points." in invoke("summary", "--explain").out
    assert "of the mean over seeds, in percentage points." not in invoke("summary").out


def test_excel_gets_its_commas(tmp_path: Path, invoke: Invoke) -> None:
    assert invoke("summary", "--decimal-comma", "--csv", tmp_path / "t.csv").code == 0
    content = (tmp_path / "t.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfnorm;init;metric;")
    assert b";0,9809;" in content


def test_keys_may_be_in_one_word(invoke: Invoke) -> None:
    assert json.loads(invoke("summary", "--by", "norm init", "--format", "json").out)["keys"] == ["norm", "init"]


@pytest.mark.parametrize("output", SUMMARY_FORMATS)
def test_effects_has_every_format(output: str, tmp_path: Path, invoke: Invoke) -> None:
    arguments = ("effects", "verdicts", "--by", "norm", "--where", "norm!='group'")
    printed = invoke(*arguments, "--format", output)
    assert (printed.code, printed.err) == (0, "")
    ending = {"latex": "tex"}.get(output, output)
    assert invoke(*arguments, "-o", tmp_path / f"t.{ending}").out == ""
    assert (tmp_path / f"t.{ending}").read_text(encoding="utf-8") == printed.out
    assert "residual" in printed.out


def test_effects_are_sorted(invoke: Invoke) -> None:
    arguments = ("effects", "verdicts", "--by", "norm", "--where", "norm!='group'", "--format", "json")
    ordered = json.loads(invoke(*arguments, "--sort", "share").out)["terms"]
    assert [term["share"] for term in ordered] == sorted(term["share"] for term in ordered)
    reverse = json.loads(invoke(*arguments, "--sort", "-share").out)["terms"]
    assert reverse == ordered[::-1]
    assert "Did you mean 'share'?" in invoke(*arguments, "--sort", "shar").err


def test_effects_explain_and_diff_print(tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("effects", "verdicts", "--by", "norm", "--where", "norm!='group'", "--csv", tmp_path / "t.csv")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("effect    df  share %")
    assert pd.read_csv(tmp_path / "t.csv")["term"].tolist() == ["norm", "seed", "residual"]
    assert invoke("explain", "norm=rms", "seed=3", "verdicts").out.count("\n") == 5
    assert (
        invoke("explain", "norm=rms", "seed=3", "verdicts", "--long")
        .out.splitlines()[1]
        .startswith("    regbench train")
    )
    invoke("explain", "norm=rms", "verdicts", "-o", tmp_path / "rms.json")
    assert len(json.loads((tmp_path / "rms.json").read_text())["runs"]) == 10
    runs = sorted((GOLDEN / "verdicts" / "verdicts").glob("*-rms-*"))
    assert "seed" in invoke("diff", *runs[:2]).out
    assert invoke("diff", runs[0], runs[0]).out.startswith("The two configs are identical.\n")
    assert invoke("diff", *runs[:2], "--format", "csv").out.startswith("kind,name,first,second\nconfig,seed,")
    for words in (["effects", "runs"], ["explain", "norm=x"], ["diff", "runs", "runs"], ["reproduce", "runs"]):
        result = invoke(*words)
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("command", ["ls", "summary"])
def test_a_csv_on_the_standard_output_stands_alone(command: str, invoke: Invoke, tmp_path: Path) -> None:
    invoke(command, "runs", "--csv", tmp_path / "t.csv")
    printed = pd.read_csv(io.StringIO(invoke(command, "runs", "--csv", "-").out))
    assert len(printed) == len(pd.read_csv(tmp_path / "t.csv"))
