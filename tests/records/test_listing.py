"""`regbench ls` and `regbench rm`: what they find, show, and leave alone."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from filelock import FileLock

from golden.records import NORMS, record, write
from regbench.cli import group
from regbench.cli import runs as cli
from regbench.errors import UserError
from regbench.records import removal, run_json
from regbench.records.files import STATES
from regbench.records.listing import listing
from regbench.records.locks import is_locked
from regbench.tables.run_list import age, to_table

LS = [sys.executable, "-m", "regbench", "ls"]
UPDATED = datetime(2026, 1, 1, 10, 5, tzinfo=UTC)


class Ended(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def call(*arguments: str | Path) -> Ended:
        with pytest.raises(SystemExit) as end:
            group.main([str(argument) for argument in arguments])
        return Ended(int(end.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def runs() -> Path:
    """Four runs: completed (seed 0 and 1), failed, and one whose process was killed after an epoch."""
    folder = Path("runs")
    write(folder, record(seed=0, test_acc=0.97), "a")
    write(folder, record(seed=1, test_acc=0.98, norm=NORMS["batch"]), "b")
    write(folder, record("failed", seed=2), "c")
    killed = write(folder, record("running", seed=3), "d")
    (killed / "metrics.csv").write_text("epoch,lr\n1,0.1\n")
    return folder


def names(*arguments: Any, **options: Any) -> list[str]:
    return [entry.path.name for entry in listing(["runs"]).only(*arguments, **options).entries]


# ls


def test_a_run_has_status_age_and_figures(runs: Path) -> None:
    a, _, c, d = (entry.values for entry in listing([runs], UPDATED + timedelta(minutes=3)).entries)
    assert (a["status"], a["age"], a["trained"], a["epochs"]) == ("completed", 180, 5, 5)
    assert (a["test_acc"], a["last.test_acc"], a["seconds"]) == (0.97, 0.969, 4.25)
    assert (a["norm"], a["seed"], a["optimizer.lr"], a["path"]) == ("none", 0, 0.001, "runs/default/a")
    assert (c["status"], c["error"], c.get("test_acc")) == ("failed", "failed in epoch 2", None)
    assert (d["status"], d["trained"]) == ("killed", 1)


def test_a_run_that_a_process_has_is_running(runs: Path) -> None:
    lock = runs / "default/d/.lock"
    with FileLock(lock):
        assert names(["running"]) == ["d"]
        assert names(["killed"]) == []
    assert lock.exists(), "a lock is left: only then is this known from the lock, not from its file"
    assert names(["killed"]) == ["d"]


def test_looking_makes_no_file(runs: Path) -> None:
    before = sorted(runs.rglob("*"))
    assert not is_locked(runs / "default/d")
    listing([runs])
    assert sorted(runs.rglob("*")) == before


def test_runs_are_filtered(runs: Path) -> None:
    assert names(["failed", "killed"]) == ["c", "d"]
    assert names(where=["norm=batch"]) == ["b"]
    assert names(where=["seed=1.0"]) == ["b"]
    assert names(where=["seed < 3", "norm == none"]) == ["a", "c"]
    assert names(where=["test_acc > 0.975"]) == ["b"]
    assert names(where=["clip_norm=null", "drop_last=false", "model.hidden=[256,256]"]) == ["a", "b", "c", "d"]
    assert names(["completed"], where=["norm.eps > 0"]) == ["b"]
    assert names(where=["status=killed"]) == ["d"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (["path"], "abcd"),
        (["path", True], "dcba"),
        (["test_acc"], "abcd"),
        (["test_acc", True], "bacd"),
        (["seed", True], "dcba"),
        (["norm"], "bacd"),
        (["norm.eps"], "bacd"),
        (["-seed"], "dcba"),
        (["-test_acc"], "bacd"),
        (["-seed", True], "abcd"),
    ],
    ids=str,
)
def test_runs_are_sorted_those_without_a_value_last(key: list[Any], expected: str, runs: Path) -> None:
    assert "".join(entry.path.name for entry in listing([runs]).by(*key).entries) == expected


def test_the_epochs_stand_in_one_column(tmp_path: Path) -> None:
    for number, epochs in enumerate((2, 3)):
        write(tmp_path / "shorter", record(seed=0, epochs=epochs), f"r{number}")
    head, *_ = to_table(listing([tmp_path / "shorter"])).splitlines()
    assert head.split() == ["status", "age", "epochs", "test", "%", "run"]


def test_the_table_fits_and_keeps_paths_whole(runs: Path, invoke: Callable[..., Ended]) -> None:
    result = invoke("ls", "--show", "seed,norm.eps", "--sort", "seed", "--reverse")
    head, *rows, empty, foot = result.out.splitlines()
    assert head.split() == ["status", "age", "epochs", "test", "%", "norm", "seed", "norm.eps", "run"]
    assert [row.split()[-1] for row in rows] == [f"default/{name}" for name in "dcba"]
    assert rows[2].split()[2:] == ["5/5", "98.00", "batch", "1", "1e-05", "default/b"]
    assert rows[0].split()[2:4] == ["1/5", "-"]
    assert (empty, foot) == ("", "4 runs: 2 completed, 1 killed, 1 failed")
    long = write(Path("elsewhere"), record(seed=11, norm=NORMS["batch"]))
    assert to_table(listing([long]), room=80).splitlines()[1].endswith(f"  elsewhere/default/{long.name[-12:]}")
    assert str(long) in to_table(listing([long]), ["path"])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0, "0s"), (59.9, "59s"), (60, "1min"), (3599, "59min"), (7200, "2h"), (86400 * 3.5, "3d")],
)
def test_ages_are_in_the_largest_unit(seconds: float | None, text: str) -> None:
    assert age(seconds) == text


def test_csv_and_json_hold_every_value(runs: Path, invoke: Callable[..., Ended]) -> None:
    content = json.loads(invoke("ls", "--format", "json").out)
    assert [run["seed"] for run in content["runs"]] == [0, 1, 2, 3]
    assert content["runs"][1]["test_acc"] == 0.98
    assert content["runs"][0]["model.hidden"] == [256, 256]
    rows = list(csv.DictReader(io.StringIO(invoke("ls", "--format", "csv").out)))
    assert [row["status"] for row in rows] == ["completed", "completed", "failed", "killed"]
    assert rows[1]["norm.eps"] == "1e-05"
    assert rows[2]["test_acc"] == ""
    assert {row["clip_norm"] for row in rows} == {"(null)"}
    assert (rows[0]["norm.eps"], rows[0]["error"]) == ("", "")


def test_what_cannot_be_read_is_counted(runs: Path, invoke: Callable[..., Ended]) -> None:
    (runs / "default/b/run.json").write_text("{")
    result = invoke("ls")
    assert result.out.splitlines()[-2:] == [
        "3 runs: 1 completed, 1 killed, 1 failed",
        "1 unreadable: runs/default/b/run.json is no JSON (line 1, column 2)",
    ]


def test_the_keys_that_differ_are_columns(runs: Path) -> None:
    assert listing([runs]).differing == ["norm", "seed"]
    write(runs, record(seed=4, norm=NORMS["batch"] | {"eps": 0.1}) | {"experiment": "mlp_xavier"}, "e")
    assert listing([runs]).differing == ["experiment", "norm", "norm.eps", "seed"]
    assert listing([runs / "default/a"]).differing == []
    head = to_table(listing([runs]), by=["seed", "dropout"]).splitlines()[0]
    assert head.split()[-3:] == ["seed", "dropout", "run"]


def test_what_does_not_fit_becomes_one_column_of_changes(runs: Path) -> None:
    write(runs, record(dropout=0.1, clip_norm=1.0, batch_size=64, epochs=6), "e")
    found = listing([runs])
    assert "  dropout  clip_norm  " in to_table(found).splitlines()[0]
    text = to_table(found, room=80)
    assert [line.split()[4:] for line in text.splitlines()[:6]] == [
        ["%", "change", "run"],
        ["-", "default/a"],
        ["norm=batch", "seed=1", "default/b"],
        ["seed=2", "default/c"],
        ["seed=3", "default/d"],
        ["dropout=0.1", "clip_norm=1", "batch_size=…", "default/e"],
    ]
    assert max(map(len, text.splitlines())) == 80


def test_the_first_runs_and_rounded_seconds(runs: Path, invoke: Callable[..., Ended]) -> None:
    write(runs, record(seed=8) | {"result": record()["result"] | {"seconds": 1.00249}}, "slow")
    head, row, _, foot = invoke("ls", "--sort", "-seed", "--limit", "1", "--show", "seconds").out.splitlines()
    assert head.split()[-2:] == ["seconds", "run"]
    assert row.split()[-2:] == ["1.00", "default/slow"]
    assert foot == "5 runs: 3 completed, 1 killed, 1 failed, the first 1 are shown"
    assert len(json.loads(invoke("ls", "--limit", "2", "--format", "json").out)["runs"]) == 2


def test_studies_have_a_line_each(runs: Path, invoke: Callable[..., Ended]) -> None:
    for seed in range(3):
        write(runs, record(seed=seed, test_acc=0.9, study="other"), f"{seed}")
    result = invoke("ls", "--studies").out.splitlines()
    assert [" ".join(line.split()[:2] + line.split()[3:]) for line in result[1:3]] == [
        "default 4 98.00 2 completed, 1 killed, 1 failed norm, seed",
        "other 3 90.00 3 completed seed",
    ]
    assert result[-1] == "2 studies, 7 runs: 5 completed, 1 killed, 1 failed"
    studies = json.loads(invoke("ls", "--studies", "--format", "json").out)["studies"]
    assert [(study["path"], study["killed"], study["differs"]) for study in studies] == [
        ("runs/default", 1, ["norm", "seed"]),
        ("runs/other", 0, ["seed"]),
    ]
    assert invoke("ls", "--studies", "--format", "csv").out.splitlines()[2].startswith("other,runs/other,3,3,")


def test_a_file_s_name_says_the_format(runs: Path, invoke: Callable[..., Ended]) -> None:
    assert invoke("ls", "-o", "runs.json", "--csv", "runs.csv").out == ""
    assert len(json.loads(Path("runs.json").read_text())["runs"]) == 4
    assert Path("runs.csv").read_text().startswith("status,age,trained,")
    invoke("ls", "--output", "runs.txt")
    assert Path("runs.txt").read_text().splitlines()[-1] == "4 runs: 2 completed, 1 killed, 1 failed"
    assert invoke("ls", "--csv", "-").out.startswith("status,age,trained,")


def test_short_names_are_runs(runs: Path, invoke: Callable[..., Ended]) -> None:
    write(runs, record(seed=5), "mlp-s5-00000000000a")
    write(runs, record(seed=6), "mlp-s6-00000000001b")
    assert [line.split()[-1] for line in invoke("ls").out.splitlines()[5:7]] == [
        "default/00000000000a",
        "default/00000000001b",
    ]
    for name in ("default/00000000000a", "00000000000a", "runs/default/00000000000a"):
        assert invoke("ls", name).out.splitlines()[1].split()[-1] == "default/00000000000a"
    several = invoke("ls", "0000000000").err
    assert several.startswith("error: 0000000000: 2 runs have such an id. Write more of one: default/00000000000a, ")
    assert invoke("rm", "--yes", "default/00000000000a").out.endswith("1 run removed\n")
    assert not (runs / "default/mlp-s5-00000000000a").exists()
    assert "no directory 'abcd'" in invoke("ls", "abcd").err


def test_a_value_that_no_run_has_is_named(runs: Path, invoke: Callable[..., Ended]) -> None:
    result = invoke("ls", "--where", "norm=btach")
    assert (result.code, result.out.splitlines()[-1]) == (0, "0 runs")
    assert result.err == "warning: --where norm=btach: no value 'btach' in the runs of 'norm'. Did you mean 'batch'?\n"
    gone = invoke("rm", "--where", "norm=btach", "--yes")
    assert (gone.code, gone.out, gone.err) == (0, "no such run: nothing removed\n", result.err)


def test_a_disk_is_not_searched(runs: Path, invoke: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of runs do not count, and a link is followed where runs may be, not below."""
    monkeypatch.setattr(run_json, "_MOST_OTHERS", 5)
    assert invoke("ls").code == 0
    for number in range(6):
        Path("elsewhere", str(number)).mkdir(parents=True)
    result = invoke("rm", "elsewhere", "--status", "failed", "--yes")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: elsewhere: holds more than")
    deep = Path("deep/1/2/3")
    deep.mkdir(parents=True)
    (deep / "runs").symlink_to(runs.absolute())
    assert invoke("ls", "deep").out.splitlines()[-1] == "0 runs"
    assert invoke("ls", "deep/1/2").out.splitlines()[-1].startswith("4 runs")


