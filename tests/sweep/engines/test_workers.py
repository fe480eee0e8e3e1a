"""Sweeps on several processes: real ones, which are killed, interrupted and orphaned."""

import os
import re
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from regbench.errors import UserError
from regbench.records.run_dir import RunDir
from regbench.records.run_status import RunStatus, run_path
from regbench.sweep import plan
from regbench.sweep.engines import processes, settings, units, workers
from support import complete, leave
from sweeps import (
    ENDLESS,
    INTERRUPTED,
    NO_RETRY,
    TINY,
    Start,
    ended,
    has_interrupt,
    holder,
    is_alive,
    linux,
    needs,
    record,
    run_of,
    same_bits,
    trained,
    until,
)

# Every process notes the runs that it begins to train.
COUNTING = """
from pathlib import Path
from regbench.records.run_dir import RunDir
original, place = RunDir.start, Path(__file__).with_name("begun")
def start(self, facts):
    with place.open("a") as file:
        file.write(self.path.name + "\\n")
    return original(self, facts)
RunDir.start = start
"""

# Quick: what the sweep makes of workers


@pytest.fixture
def config(make_config: Any, tmp_path: Path) -> Any:
    config = make_config()
    return config.model_copy(update={"runtime": config.runtime.model_copy(update={"dir": str(tmp_path)})})


def test_an_abandoned_run_failed_and_keeps_all_else(config: Any) -> None:
    with RunDir(config, "a" * 64) as run:
        run.start({"overrides": []})
        metrics = (run.path / "metrics.csv").read_bytes()
    with RunDir(config, "a" * 64) as again:
        again.abandon("its worker was killed (SIGKILL)")
    after = RunStatus.read(run_path(config, "a" * 64), "a" * 64)
    assert (after.state, after.error) == ("failed", "its worker was killed (SIGKILL)")
    assert "SIGKILL" in (run.path / "train.log").read_text()
    assert (run.path / "metrics.csv").read_bytes() == metrics


def test_a_run_that_ended_is_not_abandoned(config: Any) -> None:
    with RunDir(config, "a" * 64) as run:
        run.start({"overrides": []})
        run.end("diverged")
        run.abandon("its worker was killed")
    assert RunStatus.read(run_path(config, "a" * 64), "a" * 64).state == "diverged"


@pytest.mark.parametrize(
    ("n_jobs", "threads", "expected"), [(None, "auto", 8), (None, 3, 2), (None, 99, 1), (3, 8, 3), (9, 1, 9)]
)
def test_workers_share_the_cores(config: Any, monkeypatch: Any, n_jobs: Any, threads: Any, expected: int) -> None:
    from regbench.experiment.run import Run

    monkeypatch.setattr(units, "cores", lambda: 8)
    monkeypatch.setattr(units, "gpus", lambda runs: [])
    runtime = config.runtime.model_copy(update={"threads": threads})
    runs = [Run(config.model_copy(update={"runtime": runtime}), [])]
    assert units.crew_here(runs, n_jobs).workers == expected


@pytest.mark.parametrize(
    ("words", "stacks", "crew", "expected"),
    [
        ([], [100], (8, 1, "cpu"), [12, 13, 12, 13, 12, 13, 12, 13]),
        ([], [192, 40], (8, 1, "cpu"), [16] * 12 + [13, 13, 14]),
        (["runtime.threads=2"], [100, 20], (4, 2, "cpu"), [25] * 4 + [20]),
        (["model=cnn"], [20], (8, 1, "cpu"), [1] * 20),
        (["model=cnn", "runtime.threads=2"], [20], (4, 2, "cpu"), [2] * 10),
        (["runtime.stack=8"], [8, 8], (8, 1, "cpu"), [2] * 8),
        (["runtime.stack=8"], [100], (2, 1, "cpu"), [7] * 4 + [8] * 9),
        (["model=cnn", "runtime.stack=100"], [100], (8, 1, "cpu"), [12, 13] * 4),
        ([], [100], (2, 1, "cuda"), [50, 50]),
        ([], [32], (8, 1, "cpu"), [4] * 8),
        ([], [9], (8, 1, "cpu"), [1] * 7 + [2]),
        ([], [32], (4, 1, "cuda"), [8] * 4),
        ([], [32, 9], (None, 1, "cuda"), [32, 9]),
        ([], [32], (256, 4, "cpu"), [4] * 8),
        ([], [3], (256, 4, "cpu"), [3]),
    ],
)
def test_stacks_are_dealt_out_in_parts_that_train_at_once(
    make_config: Any, words: list[str], stacks: list[int], crew: Any, expected: list[int]
) -> None:
    divided = units.divide(alike(make_config, words, stacks), units.Crew(*crew, "why"))
    assert sorted(map(len, divided)) == sorted(expected)
    assert all(len({run.config.model_dump_json() for run in unit}) == 1 for unit in divided), "one stack to a unit"


