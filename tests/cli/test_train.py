import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from regbench.cli.arguments import spelled_out
from regbench.cli.command_line import CommandLine
from regbench.config.run_config import AXES, RunConfig
from regbench.data import datasets, idx
from regbench.experiment.checks import check
from regbench.experiment.reporter import Reporter
from regbench.records import run_dir
from regbench.training.stack import Stack
from support import Ended

TINY = ["model.hidden=[16]", "data.train_size=500", "data.val_size=100", "epochs=2", "runtime.threads=1"]


pytestmark = [pytest.mark.usefixtures("own_process"), pytest.mark.slow]


def regbench(*arguments: str, **how: Any) -> Ended:
    """Run the command in a new process."""
    command = [*how.pop("before", []), sys.executable, "-m", "regbench", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **how)
    return Ended(done.returncode, done.stdout, done.stderr)


def runs(study: Path) -> list[Path]:
    return sorted(path for path in study.iterdir() if path.is_dir())


def only_run() -> Path:
    (path,) = runs(Path("runs/default"))
    return path


def record(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / "run.json").read_text())
    return content


def numbers(path: Path) -> tuple[Any, ...]:
    """Metrics without seconds, weights, figures, test images."""
    with (path / "metrics.csv").open(newline="") as file:
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    result = {key: value for key, value in record(path)["result"].items() if "seconds" not in key}
    return rows, *((path / f"{name}.safetensors").read_bytes() for name in ("model", "predicted")), result


def assert_mistake(ended: Ended, words: Sequence[str]) -> None:
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("error: ")
    assert ended.err.endswith("\n")
    assert ended.err.count("\n") == 1, ended.err
    assert not [word for word in words if word not in ended.err], ended.err
    assert list(Path.cwd().iterdir()) == [], "nothing is left behind"


# Mistakes

MISTAKES: dict[str, list[str]] = {  # wrong_inputs.txt has many more, with the whole line each
    "runtime=5": ["runtime=5", "a mapping"],
    "data.val_size=70000": ["data.val_size=70000", "60000"],
    # what does not fit together
    "norm=instance": ["norm=instance", "Allowed here: batch, group, layer, none"],
    "norm=group norm.groups=7": ["norm.groups=7", "256", "Nearest: 8", "1, 2, 4, 8"],
    "model=cnn model.channels=[1,2,3,4,5,6]": ["model.channels=[1,2,3,4,5,6]", "5"],
    "optimizer=sgd optimizer.nesterov=true": ["optimizer.nesterov=true", "optimizer.momentum"],
    "model.hidden=[100000000000000000000]": ["model.hidden"],
    # sweeps
    "-m nomr=batch,layer": ["nomr", "Did you mean 'norm'?"],
    "-m seed=-1,-2": ["seed=-1", "an integer of at least 0"],
    "-m study=../x seed=0,1": ["study=../x", "letters"],
    # help for a config that does not exist
    "--help norm=bacth": ["norm=bacth", "Did you mean 'batch'?"],
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_line(train, command):
    assert_mistake(train(*command.split()), MISTAKES[command])


@pytest.mark.parametrize("sweep", [[], ["-m"]], ids=["a run", "a sweep"])
def test_a_file_in_the_place_of_the_runs_is_one_line(train, sweep):
    Path("runs").write_text("in the way")
    ended = train(*sweep, *TINY)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: runtime.dir=runs: ")
    assert ended.err.count("\n") == 1
    assert Path("runs").read_text() == "in the way"


def unprivileged() -> list[str]:
    """Return a prefix that keeps root from writing where permissions forbid it."""
    if os.geteuid():
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root writes everywhere, and there is no setpriv to give up that right")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


@pytest.mark.parametrize("sweep", [pytest.param([], marks=pytest.mark.stress), ["-m"]], ids=["a run", "a sweep"])
def test_runs_that_cannot_be_written_are_one_line(tmp_path, sweep):
    folder = tmp_path / "runs"
    folder.mkdir(mode=0o555)
    ended = regbench("train", *sweep, *TINY, before=unprivileged())
    assert (ended.code, ended.out) == (2, "loading torch\n")
    assert ended.err.startswith("error: runtime.dir=runs: ")
    assert ended.err.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_a_run_in_use_is_one_line(train):
    assert train(*TINY).code == 0
    with FileLock(only_run() / ".lock"):
        ended = train(*TINY, "force=true")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert "another process" in ended.err
    assert ended.err.count("\n") == 1
    assert record(only_run())["status"] == "completed"


def test_a_full_disk_is_one_line(train, monkeypatch):
    def no_space(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(run_dir, "write_atomically", no_space)
    ended = train(*TINY)
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert "No space left on device" in ended.err


# Flags


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ("", ""),
        ("epochs=1 --cfg job norm=batch", "--cfg job epochs=1 norm=batch"),
        ("epochs=1 -m norm=batch --config-dir . seed=3", "-m --config-dir . epochs=1 norm=batch seed=3"),
        ("epochs=1 --cfg=job norm=batch", "--cfg job epochs=1 norm=batch"),
        ("epochs=1 -c job -p optimizer", "-c job -p optimizer epochs=1"),
        ("epochs=1 --info norm=batch", "--info all epochs=1 norm=batch"),
        ("epochs=1 --info config norm=batch", "--info config epochs=1 norm=batch"),
        ("epochs=1 -i=defaults", "-i defaults epochs=1"),
        ("dropout=-1 +x=1 ~y", "dropout=-1 +x=1 ~y"),
    ],
)
def test_flags_may_stand_anywhere(given, passed):
    assert spelled_out(CommandLine(given.split())) == passed.split()


