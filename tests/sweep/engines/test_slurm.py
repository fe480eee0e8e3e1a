"""What a sweep makes of Slurm's queue and accounts, as squeue and sacct print them; no Slurm is needed."""

import itertools
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from regbench.errors import UserError
from regbench.experiment.reporter import Reporter
from regbench.sweep.engines import settings, slurm_queue, units, workers
from regbench.sweep.engines.slurm_queue import SlurmQueue
from regbench.sweep.watch import Watch

pytest.importorskip("submitit", reason="pip install 'regbench[slurm]'")

from submitit.core.utils import UncompletedJobError

from regbench.sweep.engines import submitit as engines
from regbench.sweep.engines import submitit_job

QUEUE = """17_0|RUNNING|None
17_1|PENDING|ReqNodeNotAvail, UnavailableNodes:node1
17_2|PENDING|Priority
99|RUNNING|None
"""


class Clock:
    """Time that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(slurm_queue.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(engines.time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_queue_says_how_jobs_stand_and_why_they_wait() -> None:
    queue = SlurmQueue(ask=lambda: QUEUE)
    ids = ["17_0", "17_1", "17_2"]
    assert queue.look(ids)
    reasons = "Priority, ReqNodeNotAvail, UnavailableNodes:node1"
    assert queue.standing(ids) == f"Slurm job 17: 1 running, 2 pending ({reasons})"
    assert queue.standing(["17_0", "99"]) == "Slurm jobs 17, 99: 2 running"
    assert queue.standing(["4"]) == ""
    assert queue.has("17_2")
    assert not queue.has("4")


def test_many_jobs_are_not_all_named() -> None:
    ids = [str(number) for number in range(8, 13)]
    queue = SlurmQueue(ask=lambda: "".join(f"{job}|PENDING|None\n" for job in ids))
    queue.look(ids)
    assert queue.standing(ids) == "Slurm jobs 8, 9, 10, 2 more: 5 pending"


def test_a_reason_is_news_once() -> None:
    answers = ["17|PENDING|None", "17|PENDING|Resources", "17|PENDING|Resources", "17|RUNNING|None"]
    queue, news = SlurmQueue(ask=lambda: answers.pop(0)), []
    while answers:
        queue.look(["17"], at_once=True)
        news.append(queue.has_news(["17"]))
    assert news == [False, True, False, False]


def test_the_queue_is_asked_rarely_and_more_rarely_while_it_is_slow(clock: Clock) -> None:
    took, asked = [0.1, 2.0, 2.0], []

    def ask() -> str:
        asked.append(clock.now)
        clock.now += took.pop(0)
        return ""

    queue = SlurmQueue(ask)
    while took:
        queue.look([])
        clock.now += 1
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert gaps[0] < 10 < 100 <= gaps[1]


def test_without_an_answer_no_job_is_absent(clock: Clock) -> None:
    answers: list[str | None] = ["", None, "", "17|RUNNING|None"]
    queue, seconds = SlurmQueue(ask=lambda: answers.pop(0)), []
    while answers:
        queue.look(["17"], at_once=True)
        clock.now += 30
        seconds.append(queue.seconds_without("17"))
    assert seconds == [30, None, 30, None]


def test_a_command_that_fails_or_is_missing_is_no_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "squeue"
    program.write_text("#!/bin/sh\necho 17\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert slurm_queue.ask_squeue() is None
    program.write_text('#!/bin/sh\necho "17|RUNNING|None"\n')
    assert slurm_queue.ask_squeue() == "17|RUNNING|None\n"
    monkeypatch.setenv("PATH", "")
    assert slurm_queue.ask_squeue() is None


class Accounts:
    """Jobs of a Slurm whose queue and accounts change with each look: a list of both for each."""

    def __init__(self, tmp_path: Path, looks: Sequence[tuple[str, str]]) -> None:
        self.looks, self.folder, self.place, self.asked = looks, tmp_path, -1, 0

    def squeue(self) -> str:
        self.place = min(self.place + 1, len(self.looks) - 1)
        state = self.looks[self.place][0]
        return f"17|{state}|None\n" if state else ""

    def job(self, state_of_result: bool = False) -> Any:
        pickle = self.folder / "17_result"
        if state_of_result:
            pickle.touch()
        paths = SimpleNamespace(result_pickle=pickle, stderr=self.folder / "none")
        return _Job(self, paths)


class _Job:
    job_id = "17"

    def __init__(self, accounts: Accounts, paths: Any) -> None:
        self._accounts, self.paths = accounts, paths

    @property
    def state(self) -> str:
        return self._accounts.looks[max(self._accounts.place, 0)][1]

    def done(self, force_check: bool = False) -> bool:
        self._accounts.asked += force_check
        return self.paths.result_pickle.exists() or self.state not in ("PENDING", "RUNNING", "UNKNOWN")

    def get_info(self, mode: str) -> dict[str, str]:
        return {"NodeList": "node2"}


def outcome(monkeypatch: pytest.MonkeyPatch, accounts: Accounts) -> tuple[Any, float]:
    """Wait for a job as a sweep does; return what came of it, and the looks that it took."""
    monkeypatch.setattr(slurm_queue, "_SECONDS", 0)
    engine = engines.Submitit(settings.check({"cluster": "slurm"}, settings.OfSubmitit))
    monkeypatch.setattr(engine, "_queue", SlurmQueue(ask=accounts.squeue))
    monkeypatch.setattr(engine, "_submit", lambda queue, crew: {accounts.job(): queue.popleft()} if queue else {})
    ((_, fault),) = engine.outcomes(workers.Queue([["run"]]), units.Crew(1, 1, "cpu", "why"))  # type: ignore[list-item]
    return fault, accounts.place + 1


@pytest.mark.parametrize(
    ("looks", "reason", "again"),
    [
        ([("RUNNING", "RUNNING"), ("", "CANCELLED by 0")], "its job 17 was cancelled", False),
        ([("RUNNING", "CANCELLED by 0"), ("COMPLETING", "CANCELLED by 0"), ("", "CANCELLED by 0")], "cancelled", False),
        ([("PENDING", "NODE_FAIL"), ("RUNNING", "NODE_FAIL"), ("", "OUT_OF_MEMORY")], "OUT_OF_MEMORY on node2", True),
    ],
)
def test_a_job_has_ended_when_it_is_in_no_queue(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: Clock, looks: Any, reason: str, again: bool
) -> None:
    fault, taken = outcome(monkeypatch, Accounts(tmp_path, looks))
    assert reason in fault.reason
    assert (fault.again, taken) == (again, len(looks))


def test_a_job_that_no_account_knows_is_gone_after_a_while(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: Clock
) -> None:
    accounts, start = Accounts(tmp_path, [("RUNNING", "UNKNOWN"), ("", "UNKNOWN")]), clock.now
    fault, _ = outcome(monkeypatch, accounts)
    assert fault == workers.Fault("its job 17 is gone (state UNKNOWN on node2)", again=True)
    assert 60 < clock.now - start < 120
    assert accounts.asked > 1


class Endless:
    """A job of an array that does not end."""

    def __init__(self, place: int) -> None:
        self.job_id = f"17_{place}"

    def done(self, force_check: bool = False) -> bool:
        return False


def test_ctrl_c_lets_running_jobs_save_and_cancels_all_by_few_commands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: Clock
) -> None:
    commands, answers = [], [QUEUE, "17_0|COMPLETING|None", "17_0|COMPLETING|None"]

    def answer(*command: str) -> str:
        commands.append(command)
        return "" if command[0] == "scancel" or not answers else answers.pop(0)

    monkeypatch.setattr(slurm_queue, "_answer", answer)
    engine = engines.Submitit(settings.check({"cluster": "slurm"}, settings.OfSubmitit))
    jobs = [Endless(place) for place in range(300)]
    monkeypatch.setattr(engine, "_submit", lambda queue, crew: {job: queue.popleft() for job in jobs if queue})
    monkeypatch.setattr(engine, "_has_ended", lambda job: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        next(engine.outcomes(workers.Queue([["run"]] * 300), units.Crew(9, 1, "cpu", "why")))  # type: ignore[list-item]
    cancels = [command[1:] for command in commands if command[0] == "scancel"]
    assert cancels == [("--state=PENDING", "17"), ("--signal=INT", "17"), ("17",)]


def test_the_progress_says_how_workers_stand_and_news_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch(Reporter("line"), 2)
    lines = engines_lines(watch)
    watch.tell("Slurm job 17: 2 pending (Priority)", is_news=False)
    lines.show([])
    watch.tell("Slurm job 17: 2 pending (Resources)", is_news=True)
    lines.show([])
    lines.show([])
    assert capsys.readouterr().out == "0 of 2 done, 0 failed, Slurm job 17: 2 pending (Resources)\n"


def engines_lines(watch: Watch) -> Any:
    from regbench.sweep.screen import Lines

    return Lines(watch._reporter, watch._standing)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"timeout_min": 1}, "timeout_min=1: must be more than the 90 s before a job's end at which Slurm has it save"),
        ({"timeout_min": 3, "slurm_signal_delay_s": 180}, "timeout_min=3: must be more than the 180 s"),
    ],
)
def test_a_job_needs_time_before_it_has_to_save(parameters: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"^hydra.launcher.parameters.{message}"):
        engines.Submitit(settings.check({"cluster": "slurm", "parameters": parameters}, settings.OfSubmitit))


def test_a_job_is_queued_again_as_often_as_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "srun"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = engines.Submitit(settings.check({"cluster": "slurm", "max_num_timeout": 7}, settings.OfSubmitit))
    assert engine._executor(threads=1)._executor.max_num_timeout == 7


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed: X", "X"),
        ("sbatch: error: Memory specification can not be satisfied", "Memory specification can not be satisfied"),
    ],
)
def test_what_sbatch_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, expected: str
) -> None:
    for name, body in (
        ("srun", ""),
        ("sbatch", "".join(f"echo '{line}' >&2\n" for line in said.splitlines()) + "exit 1"),
    ):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    values = {"cluster": "slurm", "folder": str(tmp_path / "logs")}
    engine = engines.Submitit(settings.check(values, settings.OfSubmitit))
    with pytest.raises(UserError, match=rf"^hydra/launcher=submitit_slurm: .*{expected}$"):
        next(engine.outcomes(workers.Queue([["run"]]), units.Crew(1, 1, "cpu", "why")))  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (SystemExit(-1), pytest.raises(SystemExit, match="its job was preempted or out of time")),
        (
            UncompletedJobError("Job not requeued because: timed-out too many times."),
            pytest.raises(TimeoutError, match=r"more often than hydra\.launcher\.max_num_timeout allows"),
        ),
    ],
    ids=["queued again", "too often"],
)
def test_the_signal_before_a_jobs_end_is_no_failure_of_its_runs(
    monkeypatch: pytest.MonkeyPatch, raised: BaseException, expected: Any
) -> None:
    def theirs(number: int, frame: object) -> None:
        raise raised

    def train(unit: object, folder: str) -> None:
        try:
            os.kill(os.getpid(), signal.SIGUSR2)
            pytest.fail("the job trains on")
        except Exception:
            pytest.fail("a run has failed")

    monkeypatch.setattr(submitit_job, "work", train)
    before = signal.signal(signal.SIGUSR2, theirs)
    try:
        with expected:
            submitit_job.Job()([], ".", None)
    finally:
        signal.signal(signal.SIGUSR2, before)


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ("error: Exceeded job memory limit", "FAILED on node2: Exceeded job memory limit"),
        ("error: *** JOB 17 ON n CANCELLED AT T DUE TO TIME LIMIT ***", "n CANCELLED AT T DUE TO TIME LIMIT)"),
        ("error: *** JOB 17 ON n CANCELLED AT T DUE TO JOB REQUEUE ***", "FAILED on node2)"),
    ],
)
def test_slurms_last_words_in_the_log_are_quoted(tmp_path: Path, last: str, reason: str) -> None:
    log = tmp_path / "17_log.err"
    log.write_text(f"{'x' * 10**5}\nslurmstepd-node2: {last}\nsrun: error: node2: task 0: Killed\n")
    job = _Job(Accounts(tmp_path, [("", "FAILED")]), SimpleNamespace(result_pickle=tmp_path / "none", stderr=log))
    fault = engines.fault(job, waits=True)
    assert fault
    assert reason in fault.reason
    assert fault.reason.endswith(f"; log: {log}")