@pytest.mark.parametrize(
    ("words", "crew", "expected"),
    [
        (["model.hidden=[8]", "data.train_size=200", "epochs=1"], (2, True), [50] * 2),
        (["model.hidden=[8]", "data.train_size=200", "epochs=1"], (8, True), [12, 13] * 4),
        (["model.hidden=[8]", "data.train_size=200", "epochs=1"], (2, False), [14] * 5 + [15] * 2),
        (["model=cnn"], (2, True), [1] * 100),
    ],
)
def test_a_unit_that_starts_a_process_is_worth_it(
    make_config: Any, words: list[str], crew: tuple[int, bool], expected: list[int]
) -> None:
    workers_, starts = crew
    divided = units.divide(alike(make_config, words, [100]), units.Crew(workers_, 1, "cpu", "why", starts))
    assert sorted(map(len, divided)) == sorted(expected)


def test_a_job_has_as_many_runs_as_are_asked_for(make_config: Any) -> None:
    runs = alike(make_config, [], [32, 9])
    divided = units.divide(runs, units.Crew(8, 1, "cpu", "why"), runs_per_job=20)
    assert [len(unit) for unit in divided] == [13, 14, 14]
    assert {id(run) for unit in divided for run in unit} == set(map(id, runs))
    mixed = next(unit for unit in divided if len({run.config.epochs for run in unit}) == 2)
    assert [len({run.config.epochs for run in stack}) for stack in plan.stacks(mixed)] == [1, 1]


@pytest.mark.parametrize(
    ("workers_", "open_", "expected"),
    [
        (8, 12, "8 workers, 4 units queued"),
        (1, 2, "1 worker, 1 unit queued"),
        (8, 3, "8 workers"),
        (0, 1, "0 workers, 1 unit queued"),
    ],
)
def test_units_without_a_worker_are_queued(workers_: int, open_: int, expected: str) -> None:
    assert units.standing(workers_, open_) == expected


def test_a_gpu_of_another_machine_moves_one_optimizer_at_a_time(make_config: Any) -> None:
    from regbench.experiment.run import Run

    runs = [Run(make_config(f"optimizer={name}"), [name]) for name in ("adam", "sgd") * 2]
    assert [len(stack) for stack in plan.shapes(runs, "cpu")] == [4]
    assert [len(stack) for stack in plan.shapes(runs, "cuda")] == [2, 2]


class Deaths(workers.Workers):
    """An engine whose workers die as often as each run is given; it notes the units that it gets."""

    def __init__(self, deaths: dict[str, int], again: bool = True, **settings_: Any) -> None:
        super().__init__(settings.Common(**settings_))
        self.deaths, self.again, self.given = deaths, again, list[list[str]]()

    def crew(self, runs: Any) -> units.Crew:
        return units.Crew(2, 1, "cpu", "why")

    def outcomes(self, queue: Any, crew: Any) -> Any:
        while queue:
            unit = queue.popleft()
            self.given.append([" ".join(run.overrides) for run in unit])
            dead = [run for run in unit if self.deaths[run.overrides[-1]] > 0]
            for run in dead:
                self.deaths[run.overrides[-1]] -= 1
            for run in unit if not dead else []:
                leave(run, end=complete)
            yield unit, workers.Fault("gone", self.again) if dead else None


