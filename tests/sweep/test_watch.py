"""Progress of a sweep, read from directories that something else writes."""

import io
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.records.rows import Epoch
from regbench.records.run_dir import RunDir
from regbench.sweep.watch import Watch

pytestmark = pytest.mark.slow

WIDTH = 80
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
ROW = Epoch(1, 0.001, 0.3456, 0.91234, 0.2345, 0.9345, -0.1111, 0.0, 1.0, 0.0, 10.0, 2.5)
TESTS = {"last": (0.2, 0.91), "best_val": (0.2, 0.9712)}
LEFT = re.compile(r"\d:\d\d:\d\d left")


@pytest.fixture
def runs(make_config: Any, tmp_path: Path) -> list[Run]:
    """Two norms, two seeds, three epochs, all in one folder."""
    found = []
    for words in ([f"norm={norm}", f"seed={seed}"] for norm in ("none", "batch") for seed in (0, 1)):
        words = [*words, "epochs=3", f"runtime.dir={tmp_path}"]
        found.append(Run(make_config(*words), words))
    return found


def train(run: Run, epochs: int = 3, end: Callable[[RunDir], None] | None = None) -> None:
    """What a worker leaves of a run: so many epochs, and an end, if it comes to one."""
    with run.directory() as rundir:
        rundir.start({"overrides": list(run.overrides)})
        for epoch in range(1, epochs + 1):
            rundir.save(Epoch(**{**vars(ROW), "epoch": epoch}), None)
        if end:
            end(rundir)


def complete(rundir: RunDir) -> None:
    rundir.complete({}, 2, TESTS, b"")


def watched(runs: list[Run], mode: str = "plain", **arguments: Any) -> tuple[Watch, io.StringIO]:
    file = io.StringIO()
    terminal = mode == "bar"
    console = Console(file=file, width=WIDTH, height=10, force_terminal=terminal, highlight=False, color_system=None)
    watch = Watch(Reporter(mode, console), arguments.get("total", len(runs)))
    watch.add(runs, arguments.get("pending", runs))
    return watch, file


def test_elsewhere_than_on_a_terminal_a_line_for_each_run_that_ends(runs: list[Run]) -> None:
    watch, file = watched(runs)
    with watch:
        train(runs[0], end=complete)
        train(runs[1], epochs=1, end=lambda rundir: rundir.end("failed", "ZeroDivisionError: boom"))
        train(runs[2], end=lambda rundir: rundir.end("diverged", "not finite"))
        train(runs[3], epochs=2, end=lambda rundir: rundir.prune(2))
    lines = [LEFT.sub("LEFT", line) for line in file.getvalue().splitlines()]
    path = runs[1].path / "train.log"
    ends = [
        ("1 of 4 done, 0 failed", "norm=none seed=0  test acc 97.12 %"),
        ("1 of 4 done, 1 failed", f"norm=none seed=1  failed: ZeroDivisionError: boom ({path})"),
        ("2 of 4 done, 1 failed", "norm=batch seed=0  diverged"),
        ("3 of 4 done, 1 failed", "norm=batch seed=1  pruned"),
    ]
    assert len(lines) == 4
    for line, (counts, end) in zip(lines, ends, strict=True):
        assert line.startswith(counts)
        assert line.endswith(f"  {end}")


def test_what_is_done_already_counts_and_is_not_told_again(runs: list[Run]) -> None:
    train(runs[0], end=complete)
    watch, file = watched(runs[:2], pending=runs[1:2])
    with watch:
        train(runs[1], end=complete)
    assert file.getvalue() == "2 of 2 done, 0 failed  seed=1  test acc 97.12 %\n"


def test_what_another_process_ended_since_the_plan_is_told(runs: list[Run]) -> None:
    train(runs[0], end=complete)
    watch, file = watched(runs[:1])
    with watch:
        pass
    assert file.getvalue().startswith("1 of 1 done, 0 failed  ")


def test_a_run_that_failed_before_has_yet_to_end(runs: list[Run]) -> None:
    train(runs[0], epochs=1, end=lambda rundir: rundir.end("failed", "boom"))
    watch, file = watched(runs[:1])
    with watch:
        pass
    assert file.getvalue() == ""


def test_the_time_left_follows_from_the_epochs_that_were_trained(runs: list[Run], monkeypatch: Any) -> None:
    def after(seconds: float) -> None:
        monkeypatch.setattr("regbench.sweep.watch.time.monotonic", lambda: seconds)

    after(0)
    train(runs[0], epochs=1)
    watch, _ = watched(runs, total=5)
    after(30)
    watch._look()
    assert watch._left() == [], "what was there before tells nothing"
    train(runs[1], epochs=3)
    after(90)
    watch._look()
    assert watch._left() == ["0:05:30 left"], "3 epochs took 90 s; 2, 6 and those of another run are left"


def test_on_a_terminal_a_bar_for_the_sweep_and_one_for_each_stack_that_trains(runs: list[Run]) -> None:
    watch, file = watched(runs, "bar")
    watch.follow([runs[:2], runs[2:]])
    train(runs[0], end=complete)
    train(runs[1], epochs=1)
    with watch:
        pass
    screen = ESCAPE.sub("", file.getvalue()).replace("\r", "\n")
    lines = [line for line in screen.splitlines() if line.strip()][-3:]
    assert max(map(len, lines)) <= WIDTH
    assert lines[0].startswith("1 of 4 done, 0 failed, 1 training ")
    assert LEFT.search(lines[0])
    assert re.fullmatch(r"norm=none seed=0,1 +\S+ +epoch 2/3 *", lines[1])
    assert lines[2].strip() == "best validation accuracy so far: 93.45 %  norm=none seed=0"
    assert "\x1b[?25h" in file.getvalue(), "the cursor comes back"


