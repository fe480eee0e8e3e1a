"""Sweeps by regbench's own sweeper and launcher."""

import errno
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock

from regbench.errors import UserError
from regbench.experiment import checks
from regbench.records.run_dir import RunDir
from regbench.training.stack import Stack

pytestmark = [pytest.mark.usefixtures("own_process"), pytest.mark.slow]

ROUNDING = 1e-4  # relative, of float32 over the two steps of TINY
TINY = ["model.hidden=[16]", "data.train_size=200", "data.val_size=100", "epochs=1", "runtime.threads=1"]


def records(study: str = "runs/default") -> list[dict[str, Any]]:
    """What the run.json of each run holds, in the order in which the runs began."""
    paths = sorted(Path(study).iterdir(), key=lambda path: (path / "config.yaml").stat().st_mtime_ns)
    return [json.loads((path / "run.json").read_text()) for path in paths]


def seeds() -> list[int]:
    return [record["config"]["seed"] for record in records()]


def written() -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in Path().rglob("*")}


def ended_runs(output: str) -> list[str]:
    """What tells the runs apart in the lines of those that have ended."""
    return [match[1] for match in re.finditer(r"^\d+ of \d+ done, .*?  (\S.*?)  \S", output, re.MULTILINE)]


@pytest.fixture
def fails(monkeypatch):
    """`fails(1, 3)`: from now on the runs with these seeds fail, and every stack that has one of them."""
    original = Stack.step

    def of_seeds(*chosen: int) -> None:
        def step(self: Stack, *batch: Any) -> Any:
            if any(config.seed in chosen for config in self.configs):
                raise ZeroDivisionError("boom")
            return original(self, *batch)

        monkeypatch.setattr(Stack, "step", step)

    return of_seeds