@pytest.mark.parametrize(
    ("again", "most", "calls", "states"),
    [
        (True, 2, ["01", "23", "2", "3", "2"], ["completed"] * 4),
        (True, 1, ["01", "23", "2", "3"], ["completed", "completed", "failed", "completed"]),
        (True, 0, ["01", "23"], ["completed", "completed", "failed", "failed"]),
        (False, 2, ["01", "23"], ["completed", "completed", "failed", "failed"]),
    ],
)
def test_runs_of_a_dead_worker_are_given_to_others(
    make_config: Any, tmp_path: Path, again: bool, most: int, calls: list[str], states: list[str]
) -> None:
    from regbench.experiment.reporter import Reporter
    from regbench.experiment.run import Run
    from regbench.sweep.watch import Watch

    runs = [Run(make_config(f"seed={seed}", f"runtime.dir={tmp_path}"), [str(seed)]) for seed in range(4)]
    engine = Deaths({"0": 0, "1": 0, "2": 2, "3": 0}, again, max_failures=most)
    engine.train(runs, Watch(Reporter("off"), 4))
    assert ["".join(unit) for unit in engine.given] == calls
    assert [run.status().state for run in runs] == states
    assert all(run.status().error == "gone" for run in runs if run.status().state == "failed")
    if "failed" in states:
        assert "gone" in (runs[2].path / "train.log").read_text(), "the log that the sweep names is there"


@pytest.mark.parametrize(
    ("state", "waits", "reason", "again"),
    [
        ("CANCELLED by 1000", True, "its job 7_1 was cancelled", False),
        ("OUT_OF_MEMORY", True, "its job 7_1 is gone (state OUT_OF_MEMORY on n1); log: {log}", True),
        ("TIMEOUT", True, "its job 7_1 is gone (state TIMEOUT on n1); log: {log}", True),
        ("FINISHED", False, "its job 7_1 is gone (state FINISHED on n1); log: {log}", True),
    ],
)
@needs["submitit"]
def test_a_dead_job_says_its_state_at_once(tmp_path: Path, state: str, waits: bool, reason: str, again: bool) -> None:
    from regbench.sweep.engines.submitit import fault

    log = tmp_path / "7_1_log.err"
    log.touch()
    paths = SimpleNamespace(result_pickle=tmp_path / "none", stderr=log)
    node = {"NodeList": "n1"}
    job = SimpleNamespace(job_id="7_1", state=state, paths=paths, get_info=lambda mode: node, result=pytest.fail)
    assert fault(job, waits) == workers.Fault(reason.format(log=log), again)


@needs["submitit"]
def test_a_job_that_raised_says_what(tmp_path: Path) -> None:
    from submitit.core.utils import FailedJobError

    from regbench.sweep.engines.submitit import fault

    def result() -> None:
        trace = 'Traceback (most recent call last):\n  File "x.py", line 1\nOSError: no space\n'
        raise FailedJobError(f"Job (task=0) failed during processing with trace:\n---\n{trace}---\nYou can check")

    pickle = tmp_path / "result"
    pickle.touch()
    paths = SimpleNamespace(result_pickle=pickle, stderr=tmp_path / "none")
    job = SimpleNamespace(job_id="7", state="FAILED", paths=paths, result=result)
    assert fault(job, waits=True) == workers.Fault("its job 7 failed (OSError: no space)", again=False)


