"""What is shown of a sweep while something else writes the directories of its runs."""

import io
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.sweep import screen
from regbench.sweep import watch as watching
from regbench.sweep.standing import Standing
from regbench.sweep.watch import Watch
from support import complete, leave

pytestmark = pytest.mark.slow

WIDTH = 80
SECONDS = 300  # at most, for what takes none on a machine that is idle
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
CURSOR = "\x1b[?25h"  # comes back
LEFT = re.compile(r"\d:\d\d:\d\d left")


def watched(runs: list[Run], mode: str = "plain", **arguments: Any) -> tuple[Watch, io.StringIO]:
    file = io.StringIO()
    height, terminal = arguments.get("height", 10), mode == "bar"
    console = Console(
        file=file, width=WIDTH, height=height, force_terminal=terminal, highlight=False, color_system=None
    )
    watch = Watch(Reporter(mode, console), len(runs))
    watch.add(runs, arguments.get("pending", runs))
    return watch, file


def until(found: Callable[[], Any]) -> Any:
    limit = time.monotonic() + SECONDS
    while not (result := found()):
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.01)
    return result


def test_elsewhere_than_on_a_terminal_a_line_for_each_run_that_ends(four_runs: list[Run]) -> None:
    watch, file = watched(four_runs)
    with watch:
        leave(four_runs[0], end=complete)
        leave(four_runs[1], epochs=1, end=lambda directory: directory.end("failed", "ZeroDivisionError: boom"))
        leave(four_runs[2], end=lambda directory: directory.end("diverged", "not finite"))
        leave(four_runs[3], epochs=2, end=lambda directory: directory.prune(2))
    lines = [LEFT.sub("LEFT", line) for line in file.getvalue().splitlines()]
    path = four_runs[1].path / "train.log"
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


def test_what_is_done_already_counts_and_is_not_told_again(four_runs: list[Run]) -> None:
    leave(four_runs[0], end=complete)
    watch, file = watched(four_runs[:2], pending=four_runs[1:2])
    with watch:
        leave(four_runs[1], end=complete)
    assert file.getvalue() == "2 of 2 done, 0 failed  seed=1  test acc 97.12 %\n"


def test_what_another_process_ended_since_the_plan_is_told(four_runs: list[Run]) -> None:
    leave(four_runs[0], end=complete)
    watch, file = watched(four_runs[:1])
    with watch:
        pass
    assert file.getvalue().startswith("1 of 1 done, 0 failed  ")


def test_a_run_that_failed_before_has_yet_to_end(four_runs: list[Run]) -> None:
    leave(four_runs[0], epochs=1, end=lambda directory: directory.end("failed", "boom"))
    watch, file = watched(four_runs[:1])
    with watch:
        pass
    assert file.getvalue() == ""


def test_on_a_terminal_a_bar_for_the_sweep_and_one_for_each_stack_that_trains(four_runs: list[Run]) -> None:
    watch, file = watched(four_runs, "bar")
    watch.follow([four_runs[:2], four_runs[2:]])
    leave(four_runs[0], end=complete)
    leave(four_runs[1], epochs=1)
    with watch:
        pass
    shown = ESCAPE.sub("", file.getvalue()).replace("\r", "\n")
    lines = [line for line in shown.splitlines() if line.strip()][-4:]
    assert max(map(len, lines)) <= WIDTH
    assert lines[0].startswith("1 of 4 done, 0 failed, 1 training ")
    assert re.search(r"\d:\d\d:\d\d so far  \d:\d\d:\d\d left", lines[0])
    assert re.fullmatch(r"█+░+  33 %", lines[1].rstrip())
    assert re.fullmatch(r"norm=none seed=0,1 +█+░+  66 % +epoch 2/3 *", lines[2])
    assert lines[3].strip() == "best validation accuracy so far: 93.45 %  norm=none seed=0"
    assert CURSOR in file.getvalue()


def test_more_stacks_than_the_terminal_has_lines(four_runs: list[Run]) -> None:
    watch, file = watched(four_runs, "bar", height=8)
    watch.follow([[run] for run in four_runs])
    for run in four_runs:
        leave(run, epochs=1)
    with watch:
        pass
    assert "and 1 more" in file.getvalue()