# What is planned


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        (["seed=range(0,4)", "dropout=0.1,0.2,1.5"], ["dropout=1.5", "a number in [0, 1)"]),
        (["seed=0,1,2,3,4,5,-6,7,8,9,10,11"], ["seed=-6", "an integer of at least 0"]),
        (["norm=none,batch,bacth"], ["norm=bacth", "Did you mean 'batch'?"]),
        (["norm=none,group", "norm.groups=7"], ["norm.groups"]),
        (["norm=none,instance"], ["norm=instance"]),
        (["optimizer=adam,sgd", "optimizer.betas=[0.1,0.2]"], ["In 1 of 2 runs: optimizer=sgd."]),
        (["data.label_noise=0,1.5"], ["data.label_noise=1.5", "[0, 1]"]),
        (["norm=none,batch", "batch_size=199"], ["batch_size=199", "norm=batch"]),
        (["seed=0,1", "runtime.device=cuda:99"], ["runtime.device=cuda:99", "cpu"]),
        (["study=one,../two"], ["study=../two", "letters"]),
        (["dropout=0.1,${nope}"], ["nope"]),
        (["seed=interval(0,1)"], ["seed=interval(0,1)", "optuna"]),
        (["norm=glob(x*)"], ["norm=glob(x*)", "no runs"]),
        (["hydra.job.name=a,b"], ["hydra.job.name=a,b"]),
        (["hydra.sweeper.max_batch_size=1"], ["max_batch_size", "params"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_one_mistake_anywhere_and_nothing_is_trained(train, sweep, words):
    ended = train("-m", *TINY, *sweep)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert not [word for word in words if word not in ended.err], ended.err
    assert written() == {}


def test_it_says_what_it_is_going_to_do(train):
    first = train("-m", *TINY, "seed=0,1")
    assert (first.code, first.err) == (0, "")
    assert first.out.startswith("2 runs: 2 to train in 1 stack\n")
    more = train("-m", *TINY, "seed=0,1,2,0,2", "batch_size=100")
    assert (more.code, more.err) == (0, "")
    assert more.out.startswith("3 runs (2 duplicates left out): 2 done already, 1 to train\n")
    assert ended_runs(more.out) == ["seed=2"]
    before = written()
    again = train("-m", *TINY, "seed=0,1,2")
    assert again.code == 0
    assert again.out.startswith("3 runs: 3 done already\n")
    assert ended_runs(again.out) == []
    assert written() == before


def test_runs_are_trained_in_the_order_of_the_sweep(train):
    ended = train("-m", "norm=layer,none", "seed=2,0,1", *TINY)
    assert ended.code == 0
    assert began() == [(norm, seed) for norm in ("layer", "none") for seed in (2, 0, 1)]
    assert ended.out.startswith("6 runs: 6 to train in 2 stacks\n")
    assert sorted(ended_runs(ended.out)) == sorted(f"norm={norm} seed={seed}" for norm, seed in began())


def test_runs_that_train_one_by_one_keep_the_order_too(train):
    ended = train("-m", "norm=layer,none", "seed=2,0,1", *TINY, "runtime.stack=1")
    assert ended.code == 0
    assert began() == [(norm, seed) for norm in ("layer", "none") for seed in (2, 0, 1)]
    assert ended.out.startswith("6 runs: 6 to train\n")
    assert sorted(ended_runs(ended.out)) == sorted(f"norm={norm} seed={seed}" for norm, seed in began())


def began() -> list[tuple[str, int]]:
    """Norm and seed of each run, in the order in which they began."""
    return [(record["config"]["norm"]["name"], record["config"]["seed"]) for record in records()]


@pytest.mark.parametrize(
    ("sweep", "expected"),
    [
        ("seed=range(0,3)", [0, 1, 2]),
        ("seed=range(3,0,step=-2)", [3, 1]),
        ("seed=choice(4,2)", [4, 2]),
        ("seed=sort(3,1,2)", [1, 2, 3]),
        ("seed=sort(3,1,2,reverse=true)", [3, 2, 1]),
        ("+hydra.sweeper.params.seed='1,2'", [1, 2]),
    ],
)
def test_sweeps_are_written_as_for_hydra(train, sweep, expected):
    assert train("-m", sweep, *TINY).code == 0
    assert seeds() == expected


def test_shuffled_values_are_all_trained(train):
    assert train("-m", "seed=shuffle(range(0,4))", *TINY).code == 0
    assert sorted(seeds()) == [0, 1, 2, 3]


def test_options_may_be_globbed(train):
    assert train("-m", "norm=glob([b*,l*,g*],exclude=[group])", *TINY).code == 0
    assert [record["config"]["norm"]["name"] for record in records()] == ["batch", "layer"]


def test_a_command_line_value_replaces_the_sweeper_s(train):
    assert train("-m", "seed=5", "+hydra.sweeper.params.seed='1,2'", *TINY).code == 0
    assert seeds() == [5]


def test_forced_runs_are_trained_again(train):
    train("-m", "seed=0,1", *TINY)
    ended = train("-m", "seed=0,1", "force=true", *TINY)
    assert ended.out.startswith("2 runs: 2 to train in 1 stack\n")


def test_jobs_know_their_number(train):
    ended = train("-m", "seed=${hydra:job.num}", "norm=none,layer,batch", *TINY)
    assert (ended.code, ended.err) == (0, "")
    assert seeds() == [0, 1, 2]


# The plan alone


def test_a_plan_trains_nothing(train):
    ended = train("-m", "norm=none,layer", "seed=0,1,2", "runtime.stack=2", *TINY, "--plan")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == "6 runs: 6 to train in 4 stacks"
    table = [line.split()[:3] for line in lines if line.startswith(" ") and line.split()[0].isdigit()]
    assert table == [["2", "3", "norm=none"], ["2", "3", "norm=layer"]]
    assert "train_size" not in ended.out, "all runs have it"
    assert lines[-6:-3] == [
        "4 stacks, because only seed, init, rates and the like may differ within one:",
        "  norm differs: none, layer",
        "  runtime.stack=2 is the most for a stack",
    ]
    assert re.fullmatch(
        r"Time: about \d+ s in one process on this machine \(from a few timed steps of .*\)\.", lines[-3]
    )
    assert re.fullmatch(r"Disk: about [34]\d\d kB\.", lines[-2])
    assert lines[-1].startswith("Smallest difference: ")
    assert written() == {}


def test_a_plan_leaves_out_what_is_done(train):
    train("-m", "seed=0,1", *TINY)
    before = written()
    ended = train("-m", "seed=0,1,2", *TINY, "--plan")
    assert ended.out.startswith("3 runs: 2 done already, 1 to train\n")
    ended = train("-m", "seed=0,1", *TINY, "--plan")
    assert (ended.code, ended.out) == (0, "2 runs: 2 done already\n")
    assert written() == before


def test_a_plan_takes_the_time_of_runs_like_these(train):
    train("-m", "seed=0,1", *TINY)
    for path in Path("runs").rglob("run.json"):  # 100 s for each
        record = json.loads(path.read_text())
        record["result"]["seconds"] = 100.0
        path.write_text(json.dumps(record))
    ended = train("-m", "seed=2,3,4,5", *TINY[:3], "epochs=3", TINY[-1], "--plan")
    shown = next(line for line in ended.out.splitlines() if line.startswith("Time"))
    assert re.fullmatch(r"Time: about 8[34] min in one process .*\(as runs like these took\)\.", shown)


def test_a_plan_downloads_nothing(train, monkeypatch, tmp_path):
    monkeypatch.setattr("regbench.data.download._download", pytest.fail)
    ended = train("-m", "data=mnist,kmnist", f"runtime.cache={tmp_path}", *TINY, "--plan")
    assert (ended.code, ended.err) == (0, "")
    assert "kmnist: not downloaded yet" in ended.out.splitlines()
    assert "Time: " in ended.out


def test_a_plan_is_checked_as_the_sweep(train):
    ended = train("-m", "seed=0,-1", *TINY, "--plan")
    assert (ended.code, ended.out) == (2, "")
    assert "seed=-1" in ended.err


def test_there_is_no_plan_for_one_run(train):
    ended = train(*TINY, "--plan")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: --plan: ")
    assert "-m" in ended.err
    assert written() == {}


# What is kept


def test_a_run_of_a_sweep_is_recorded_as_the_run_alone(train):
    assert train("-m", "norm=batch,none", "seed=1,2", *TINY).code == 0
    assert [record["overrides"][:2] for record in records()] == [
        [f"norm={norm}", f"seed={seed}"] for norm in ("batch", "none") for seed in (1, 2)
    ]
    alone = train("norm=none", "seed=2", *TINY)
    assert alone.code == 0
    assert alone.out.startswith("already trained")
    assert train("norm=none", "seed=2", *TINY, "runtime.dir=alone").code == 0
    (run,) = records("alone/default")
    (swept,) = [record for record in records() if record["identity"] == run["identity"]]
    assert swept.keys() == run.keys()
    assert swept["overrides"] == run["overrides"][:-1]
    assert (swept["stack"], run["stack"]) == (2, 1)
    assert {**swept["config"], "runtime": None} == {**run["config"], "runtime": None}
    assert without_seconds(swept["result"]) == without_seconds(run["result"])


def without_seconds(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if "seconds" not in key}


def test_nothing_of_hydra_is_written(train):
    assert train("-m", "seed=0,1", "study=mine", *TINY).code == 0
    assert [path.name for path in Path().iterdir()] == ["runs"]
    assert [path.name for path in Path("runs").iterdir()] == ["mine"]
    expected = {"config.yaml", "layers.csv", "metrics.csv", "run.json", "train.log"}
    expected |= {"model.safetensors", "predicted.safetensors", "histograms.safetensors"}
    for run in Path("runs/mine").iterdir():
        assert {path.name for path in run.iterdir() if not path.name.startswith(".")} == expected


# How it ends


def test_it_ends_with_the_table_of_its_own_runs(train):
    train("norm=layer", "seed=7", *TINY)
    train("-m", "norm=none", "seed=7,0,1", *TINY)
    ended = train("-m", "norm=batch,none", "seed=0,1", *TINY)
    table = ended.out[ended.out.index("test_acc %") :]
    assert "batch  2" in table
    assert "none   2" in table
    assert "layer" not in table
    assert "4 runs, all completed" in table
    *_, where, command = ended.out.splitlines()
    assert re.fullmatch(r"4 runs in runs/default, 2 trained in \d:\d\d:\d\d. To compare them:", where)
    assert command == "  regbench summary runs/default --baseline norm=none"


def test_a_run_that_fails_stops_no_other(train, fails):
    fails(1)
    ended = train("-m", "seed=0,1,2", *TINY)
    assert ended.code == 1
    assert ended.err.splitlines() == [
        f"warning: {runs} runs together failed (ZeroDivisionError: boom): in halves from here" for runs in (3, 2)
    ]
    assert [record["status"] for record in records()] == ["completed", "failed", "completed"]
    assert "3 runs, 2 completed" in ended.out
    *_, heading, line, again = ended.out.splitlines()
    assert heading == "1 run not completed:"
    assert again == f"To retry just these: regbench train -m seed=0,1,2 {shlex.join(TINY)}"
    (log,) = Path("runs/default").glob("*-s1-*/train.log")
    assert line == f"  seed=1 {' '.join(TINY)}: ZeroDivisionError: boom ({log})"
    assert "boom" in log.read_text()
    assert not [path for path in Path("runs/default").glob("*-s[02]-*/train.log") if "boom" in path.read_text()]


def test_a_stack_is_halved_until_the_culprits_are_alone(train, fails):
    fails(2, 6)
    ended = train("-m", "seed=range(0,8)", *TINY)
    assert ended.code == 1
    assert [line.split()[1] for line in ended.err.splitlines()] == ["8", "4", "2", "4", "2"]
    assert [record["status"] for record in records()] == [
        "failed" if seed in (2, 6) else "completed" for seed in range(8)
    ]
    fails()
    assert train("-m", "seed=range(0,8)", *TINY, "runtime.dir=sound").code == 0
    sound = {record["config"]["seed"]: without_seconds(record["result"]) for record in records("sound/default")}
    for record in records():
        if record["status"] == "completed":
            found, expected = without_seconds(record["result"]), sound[record["config"]["seed"]]
            for epoch in ("last", "best_val"):
                assert found[epoch] == pytest.approx(expected[epoch], rel=ROUNDING)


def test_runs_one_by_one_fail_one_by_one(train, fails):
    fails(1)
    ended = train("-m", "seed=0,1,2", *TINY, "runtime.stack=1")
    assert (ended.code, ended.err) == (1, "")
    assert [record["status"] for record in records()] == ["completed", "failed", "completed"]


def test_failed_runs_are_trained_again(train, fails):
    fails(0, 1)
    assert train("-m", "seed=0,1,2", *TINY).code == 1
    fails()
    ended = train("-m", "seed=0,1,2", *TINY)
    assert ended.code == 0
    assert ended.out.startswith("3 runs: 1 done already, 2 to train in 1 stack\n")
    assert "not completed" not in ended.out
    assert [record["status"] for record in records()] == ["completed"] * 3


def test_runs_that_diverge_are_no_failure(train):
    tiny = [word for word in TINY if word != "epochs=1"]
    ended = train("-m", "optimizer=sgd", "optimizer.lr=1e9,0.1", *tiny, "epochs=2")
    assert (ended.code, ended.err) == (0, "")
    assert sorted(record["status"] for record in records()) == ["completed", "diverged"]
    assert "not completed" not in ended.out


def test_the_command_that_is_shown_forces_nothing(train, fails):
    fails(1)
    ended = train("-m", "seed=0,1", "force=true", *TINY)
    assert ended.out.splitlines()[-1] == f"To retry just these: regbench train -m seed=0,1 {shlex.join(TINY)}"


class Other:
    """Another process that has a run, until the sweep has looked at it twice."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._lock, self.looks = FileLock(path / ".lock"), 0
        self._lock.acquire()
        monkeypatch.setattr("regbench.sweep.sharing.time.sleep", self._look)

    def _look(self, _: float) -> None:
        self.looks += 1
        if self.looks == 2:
            self.ends()
            self._lock.release()

    def ends(self) -> None:
        """What it leaves."""


def test_a_run_in_use_stops_no_other_and_is_waited_for(train, monkeypatch):
    train("-m", "seed=0,1", *TINY)
    (locked,) = Path("runs/default").glob("*-s0-*")
    before = (locked / "run.json").stat().st_mtime_ns
    other = Other(locked, monkeypatch)
    ended = train("-m", "seed=0,1,2", "force=true", *TINY)
    assert ended.code == 0, "it is done, by whoever had it"
    assert other.looks == 2
    assert ended.err.startswith(f"warning: {locked}: another process is training this run")
    assert "waits for 1 run that another process is training" in ended.out
    assert (locked / "run.json").stat().st_mtime_ns == before
    assert seeds() == [0, 1, 2]


def test_a_run_that_another_process_left_undone_is_trained(train, monkeypatch):
    train("-m", "seed=0", *TINY)
    (locked,) = Path("runs/default").glob("*-s0-*")
    record = json.loads((locked / "run.json").read_text()) | {"status": "running", "result": None}
    (locked / "run.json").write_text(json.dumps(record))
    Other(locked, monkeypatch)
    ended = train("-m", "seed=0,1", *TINY)
    assert ended.code == 0
    assert {record["status"] for record in records()} == {"completed"}


def test_a_run_that_failed_elsewhere_is_not_tried_again(train, fails, monkeypatch):
    fails(0)
    train("-m", "seed=0", *TINY)
    fails()
    (locked,) = Path("runs/default").glob("*-s0-*")
    Other(locked, monkeypatch)
    ended = train("-m", "seed=0,1", *TINY)
    assert ended.code == 1
    *_, heading, line, _ = ended.out.splitlines()
    assert heading == "1 run not completed:"
    assert str(locked) in line
    assert [record["status"] for record in records()] == ["failed", "completed"]


def refuse_to_open(monkeypatch: pytest.MonkeyPatch, lock: Path) -> None:
    """As if the lock were another user's, which the superuser of a test may open."""
    opened = os.open

    def of_others(path: Any, *arguments: Any, **options: Any) -> int:
        if Path(path).absolute() == lock.absolute():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", of_others)


def refuse_to_lock(monkeypatch: pytest.MonkeyPatch, lock: Path) -> None:
    def flock(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", flock)


def put_a_folder_there(monkeypatch: pytest.MonkeyPatch, lock: Path) -> None:
    lock.unlink()
    lock.mkdir()


@pytest.mark.parametrize("refuse", [refuse_to_open, refuse_to_lock, put_a_folder_there])
def test_a_lock_that_nobody_can_take_is_not_waited_for(train, monkeypatch, refuse):
    train("-m", "seed=0,1", *TINY)
    (locked,) = Path("runs/default").glob("*-s0-*")
    refuse(monkeypatch, locked / ".lock")
    monkeypatch.setattr("regbench.sweep.sharing.time.sleep", lambda _: pytest.fail("it waits"))
    ended = train("-m", "seed=0,1", "force=true", *TINY)
    assert ended.code == 1
    assert len([line for line in ended.err.splitlines() if str(locked) in line]) == 1, ended.err
    assert ended.err.startswith(f"warning: {locked / '.lock'} cannot be locked: ")
    assert "not completed:" in ended.out


def test_a_run_that_cannot_begin_is_given_up(train, monkeypatch):
    def refuse(self: RunDir) -> RunDir:
        raise UserError("no place")

    monkeypatch.setattr(RunDir, "__enter__", refuse)
    ended = train("-m", "seed=0,1", *TINY)
    assert ended.code == 1
    assert "2 runs not completed:" in ended.out
    assert ended.err.count("no place") == 2 * 4


@pytest.fixture
def interrupted(monkeypatch):
    """Ctrl-C in the first step of a stack that has a run with seed 1."""
    original = Stack.step

    def stop(self: Stack, *batch: Any) -> Any:
        if any(config.seed == 1 for config in self.configs):
            raise KeyboardInterrupt
        return original(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(Stack, "step", stop)
        yield patch


@pytest.mark.parametrize(
    ("stack", "statuses", "left"),
    [
        (1, ["completed", "interrupted"], "1 done already, 2 to train"),
        (2, ["completed", "interrupted", "interrupted"], "1 done already, 2 to train in 1 stack"),
        (3, ["interrupted"] * 3, "3 to train in 1 stack"),
    ],
)
def test_ctrl_c_ends_the_sweep_and_the_same_command_goes_on(train, interrupted, stack, statuses, left):
    ended = train("-m", "seed=0,1,2", *TINY, f"runtime.stack={stack}")
    assert ended.code == 130
    done = statuses.count("completed")
    command = f"regbench train -m seed=0,1,2 {shlex.join(TINY)} runtime.stack={stack}"
    assert ended.err == f"Interrupted: {done} of 3 runs done. To resume: {command}\n"
    assert [record["status"] for record in records()] == statuses
    interrupted.undo()
    again = train("-m", "seed=0,1,2", *TINY, f"runtime.stack={stack}")
    assert again.code == 0
    assert again.out.startswith(f"3 runs: {left}\n")
    assert [record["status"] for record in records()] == ["completed"] * 3


def test_a_crash_outside_of_training_is_no_mistake(train, monkeypatch):
    def crash(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(checks, "check_techniques", crash)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        train("-m", "seed=0,1", *TINY)


def test_off_prints_nothing(train):
    ended = train("-m", "seed=0,1", *TINY, "runtime.progress=off")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


# With Hydra's own


@pytest.mark.parametrize(
    "plugins",
    [["hydra/sweeper=basic", "hydra/launcher=basic"], ["hydra/launcher=basic"], ["hydra/sweeper=basic"]],
    ids=" ".join,
)
def test_hydra_s_own_sweeper_and_launcher_work(train, plugins: Sequence[str]):
    ended = train("-m", *plugins, "seed=0,1", *TINY)
    assert (ended.code, ended.err) == (0, "")
    assert seeds() == [0, 1]
    assert [record["overrides"] for record in records()] == [[f"seed={seed}", *TINY] for seed in (0, 1)]
    assert [path.name for path in Path().iterdir()] == ["runs"]
    assert all(path.is_dir() for path in Path("runs/default").iterdir())


def test_pandas_is_imported_after_training_and_a_sweep_may_be_piped_as_plain_ascii():
    code = (
        "import sys\nfrom regbench.experiment import train as experiment\n"
        "from regbench.cli.main import main\noriginal = experiment.train\n"
        "def checked(*args): original(*args); print('pandas' in sys.modules)\n"
        "experiment.train = checked\nmain()"
    )
    command = [sys.executable, "-c", code, "train", "-m", "norm=none,layer", "seed=0,1", *TINY]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert [line for line in done.stdout.splitlines() if line in ("True", "False")] == ["False", "False"]
    assert "4 runs, all completed" in done.stdout


# A limit of time


@pytest.mark.parametrize("launcher", ["local", pytest.param("processes", marks=pytest.mark.stress)])
def test_no_run_begins_when_the_time_is_over_and_the_same_command_resumes(train, launcher):
    sweep = ["-m", *TINY, "seed=0,1", f"hydra/launcher={launcher}"]
    ended = train(*sweep, "hydra.sweeper.max_seconds=1e-9")
    assert (ended.code, ended.err) == (0, "")
    assert not Path("runs").exists()
    left, command = ended.out.rstrip().splitlines()[-1].split(". To resume: ")
    assert left == "2 of 2 runs left, as hydra.sweeper.max_seconds=1e-09 are over"
    assert shlex.split(command)[2:] == [*sweep, "hydra.sweeper.max_seconds=1e-9"]
    assert " left, as " not in train(*sweep, "hydra.sweeper.max_seconds=1000").out
    assert sorted(seeds()) == [0, 1]


def test_what_has_begun_is_trained_to_its_end(train, monkeypatch):
    clock = SimpleNamespace(time=lambda: 1e12 if any(Path("runs").glob("default/mlp-*")) else 0.0)
    monkeypatch.setattr("regbench.experiment.run.time", clock)
    ended = train("-m", *TINY, "seed=range(0,3)", "runtime.stack=1", "hydra.sweeper.max_seconds=1000")
    assert (ended.code, ended.err) == (0, "")
    assert [record["status"] for record in records()] == ["completed"]
    assert "test_acc in %" in ended.out
    assert ", 1 trained in " in ended.out
    assert "\n2 of 3 runs left, as " in ended.out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["hydra.sweeper.max_seconds=0"], "hydra.sweeper.max_seconds=0: must be a number above 0"),
        (["hydra.sweeper.max_seconds=9", "hydra/launcher=basic"], "hydra.sweeper.max_seconds=9: needs a launcher of"),
        (["hydra.sweeper.max_seconds=9", "--until-decided"], "hydra.sweeper.max_seconds: ends a grid, and --until"),
        (["hydra.sweeper.max_seconds=soon"], "hydra.sweeper.max_seconds=soon: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_limit_that_cannot_be_kept_is_one_line(train, words, problem):
    ended = train("-m", *TINY, "norm=none,batch", *words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: {problem}")
    assert ended.err.count("\n") == 1