@pytest.mark.parametrize(
    ("node", "cpus", "gpus", "expected"),
    [
        ({"CPU": 8.0}, 1, 0, 8),
        ({"CPU": 8.0}, 3, 0, 2),
        ({"CPU": 8.0}, 0.5, 0, 16),
        ({"CPU": 8.0}, 0, 0, 8),
        ({"CPU": 8.0}, 1, 1, 0),
        ({"CPU": 8.0, "GPU": 1.0}, 1, 0.25, 4),
        ({"CPU": 2.0, "GPU": 1.0}, 1, 0.25, 2),
        ({"CPU": 64.0, "GPU": 2.0}, 1, 0.3, 6),
        ({"CPU": 64.0, "GPU": 4.0}, 0, 2, 2),
        ({}, 1, 0, 0),
    ],
)
@needs["ray"]
def test_a_node_has_room_for_as_many_workers_as_fit(node: Any, cpus: float, gpus: float, expected: int) -> None:
    from regbench.sweep.engines.ray_nodes import workers_on

    assert workers_on(node, cpus, gpus) == expected


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "hydra.launcher.address=127.0.0.1:1: no Ray cluster answers (Connection refused)"),
        ("ray://127.0.0.1:1", "hydra.launcher.address=ray://127.0.0.1:1: no Ray cluster answers (Connection refused)"),
        ("nonsense", "hydra.launcher.address=nonsense: must be HOST:PORT, ray://HOST:PORT, auto or local"),
    ],
)
@needs["ray"]
def test_a_dead_address_is_one_line(address: str, message: str) -> None:
    from regbench.sweep.engines.ray_cluster import Cluster

    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        Cluster(address, {}).connect()


def test_an_engine_is_kept_from_batch_to_batch() -> None:
    from hydra_plugins.regbench import launchers

    launcher = launchers.ProcessesLauncher(n_jobs=2)
    assert launcher.engine() is launcher.engine()


@pytest.mark.parametrize(
    ("parameters", "workers_", "threads", "device"),
    [
        ({}, 256, 1, "cpu"),
        ({"cpus_per_task": 4, "slurm_array_parallelism": 8}, 8, 4, "cpu"),
        ({"cpus_per_task": 16}, 256, 4, "cpu"),
        ({"gpus_per_node": 1}, None, 1, "cuda"),
        ({"slurm_gres": "gpu:a100:1", "slurm_array_parallelism": 3}, 3, 1, "cuda"),
    ],
)
@needs["submitit"]
def test_slurm_jobs_count_as_workers(
    config: Any, monkeypatch: Any, parameters: Any, workers_: Any, threads: int, device: str
) -> None:
    from regbench.experiment.run import Run
    from regbench.sweep.engines.submitit import Submitit

    engine = Submitit(settings.check({"cluster": "slurm", "parameters": parameters}, settings.OfSubmitit))
    monkeypatch.setattr(engine, "_executor", lambda threads: None)
    crew = engine.crew([Run(config, [])])
    assert (crew.workers, crew.threads, crew.device) == (workers_, threads, device)


def alike(make_config: Any, words: list[str], stacks: list[int]) -> list[Any]:
    """Stacks of so many runs, which differ in epochs."""
    from regbench.experiment.run import Run

    return [
        Run(make_config(*words, f"epochs={epochs}"), [f"epochs={epochs}", f"place={place}"])
        for epochs, size in enumerate(stacks, start=1)
        for place in range(size)
    ]


@pytest.mark.parametrize(
    ("n_jobs", "devices", "visible", "expected"),
    [
        (None, ["auto"], "", ["0", "1"]),
        (3, ["auto"], "", ["0", "1", "0"]),
        (None, ["cuda"], "5,7", ["5", "7"]),
        (None, ["cpu", "auto"], "", ["0", "1"]),
        (1, ["cpu"], "", [None]),
        (2, ["cuda:1", "auto"], "", [None, None]),
    ],
)
def test_one_worker_to_a_gpu_unless_runs_name_theirs(
    config: Any, monkeypatch: Any, n_jobs: Any, devices: list[str], visible: str, expected: list[str | None]
) -> None:
    import torch

    from regbench.experiment.run import Run
    from regbench.sweep.engines.processes import worker_settings

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    runtimes = [config.runtime.model_copy(update={"device": device}) for device in devices]
    runs = [Run(config.model_copy(update={"runtime": runtime}), []) for runtime in runtimes]
    crew = units.crew_here(runs, n_jobs)
    assert [settings.get("CUDA_VISIBLE_DEVICES") for settings in worker_settings(crew, runs)] == expected