def test_without_hydras_private_parser_flags_stay_in_their_place(monkeypatch):
    monkeypatch.delattr("hydra._internal.utils.get_args_parser")
    assert spelled_out(CommandLine(["-m", "a=1", "--plan"])) == ["hydra.sweeper.plan=true", "-m", "a=1"]


@pytest.mark.parametrize(
    ("word", "passed"),
    [
        ("study=first", "runtime.study=first"),
        ("study=2024", "runtime.study=2024"),
        ("study=größe", "runtime.study='größe'"),
        ("study=1e3", "runtime.study='1e3'"),
        ("runtime.study=1.50", "runtime.study='1.50'"),
        ("study=one,two", "runtime.study=one,two"),
        ("diagnostics=off", "runtime.diagnostics=off"),
        ("optimizer.lr=0.1", "optimizer.lr=choice(0.1)"),
        ("optimizer.lr=0.1,0.2", "optimizer.lr=0.1,0.2"),
        ("model.hidden=[8,8]", "model.hidden=choice([8,8])"),
        ("~optimizer.lr", "~optimizer.lr"),
        ("epochs=3", "epochs=3"),
    ],
)
def test_what_hydra_reads_in_a_sweep(word, passed):
    assert spelled_out(CommandLine(["-m", word])) == ["-m", passed]


def test_cfg_prints_the_config_as_yaml(train):
    ended = train("epochs=1", "--cfg", "job", "norm=batch")
    assert (ended.code, ended.err) == (0, "")
    config = check(yaml.safe_load(ended.out))
    assert (config.epochs, config.norm.name, config.seed) == (1, "batch", 0)
    assert list(Path.cwd().iterdir()) == []


def test_cfg_prints_a_part_of_the_config(train):
    ended = train("optimizer=sgd", "--cfg", "job", "--package", "optimizer")
    assert ended.code == 0
    assert yaml.safe_load(ended.out)["momentum"] == 0.0


def test_info_is_hydra_s(train):
    ended = train("epochs=1", "--info")
    assert (ended.code, ended.err) == (0, "")
    assert "Config search path" in ended.out


def test_help_is_one_screen(train):
    ended = train("norm=batch", "--help")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.rstrip().splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80
    assert "*batch" in ended.out


def test_the_whole_help_has_all(train):
    ended = train("norm=batch", "--help-all")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.rstrip().splitlines()
    assert len(lines) <= 65
    assert max(map(len, lines)) <= 80
    words = set(re.split(r"[\s,]+", ended.out))
    assert {*AXES, *RunConfig.model_fields} - {"runtime"} <= words
    assert "*batch" in words
    assert list(Path.cwd().iterdir()) == []


def test_options_of_one_s_own(train):
    Path("mine/optimizer").mkdir(parents=True)
    Path("mine/optimizer/slow.yaml").write_text(
        "name: sgd\nlr: 0.001\nmomentum: 0.9\ndampening: 0\nweight_decay: 0\nnesterov: true\n"
    )
    ended = train("--config-dir", "mine", "optimizer=slow", *TINY)
    assert ended.code == 0
    assert record(only_run())["config"]["optimizer"]["nesterov"] is True


def test_options_of_one_s_own_may_replace_built_in_ones():
    for name, epochs in (("first", 3), ("second", 4)):
        Path(name, "experiment").mkdir(parents=True)
        Path(name, "experiment/mine.yaml").write_text(f"# @package _global_\nepochs: {epochs}\n")
        Path(name, "norm").mkdir()
    Path("second/norm/none.yaml").write_text("name: batch\neps: 1\nmomentum: 0.1\naffine: true\n")
    folders = os.pathsep.join(["first", "second"])
    ended = regbench("train", "--cfg", "job", "+experiment=mine", env={**os.environ, "REGBENCH_CONFIG_PATH": folders})
    assert (ended.code, ended.err) == (0, "")
    config = yaml.safe_load(ended.out)
    assert (config["epochs"], config["norm"]["eps"]) == (3, 1)