def test_too_few_digits_of_an_id(invoke: Callable[..., Ended]) -> None:
    write(Path("runs"), record(seed=5), "mlp-s5-e50000000000")
    message = "Of a run's id write four digits or more, as regbench ls shows them: default/e50000000000\n"
    assert invoke("rm", "e5", "--yes").err == f"error: no directory 'e5'. {message}"
    assert invoke("ls", "e500").out.splitlines()[-1].startswith("1 run")


def test_an_empty_folder_has_no_runs(invoke: Callable[..., Ended]) -> None:
    Path("runs").mkdir()
    result = invoke("ls", "--status", "failed", "--sort", "seed", "--show", "norm")
    assert (result.code, result.out.splitlines()[-1]) == (0, "0 runs")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ls", "nowhere"], "no directory 'nowhere'"),
        (["ls", "--status", "done"], "--status done: no value 'done' in --status. Did you mean 'completed'?"),
        (["ls", "--where", "nrom=batch"], "Did you mean 'norm'?"),
        (["ls", "--where", "norm <"], "is not a condition"),
        (["rm", "--where", "norm != nnoe", "--yes"], "no value 'nnoe' in the runs of 'norm'. Did you mean 'none'?"),
        (["ls", "--show", "norm=none"], "--show norm=none: takes keys without values"),
        (["ls", "--where", "norm > 3"], "neither is less"),
        (["ls", "--sort", "sed"], "Did you mean 'seed'?"),
        (["ls", "--show", "sed"], "Did you mean 'seed'?"),
        (["ls", "--by", "sed"], "Did you mean 'seed'?"),
        (["ls", "--sort", "-sed"], "--sort -sed: no key 'sed'"),
        (["ls", "-o", "runs.xyz"], "--output runs.xyz: no format 'xyz'"),
        (["ls", "--sort", "seed", "--sort", "norm"], "--sort: is given 2 times"),
        (["rm"], "rm needs run directories, or a filter: --status failed, or --where CONDITION"),
        (["rm", "runs"], "runs is a folder of studies, not a study or a run. Choose some runs with"),
        (["rm", "runs/default/a", "."], ". is a folder of studies"),
        (
            ["explain", "runs/default"],
            "explain runs/default: needs a cell, as in norm=batch. To list all runs: regbench",
        ),
        (["rm", "nowhere"], "no directory 'nowhere'"),
        (["rm", "--where", "sed=1"], "Did you mean 'seed'?"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(arguments: list[str], message: str, runs: Path, invoke: Any) -> None:
    result = invoke(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    assert message in result.err
    assert len(list(runs.rglob("run.json"))) == 4


def test_the_statuses_offered_are_those_there_are() -> None:
    (option,) = (option for option in cli.ls.params if option.name == "statuses")
    assert tuple(option.type.choices) == STATES


def test_it_imports_neither_pandas_nor_torch(runs: Path) -> None:
    script = (
        "import sys\nfrom regbench.cli.group import main\ntry: main(['ls'])\n"
        "except SystemExit as end: assert not end.code, end.code\nprint(*sys.modules, sep='\\n')"
    )
    modules = set(subprocess.check_output([sys.executable, "-c", script], text=True).split())
    assert "regbench.records.listing" in modules
    assert not modules & {"torch", "pandas", "hydra", "omegaconf", "scipy", "rich"}


def in_a_terminal(environment: dict[str, str]) -> str:
    """What `regbench ls` writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    done = subprocess.run(LS, stdout=theirs, stderr=theirs, env=os.environ | {"COLUMNS": "80"} | environment)
    os.close(theirs)
    text = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 0
    return text


@pytest.mark.slow
def test_a_terminal_gets_colours_unless_they_are_not_wanted(runs: Path) -> None:
    assert "\x1b[32mcompleted" in in_a_terminal({"NO_COLOR": ""})
    assert "\x1b" not in in_a_terminal({"NO_COLOR": "1"})
    assert b"\x1b" not in subprocess.check_output(LS)


def test_names_cannot_steer_the_terminal(runs: Path) -> None:
    write(runs, record(seed=9), "\x1b[31mred")
    assert "\x1b" not in to_table(listing([runs]), ["seed"])


# rm


def test_it_shows_asks_and_removes(runs: Path, invoke: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    refused = invoke("rm", "--status", "failed", "--status", "killed")
    assert refused.code == 0
    assert "default/c" in refused.out
    assert "Remove 2 runs, 0.0 MB? [y/N]" in refused.out
    assert refused.out.endswith("nothing removed\n")
    assert names() == ["a", "b", "c", "d"]
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    agreed = invoke("rm", "--status", "failed", "--status", "killed")
    assert (agreed.code, agreed.err) == (0, "")
    assert agreed.out.endswith("2 runs removed\n")
    assert sorted(path.name for path in (runs / "default").iterdir()) == ["a", "b"]


def test_nothing_is_removed_where_nobody_answers(runs: Path, invoke: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert invoke("rm", "--status", "failed").code == 130
    assert names() == ["a", "b", "c", "d"]


def test_a_study_is_removed_with_its_folder(runs: Path, invoke: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write(runs, record(seed=0, study="old"), "x")
    write(runs, record(seed=1, study="old"), "y")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    result = invoke("rm", "runs/old")
    assert "Remove 2 runs, 0.0 MB? [y/N]" in result.out
    assert result.out.endswith("2 runs removed\n")
    assert not (runs / "old").exists()
    (runs / "default/notes.txt").write_text("mine")
    assert invoke("rm", "--yes", "runs/default").code == 0
    assert [path.name for path in (runs / "default").iterdir()] == ["notes.txt"]
    assert invoke("rm", "--yes", "runs/default").err == "error: runs/default: is neither a run nor a folder of runs\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (json.dumps({"format": 2}), "was written by a newer regbench (format 2; this one reads format 1)"),
        ("{", "is no JSON (line 1, column 2)"),
        ("", "is empty"),
        ('{"name": "not ours"}', "is no record of a run"),
        (json.dumps(record() | {"status": "done"}), "is damaged (status: Input should be 'running', 'completed'"),
    ],
    ids=["newer", "broken", "empty", "other", "damaged"],
)
def test_a_run_that_cannot_be_read_says_why(content: str, reason: str, runs: Path, invoke: Any) -> None:
    path = runs / "default/b/run.json"
    path.write_text(content)
    assert f"1 unreadable: {path} {reason}" in invoke("ls").out
    for command in (["rm", "--yes", "runs/default/b"], ["rm", "--yes", "runs/default"]):
        assert invoke(*command).err.startswith(f"error: {path} {reason}")
    assert f"1 unreadable: {path} {reason}" in " ".join(invoke("summary", "runs").out.split())
    summary = invoke("summary", "runs/default/b")
    assert summary.err.startswith(f"error: no runs in runs/default/b that can be read: {path} {reason}")
    assert "regbench train" not in summary.err
    assert path.exists()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_run_that_an_editor_saved_again_is_read(encoding: str, runs: Path, invoke: Any) -> None:
    path = runs / "default/b/run.json"
    path.write_text(path.read_text(), encoding=encoding)
    assert names() == ["a", "b", "c", "d"]
    assert json.loads(invoke("summary", "runs", "--format", "json").out)["unreadable"] == {}
    assert invoke("rm", "--yes", "runs/default/b").code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "redirect", "message"),
    [
        ("rm --status failed", "<&-", "rm: standard input or output is closed, and nobody can answer. To remove with"),
        ("rm --status failed", ">&-", "rm: standard input or output is closed, and nobody can answer. To remove with"),
        ("ls", ">&-", "standard output is closed: nothing can be printed. To write a file, add --output FILE"),
        ("explain norm=none", ">&-", "standard output is closed: nothing can be printed."),
    ],
)
def test_an_unusable_input_or_output_is_one_line(words: str, redirect: str, message: str, runs: Path) -> None:
    command = f"{sys.executable} -m regbench {words} {redirect}"
    done = subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, capture_output=True)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert done.stderr.decode().startswith(f"error: {message}")
    assert names() == ["a", "b", "c", "d"]


def test_runs_are_removed_by_path_and_by_filter(runs: Path, invoke: Any) -> None:
    assert invoke("rm", "--yes", runs / "default/b").code == 0
    assert names() == ["a", "c", "d"]
    assert invoke("rm", "--yes", "runs", "--where", "seed >= 2").code == 0
    assert names() == ["a"]
    assert invoke("rm", "--yes", "--where", "seed=5").out == "no such run: nothing removed\n"


def test_a_run_in_use_is_left(runs: Path, invoke: Any) -> None:
    with FileLock(runs / "default/d/.lock"):
        result = invoke("rm", "--yes", "--where", "seed > 1")
    assert (result.code, result.err) == (1, "left: runs/default/d: a process is training it\n")
    assert "1 run removed" in result.out
    assert names() == ["a", "b", "d"]


def test_a_run_that_changed_after_it_was_listed_is_left(runs: Path) -> None:
    (entry,) = listing(["runs"]).only(["failed"]).entries
    path = entry.path / "run.json"
    path.write_text(path.read_text().replace('"failed"', '"running"'))
    assert removal.remove(entry) == "changed meanwhile"
    assert path.exists()


def test_a_run_that_is_gone_is_removed(runs: Path) -> None:
    first, again = (listing([runs / "default/a"]).entries[0] for _ in range(2))
    assert removal.remove(first) is None
    assert removal.remove(again) is None
    assert not (runs / "default/a").exists()


def test_what_is_no_run_is_left(runs: Path, invoke: Any) -> None:
    outer = write(Path("more"), record(seed=7), "outer")
    inner = write(outer, record(seed=8), "inner")
    (runs / "default/notes").mkdir()
    (runs / "default/notes/run.json").write_text('{"name": "not ours"}')
    result = invoke("rm", "--yes", "runs", "more", "--where", "seed >= 0")
    assert (runs / "default/notes/run.json").exists()
    assert inner.exists()
    assert "left: more/default/outer: holds other folders" in result.err
    assert names() == []


def test_a_link_is_left(runs: Path, invoke: Any) -> None:
    Path("link").symlink_to("runs/default/a")
    result = invoke("rm", "--yes", "link")
    assert (result.code, result.err) == (1, "left: link: is a link\n")
    assert (runs / "default/a/run.json").exists()


def test_runs_behind_a_linked_study_are_left(runs: Path, invoke: Any, tmp_path_factory: Any) -> None:
    outside = tmp_path_factory.mktemp("outside")
    write(outside, record(seed=7), "theirs")
    (runs / "evil").symlink_to(outside / "default")
    for command in (["--where", "seed=7"], ["runs/evil"], ["runs/evil/theirs"]):
        result = invoke("rm", "--yes", *command)
        assert result.code == 1
        assert result.err == "left: runs/evil/theirs: is behind a link: runs/evil. Name the folder that it leads to\n"
    assert (outside / "default/theirs/run.json").exists()


def test_the_folder_of_all_runs_may_be_a_link(runs: Path, invoke: Any) -> None:
    runs.rename("elsewhere")
    runs.symlink_to("elsewhere")
    assert invoke("rm", "--yes", "--where", "seed=0").code == 0
    assert not Path("elsewhere/default/a").exists()


def test_a_run_with_files_of_others_is_left(runs: Path, invoke: Any) -> None:
    (runs / "default/a/notes.txt").write_text("mine")
    result = invoke("rm", "--yes", "runs/default/a")
    assert result.err == "left: runs/default/a: holds notes.txt, which regbench has not written\n"
    assert (runs / "default/a/run.json").exists()


def test_a_dry_run_says_what_would_go_and_what_would_stay(runs: Path, invoke: Any) -> None:
    (runs / "default/a/notes.txt").write_text("mine")
    result = invoke("rm", "--dry-run", "runs/default")
    assert (result.code, names()) == (0, ["a", "b", "c", "d"])
    assert result.out.endswith("3 runs, 0.0 MB, would be removed\n")
    assert "holds notes.txt" in result.err


def test_an_interrupted_removal_leaves_no_run(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", stop)
    with pytest.raises(KeyboardInterrupt):
        removal.remove(listing([runs / "default/a"]).entries[0])
    assert names() == ["b", "c", "d"]


def test_a_run_that_cannot_be_removed_says_why(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    assert removal.remove(listing([runs / "default/a"]).entries[0]) == "Permission denied"
    with pytest.raises(UserError):
        removal.chosen([Path("runs")], (), ())
    assert names() == ["a", "b", "c", "d"]