@pytest.mark.parametrize(
    ("kind", "word", "allowed"),
    [
        *(
            (settings.OfProcesses, f"n_jobs={value}", "auto or an integer of at least 1")
            for value in (0, -1, 1.5, "many")
        ),
        (settings.OfProcesses, "runs_per_job=0", "null or an integer of at least 1"),
        (settings.OfProcesses, "max_failures=-1", "an integer of at least 0"),
        *((settings.OfRay, f"gpus={value}", "a number from 0 to 1, or a whole number") for value in ("abc", -1, 1.5)),
        (settings.OfRay, "cpus=-1", "null or a number of at least 0"),
        (settings.OfRay, "init=7", "a mapping"),
        (settings.OfSubmitit, "parameters.timeout_min=abc", "null or an integer of at least 1"),
        (settings.OfSubmitit, "parameters.slurm_array_parallelism=0", "null or an integer of at least 1"),
    ],
)
def test_a_wrong_value_of_a_launcher_is_one_line(kind: Any, word: str, allowed: str) -> None:
    key, _, text = word.partition("=")
    value: Any = yaml.safe_load(text)
    for name in reversed(key.split(".")):
        value = {name: value}
    with pytest.raises(UserError, match=rf"^hydra\.launcher\.{re.escape(word)}: must be {re.escape(allowed)}$"):
        settings.check(value, kind)


@pytest.mark.slow
@pytest.mark.parametrize(("launcher", "module"), [("ray", "ray"), ("submitit_local", "submitit")])
def test_without_the_library_it_says_what_to_install(train: Any, monkeypatch: Any, launcher: str, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"regbench.sweep.engines.{module}", raising=False)
    result = train("-m", f"hydra/launcher={launcher}", "seed=0,1", *TINY)
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert f"Install it with: {sys.executable} -m pip install '{module}>=" in result.err