def test_help_imports_no_torch():
    code = (
        "import sys\nfrom regbench.cli.train import train\n"
        "try: train(['--help'])\n"
        "except SystemExit as end: print('modules', *sorted({name.split('.')[0] for name in sys.modules}), end.code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    modules = done.stdout.rstrip().splitlines()[-1].split()
    assert modules[0] == "modules"
    assert modules[-1] in ("0", "None")
    assert "hydra" in modules
    assert {"torch", "torchvision", "pandas", "matplotlib", "scipy"}.isdisjoint(modules)


# Runs


def test_a_run_ends_with_its_figures_and_place(train):
    ended = train(*TINY)
    assert (ended.code, ended.err) == (0, "")
    assert "\x1b" not in ended.out
    assert ended.out.splitlines()[-1] == str(only_run())
    kept = record(only_run())
    assert kept["overrides"] == TINY
    assert kept["status"] == "completed"
    assert check(yaml.safe_load((only_run() / "config.yaml").read_text())) == check(kept["config"])


def test_the_same_command_twice_trains_once(train):
    train(*TINY)
    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*")}
    ended = train(*TINY)
    assert ended.code == 0
    assert ended.out.startswith("already trained")
    assert {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*")} == before


def test_values_may_refer_to_values(train):
    ended = train(*TINY, "dropout=0.25", "dropout_conv=${dropout}")
    assert (ended.code, ended.err) == (0, "")
    assert record(only_run())["config"]["dropout_conv"] == 0.25


def test_a_run_may_be_kept_elsewhere(train, tmp_path):
    assert train(*TINY, "study=first", f"runtime.dir={tmp_path}/deep/down").code == 0
    assert len(runs(tmp_path / "deep/down/first")) == 1
    assert not Path("runs").exists()


def test_off_prints_nothing(train):
    assert train(*TINY, "runtime.progress=off") == Ended(0, "", "")


def test_a_diverged_run_is_no_failure(train):
    wild = [*TINY, "optimizer=sgd", "optimizer.lr=1e6"]
    ended = train(*wild)
    assert (ended.code, ended.err) == (0, "")
    assert "diverged" in ended.out
    ended = train(*wild)
    assert ended.code == 0
    assert ended.out.startswith("already trained")
    assert "diverged" in ended.out


def test_a_failed_run_is_exit_code_1(train, monkeypatch):
    def boom(*_: object) -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(Stack, "step", boom)
    ended = train(*TINY)
    assert (ended.code, ended.err) == (1, "")
    (line,) = [line for line in ended.out.splitlines() if "boom" in line]
    assert line.startswith("failed: ZeroDivisionError: boom")
    assert "train.log" in line
    assert "Traceback" not in ended.out
    assert "Traceback" in (only_run() / "train.log").read_text()


@pytest.mark.parametrize("sweep", [[], ["-m"]], ids=["a run", "a sweep"])
def test_ctrl_c_is_exit_code_130(train, monkeypatch, sweep):
    steps = iter(range(100))

    def stop(*_: object) -> None:
        if next(steps) == 7:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Reporter, "tick", stop)
        ended = train(*sweep, *TINY)
    assert ended.code == 130
    words = " ".join(["regbench train", *sweep, *TINY])
    told = (
        f"Interrupted: 0 of 1 run done. To resume: {words}" if sweep else "Interrupted. Run the same command to resume."
    )
    assert ended.err.replace("'", "") == f"{told}\n"
    assert record(only_run())["status"] == "interrupted"
    metrics = only_run() / "metrics.csv"
    before = metrics.read_text()
    assert before.count("\n") == 2
    assert train(*sweep, *TINY).code == 0
    assert metrics.read_text().startswith(before), "trained again it would take other seconds"
    assert record(only_run())["status"] == "completed"


# Sweeps


@pytest.fixture
def reads(monkeypatch) -> Iterator[list[str]]:
    """The data sets read from files since the test began."""
    names: list[str] = []
    original = idx.read

    def counted(content: Any) -> Any:
        names.append("mnist")
        return original(content)

    for cache in (datasets.load, datasets.load_on):
        cache.cache_clear()
    monkeypatch.setattr(idx, "read", counted)
    yield names


def test_a_sweep_trains_every_combination(train, reads):
    sweep = ["-m", "norm=none,batch", "seed=0,1", *TINY]
    ended = train(*sweep)
    assert (ended.code, ended.err) == (0, "")
    assert reads == ["mnist"]
    study = Path("runs/default")
    assert len(runs(study)) == 4
    assert all(path.is_dir() for path in study.iterdir()), "runs and nothing else"
    found = {(record(path)["config"]["norm"]["name"], record(path)["config"]["seed"]) for path in runs(study)}
    assert found == {("none", 0), ("none", 1), ("batch", 0), ("batch", 1)}
    assert record(runs(study)[0])["overrides"][0].startswith("norm=")
    before = {path: path.stat().st_mtime_ns for path in study.rglob("*")}
    again = train(*sweep)
    assert again.code == 0
    assert again.out.startswith("4 runs: 4 done already\n")
    assert {path: path.stat().st_mtime_ns for path in study.rglob("*")} == before


def test_a_run_of_a_sweep_is_the_run_alone(train):
    train("-m", "seed=0,1", *TINY)
    in_sweep = {record(path)["config"]["seed"]: numbers(path) for path in runs(Path("runs/default"))}
    train(*TINY, "seed=1", "runtime.dir=alone")
    assert numbers(runs(Path("alone/default"))[0]) == in_sweep[1]


def test_studies_may_be_swept_over(train):
    ended = train("-m", "study=one,two", *TINY)
    assert ended.code == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == ["one", "two"]
    assert [len(runs(path)) for path in Path("runs").iterdir()] == [1, 1]


def test_a_sweep_survives_runs_that_diverge(train):
    ended = train("-m", "optimizer=sgd", "optimizer.lr=1e6,0.1", *TINY)
    assert ended.code == 0
    assert sorted(record(path)["status"] for path in runs(Path("runs/default"))) == ["completed", "diverged"]


def test_a_sweep_survives_runs_that_fail(train, monkeypatch):
    original = Stack.step

    def boom(self: Stack, *batch: Any) -> Any:
        if any(config.seed == 0 for config in self.configs):
            raise ZeroDivisionError("boom")
        return original(self, *batch)

    monkeypatch.setattr(Stack, "step", boom)
    ended = train("-m", "seed=0,1", *TINY)
    assert ended.code == 1
    assert sorted(record(path)["status"] for path in runs(Path("runs/default"))) == ["completed", "failed"]


# Real processes


def test_a_real_process_runs_anywhere():
    ended = regbench("train", *TINY)
    assert (ended.code, ended.err) == (0, "")
    assert "\x1b" not in ended.out
    first, *_, last = ended.out.splitlines()
    assert (first, last) == ("loading torch", str(only_run()))


@pytest.mark.parametrize("words", [[], ["-m", "seed=0,1", "norm=none,batch"]])
def test_what_takes_long_to_import_and_is_not_needed_is_not_imported(words):
    """Torch imports sympy and its compiler for a single call of some functions: half a second, and 2.5."""
    code = "import sys\nfrom regbench.cli.main import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, "train", *TINY, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0
    imported = set(done.stderr.splitlines()[-1].split())
    assert "torch" in imported
    assert not {"sympy", "torch._dynamo", "torch._inductor", "torchvision", "matplotlib"} & imported


LONG = ["model.hidden=[64]", "norm=batch", "dropout=0.2", "epochs=8", "data.train_size=10000", "runtime.threads=1"]
LIMIT = 300  # seconds, against a test that hangs


def saved() -> dict[Path, int]:
    """The checkpoints there are, and when each was written."""
    return {path: path.stat().st_mtime_ns for path in Path.cwd().glob("runs/default/*/checkpoint.pt")}


@pytest.fixture
def halted() -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """`halted()`: a process that has trained one more epoch of LONG, halted there."""
    processes = []

    def start() -> subprocess.Popen[str]:
        before = saved()
        process = subprocess.Popen(
            [sys.executable, "-m", "regbench", "train", *LONG],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
        )
        processes.append(process)
        deadline = time.monotonic() + LIMIT
        while saved() == before:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_a_process_stopped_by_ctrl_c_and_then_killed_resumes_to_the_same_numbers(train, halted):
    stopped = halted()
    in_use = train(*LONG)
    assert in_use.code == 2
    assert "another process" in in_use.err
    stopped.send_signal(signal.SIGINT)
    stopped.send_signal(signal.SIGCONT)
    _, error = stopped.communicate(timeout=LIMIT)
    assert stopped.returncode == 130
    assert error == "Interrupted. Run the same command to resume.\n"
    assert record(only_run())["status"] == "interrupted"
    killed = halted()
    killed.kill()
    assert killed.wait(LIMIT) == -signal.SIGKILL
    assert record(only_run())["status"] == "running"
    ended = train(*LONG)
    assert ended.code == 0
    assert "resuming after epoch" in ended.out
    train(*LONG, "runtime.dir=whole")
    assert numbers(only_run()) == numbers(runs(Path("whole/default"))[0])