def test_more_stacks_than_the_terminal_has_lines(runs: list[Run]) -> None:
    watch, file = watched(runs, "bar")
    watch._reporter.console.height = 7
    watch.follow([[run] for run in runs])
    for run in runs:
        train(run, epochs=1)
    with watch:
        pass
    assert "and 1 more" in file.getvalue()


def test_within_an_epoch_the_bar_of_this_process_moves(runs: list[Run]) -> None:
    watch, _ = watched(runs)
    reporter = watch.reporter(runs[:2])
    for run in runs[:2]:
        train(run, epochs=1)
    watch._look()
    reporter.begin("two runs", 100, 3, 1)
    assert watch._part(watch._runs[:2]) == pytest.approx(1 / 3)
    reporter.tick(50)
    assert watch._part(watch._runs[:2]) == pytest.approx(1.5 / 3)
    assert watch._part(watch._runs) == pytest.approx(3 / 12)


def test_without_validation_the_test_tells_the_best(runs: list[Run]) -> None:
    watch, _ = watched(runs)
    without = Epoch(**{**vars(ROW), "val_loss": None, "val_acc": None, "gap": None})
    with runs[0].directory() as rundir:
        rundir.start({"overrides": []})
        rundir.save(without, None)
        rundir.complete({}, 1, TESTS, b"")
    watch._look()
    assert watch._best() == "best test accuracy so far: 97.12 %  norm=none seed=0"


def test_a_reader_that_goes_stops_the_sweep(runs: list[Run], monkeypatch: Any) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(sys, "stdout", os.fdopen(writer, "w"))
    watch = Watch(Reporter("plain", Console(highlight=False)), len(runs))
    watch.add(runs, runs)
    interrupted = False
    with pytest.raises(SystemExit) as ended, watch:
        train(runs[0], end=complete)
        try:
            threading.Event().wait(60)
        except KeyboardInterrupt:  # by which engines know that they are to stop
            interrupted = True
            raise
    assert interrupted
    assert ended.value.code == 1


def test_a_reader_that_goes_at_the_end_is_told_by_the_exit_code_alone(runs: list[Run], monkeypatch: Any) -> None:
    watch, _ = watched(runs)
    monkeypatch.setattr(watch, "_look", lambda: sys.exit(1) if watch._over.is_set() else 60)
    with pytest.raises(SystemExit), watch:
        pass


@pytest.mark.parametrize("mode", ["plain", "bar"])
def test_a_mistake_in_looking_ends_progress_alone(runs: list[Run], monkeypatch: Any, capfd: Any, mode: str) -> None:
    watch, file = watched(runs, mode)
    monkeypatch.setattr(watch, "_counts", lambda: 1 // 0)
    with watch:
        train(runs[0], end=complete)
        watch._thread.join(60)
        assert file.getvalue().count("\x1b[?25h") == (mode == "bar"), "the cursor is back already"
    err = capfd.readouterr().err
    assert err.startswith("warning: progress is not shown from here, the sweep goes on (ZeroDivisionError: ")
    assert err.count("\n") == 1


def test_ctrl_c_while_the_last_lines_are_written_brings_the_cursor_back(runs: list[Run], monkeypatch: Any) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    watch, file = watched(runs, "bar")
    with pytest.raises(KeyboardInterrupt), watch:
        monkeypatch.setattr(watch._thread, "join", interrupt)
    assert file.getvalue().count("\x1b[?25h") == 1


def test_a_run_that_is_trained_anew_has_all_epochs_before_it(make_config: Any, tmp_path: Path) -> None:
    words = ["epochs=3", f"runtime.dir={tmp_path}"]
    train(Run(make_config(*words), words), end=complete)
    run = Run(make_config(*words, "force=true"), words)
    watch, _ = watched([run])
    (followed,) = watch._runs
    assert (followed.state, followed.left, watch._part([followed])) == ("waiting", 3, 0)
    watch._look()
    assert followed.left == 3
    train(run, epochs=1)
    watch._look()
    assert (followed.state, followed.left) == ("running", 2)


def test_a_run_that_is_left_out_is_done(runs: list[Run]) -> None:
    watch, _ = watched(runs, total=5)
    watch.leave_out()
    assert watch._counts()[0] == "1 of 5 done"


def test_off_says_nothing_and_looks_at_nothing(runs: list[Run], monkeypatch: Any) -> None:
    watch, file = watched(runs, "off")
    monkeypatch.setattr(watch, "_look", lambda: pytest.fail("it looked"))
    with watch:
        train(runs[0], end=complete)
    assert file.getvalue() == ""


def test_a_long_silence_is_broken(runs: list[Run], monkeypatch: Any) -> None:
    watch, file = watched(runs)
    train(runs[0], epochs=1)
    watch._look()
    assert file.getvalue() == ""
    watch._said -= 61
    watch._look()
    watch._look()
    assert re.fullmatch(r"0 of 4 done, 0 failed, 1 training, \d:\d\d:\d\d left\n", file.getvalue())