@pytest.mark.slow
@needs["submitit"]
def test_slurm_is_missed_in_one_line(train: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("PATH", "")
    result = train("-m", "hydra/launcher=submitit_slurm", "seed=0,1", *TINY)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert result.err.startswith("error: hydra/launcher=submitit_slurm: ")
    assert "srun" in result.err


@pytest.mark.slow
def test_finished_runs_need_no_workers(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert train("-m", "seed=0,1", "epochs=1", *TINY).code == 0
    monkeypatch.setattr(processes.Processes, "train", pytest.fail)
    result = train("-m", "hydra/launcher=processes", "hydra.launcher.n_jobs=1", "seed=0,1", "epochs=1", *TINY)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("2 runs: 2 done already\n")


# Slow: real processes


@pytest.mark.slow
@pytest.mark.stress
def test_workers_train_what_one_process_trains(start: Start, tmp_path: Path) -> None:
    words = ["seed=0,1,2", "epochs=2"]
    assert ended(start("processes", *words, "hydra.launcher.n_jobs=2"))[0] == 0
    code, _, err = ended(start("local", *words, "runtime.dir=alone"))
    assert (code, err) == (0, "")
    assert same_bits(Path("alone/default"), Path("runs/default"))
    assert record(0)["machine"]["threads"] == 1


@linux
@pytest.mark.slow
def test_a_killed_worker_takes_only_its_own_run_down(start: Start) -> None:
    epochs = f"epochs=2,{ENDLESS},2,2,2"
    sweep = start("processes", "seed=range(0,5)", epochs, "zip=seed,epochs", "hydra.launcher.n_jobs=2", NO_RETRY)
    until(lambda: trained(1))
    os.kill(holder(1), signal.SIGKILL)
    code, out, _ = ended(sweep)
    assert code == 1
    assert {seed: record(seed)["status"] for seed in range(5)} == {
        **dict.fromkeys((0, 2, 3, 4), "completed"),
        1: "failed",
    }
    assert record(1)["error"] == "its worker was killed (SIGKILL)"
    assert "1 run not completed:" in out
    assert "To retry just these: regbench train -m" in out.splitlines()[-1]


class Deadly:
    """A run that kills the worker that it is sent to."""

    config = SimpleNamespace(runtime=SimpleNamespace(device="cpu"))

    def __reduce__(self) -> Any:
        return os.kill, (0, signal.SIGKILL)  # its group: a worker has one of its own


@linux
@pytest.mark.parametrize(("kills", "why"), [(0, "(SIGKILL)"), (1, "as memory was short (SIGKILL)")])
def test_a_worker_that_was_killed_for_memory_says_so(monkeypatch: pytest.MonkeyPatch, kills: int, why: str) -> None:
    counts = [7, 7 + kills]
    monkeypatch.setattr(processes, "_killed_for_memory", lambda: counts.pop(0))
    engine = processes.Processes(settings.OfProcesses())
    ((_, fault),) = engine.outcomes(workers.Queue([[Deadly()]]), units.Crew(1, 1, "cpu", "why"))  # type: ignore[list-item]
    assert fault == workers.Fault(f"its worker was killed {why}", again=True)


@linux
@pytest.mark.slow
def test_a_run_whose_worker_was_killed_resumes_in_another(start: Start) -> None:
    sweep = start("processes", "seed=0,1", "epochs=300", "hydra.launcher.n_jobs=2")
    until(lambda: trained(0) and trained(1))
    os.kill(holder(1), signal.SIGKILL)
    code, out, _ = ended(sweep)
    assert code == 0
    assert "2 runs, all completed" in out
    run = run_of(1)
    assert run
    assert "resuming after epoch" in (run / "train.log").read_text()


@linux
@pytest.mark.slow
def test_no_worker_outlives_its_parent(start: Start) -> None:
    sweep = start("processes", "seed=0,1", f"epochs={ENDLESS}", "hydra.launcher.n_jobs=2")
    until(lambda: trained(0) and trained(1))
    pids = [holder(0), holder(1)]
    assert len({*pids, sweep.pid}) == 3
    sweep.kill()
    sweep.wait()
    until(lambda: not any(map(is_alive, pids)))
    assert {record(seed)["status"] for seed in (0, 1)} == {"running"}, "nobody was left to say more"


@linux
@pytest.mark.slow
def test_ctrl_c_has_workers_save(start: Start) -> None:
    sweep = start("processes", "seed=0,1", f"epochs={ENDLESS}", "hydra.launcher.n_jobs=2")
    until(lambda: trained(0) and trained(1))
    sweep.send_signal(signal.SIGINT)
    code, _, err = ended(sweep)
    assert code == 130
    assert INTERRUPTED.match(err)
    assert {record(seed)["status"] for seed in (0, 1)} == {"interrupted"}


@linux
@pytest.mark.slow
@pytest.mark.stress
@pytest.mark.parametrize("launcher", ["local", "processes"])
def test_a_reader_that_goes_stops_a_sweep_that_saves(start: Start, launcher: str) -> None:
    sweep = start(launcher, "seed=0,1", f"epochs=1,{ENDLESS}", "zip=seed,epochs")
    assert sweep.stdout
    assert sweep.stdout.readline() == "2 runs: 2 to train\n"
    sweep.stdout.close()
    sweep.stdout = None
    code, _, err = ended(sweep)
    assert (code, err) == (1, "")
    assert [record(seed)["status"] for seed in (0, 1)] == ["completed", "interrupted"]


@linux
@pytest.mark.slow
@pytest.mark.stress
def test_ctrl_c_twice_is_at_once(start: Start) -> None:
    sweep = start("processes", "seed=0,1", f"epochs={ENDLESS}", "hydra.launcher.n_jobs=2")
    until(lambda: trained(0) and trained(1))
    pids = [holder(0), holder(1)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)  # as if saving took for ever
    sweep.send_signal(signal.SIGINT)
    until(lambda: all(map(has_interrupt, pids)))
    sweep.send_signal(signal.SIGINT)
    assert ended(sweep)[0] == 130
    until(lambda: not any(map(is_alive, pids)))
    assert {record(seed)["status"] for seed in (0, 1)} == {"running"}, "there was no time to say more"


@pytest.mark.slow
@pytest.mark.parametrize(
    "launchers", [pytest.param(("local", "local"), marks=pytest.mark.stress), ("processes", "local")], ids="-".join
)
def test_two_sweeps_train_each_run_once(start: Start, launchers: tuple[str, str], monkeypatch: Any) -> None:
    Path("counting").mkdir()
    Path("counting/sitecustomize.py").write_text(COUNTING)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path("counting").resolve()), *sys.path]))
    one_worker = ["hydra.launcher.n_jobs=1"]
    both = [start(name, "seed=range(0,6)", "epochs=40", *one_worker * (name != "local")) for name in launchers]
    results = [ended(process) for process in both]
    assert [code for code, _, _ in results] == [0, 0]
    assert all("6 runs, all completed" in out for _, out, _ in results)
    begun = Path("counting/begun").read_text().splitlines()
    assert sorted(begun) == sorted(path.name for path in Path("runs/default").iterdir())
    assert len(begun) == 6