def test_the_bar_of_this_process_moves_within_epochs(four_runs: list[Run]) -> None:
    def length(images: int) -> int:
        watch, file = watched(four_runs, "bar")
        reporter = watch.reporter(four_runs)
        reporter.begin("four runs", 100, 3, 1)
        reporter.tick(images)
        for run in four_runs:
            leave(run, epochs=1)
        with watch:
            pass
        return max(line.count("█") for line in file.getvalue().splitlines())

    assert 0 < length(0) < length(99)


def test_a_reader_that_goes_stops_the_sweep(four_runs: list[Run], monkeypatch: Any) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(sys, "stdout", os.fdopen(writer, "w"))
    watch = Watch(Reporter("plain", Console(highlight=False)), len(four_runs))
    watch.add(four_runs, four_runs)
    interrupted = False
    with pytest.raises(SystemExit) as ended, watch:
        leave(four_runs[0], end=complete)
        try:
            threading.Event().wait(SECONDS)
        except KeyboardInterrupt:  # by which engines know that they are to stop
            interrupted = True
            raise
    assert interrupted
    assert ended.value.code == 1


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The looks at a sweep; after the first there is one more, at the end."""
    made: list[float] = []
    look = Standing.look
    monkeypatch.setattr(Standing, "look", lambda self: (made.append(time.monotonic()), look(self))[1])
    monkeypatch.setattr(watching, "SECONDS_BETWEEN_LOOKS", 10 * SECONDS)
    return made


def test_a_reader_that_goes_at_the_end_is_told_by_the_exit_code_alone(
    four_runs: list[Run], looks: list[float], monkeypatch: Any
) -> None:
    watch, _ = watched(four_runs)
    monkeypatch.setattr(screen.Lines, "show", lambda self, ended: (list(ended), sys.exit(1) if len(looks) == 2 else 0))
    with pytest.raises(SystemExit), watch:
        until(lambda: looks)


@pytest.mark.parametrize("mode", ["plain", "bar"])
def test_a_mistake_in_looking_ends_progress_alone(
    four_runs: list[Run], monkeypatch: Any, capfd: Any, mode: str
) -> None:
    watch, file = watched(four_runs, mode)
    monkeypatch.setattr(Standing, "counts", lambda self: 1 // 0)
    with watch:
        leave(four_runs[0], end=complete)
        err = until(lambda: capfd.readouterr().err)
        assert file.getvalue().count(CURSOR) == (mode == "bar"), "the cursor is back already"
    err += capfd.readouterr().err
    assert err.startswith("warning: progress is not shown from here, the sweep continues (ZeroDivisionError: ")
    assert err.count("\n") == 1


def test_ctrl_c_while_the_last_lines_are_written_brings_the_cursor_back(
    four_runs: list[Run], looks: list[float], monkeypatch: Any
) -> None:
    watch, file = watched(four_runs, "bar")
    show, shown = screen.Bars.show, threading.Event()

    def interrupted(self: screen.Bars, ended: Any) -> None:
        show(self, ended)
        if len(looks) == 2:
            os.kill(os.getpid(), signal.SIGINT)
            shown.wait(SECONDS)

    monkeypatch.setattr(screen.Bars, "show", interrupted)
    with pytest.raises(KeyboardInterrupt), watch:
        until(lambda: looks)
    shown.set()
    assert file.getvalue().count(CURSOR) == 1


def test_off_says_nothing_and_looks_at_nothing(four_runs: list[Run], looks: list[float]) -> None:
    watch, file = watched(four_runs, "off")
    with watch:
        leave(four_runs[0], end=complete)
    assert (file.getvalue(), looks) == ("", [])


def test_a_long_silence_is_broken(four_runs: list[Run], monkeypatch: Any) -> None:
    seconds = [0.0]
    monkeypatch.setattr(screen, "time", type("Clock", (), {"monotonic": lambda: seconds[0]}))
    file = io.StringIO()
    standing = Standing(len(four_runs))
    standing.add(four_runs, four_runs)
    lines = screen.Lines(Reporter("plain", Console(file=file, width=WIDTH)), standing)
    leave(four_runs[0], epochs=1)
    for moment in (0.0, 59.0, 61.0, 119.0):
        seconds[0] = moment
        lines.show(standing.look())
    assert file.getvalue() == "0 of 4 done, 0 failed, 1 training, 0:11:11 left\n", "11 epochs of 61 s are left"