@linux
@needs["ray"]
@pytest.mark.slow
@pytest.mark.stress
def test_a_killed_worker_of_ray_takes_only_its_own_run_down(start: Start) -> None:
    words = [f"epochs=2,{ENDLESS},2", "zip=seed,epochs", "+hydra.launcher.init.num_cpus=2", NO_RETRY]
    sweep = start("ray", "seed=0,1,2", *words)
    until(lambda: trained(1))
    os.kill(holder(1), signal.SIGKILL)
    code, out, _ = ended(sweep)
    assert code == 1
    assert [record(seed)["status"] for seed in range(3)] == ["completed", "failed", "completed"]
    assert "its worker is gone" in record(1)["error"]
    assert "1 run not completed:" in out


@linux
@needs["submitit"]
@pytest.mark.slow
@pytest.mark.stress
def test_a_killed_job_of_submitit_takes_only_its_own_run_down(start: Start) -> None:
    sweep = start("submitit_local", "seed=0,1", f"epochs=2,{ENDLESS}", "zip=seed,epochs", NO_RETRY)
    until(lambda: trained(1))
    os.kill(holder(1), signal.SIGKILL)
    code, out, _ = ended(sweep)
    assert code == 1
    assert [record(seed)["status"] for seed in range(2)] == ["completed", "failed"]
    assert "its job" in record(1)["error"]
    assert "1 run not completed:" in out


@linux
@pytest.mark.slow
@pytest.mark.stress
@pytest.mark.parametrize(
    "launcher", [pytest.param(name, marks=needs[name.partition("_")[0]]) for name in ("ray", "submitit_local")]
)
def test_ctrl_c_and_a_killed_parent_leave_no_worker_of_other_engines(start: Start, launcher: str) -> None:
    sweep = start(launcher, "seed=0", f"epochs={ENDLESS}")
    until(lambda: trained(0))
    pid = holder(0)
    sweep.send_signal(signal.SIGINT)
    code, _, err = ended(sweep)
    assert code == 130
    assert INTERRUPTED.search(err)
    until(lambda: not is_alive(pid))
    assert record(0)["status"] == "interrupted"

    again = start(launcher, "seed=0", f"epochs={ENDLESS}")
    until(lambda: record(0)["status"] == "running")
    pid = holder(0)
    again.kill()
    again.wait()
    until(lambda: not is_alive(pid))


@linux
@needs["submitit"]
@pytest.mark.slow
@pytest.mark.stress
def test_a_preempted_job_is_queued_again_and_resumes(start: Start) -> None:
    sweep = start("submitit_local", "seed=0", f"epochs={ENDLESS}")
    until(lambda: trained(0))
    first = holder(0)
    os.kill(first, signal.SIGUSR2)
    until(lambda: not is_alive(first))
    until(lambda: record(0)["status"] == "running")
    assert holder(0) != first
    assert sweep.poll() is None
