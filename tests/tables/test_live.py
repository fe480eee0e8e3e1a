"""A sweep that is watched: what is drawn, and when it ends."""

import io
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from rich.console import Console

from golden.records import NORMS, record, write
from regbench.analysis.question import Question
from regbench.cli import group
from regbench.records.files import LOCK
from regbench.records.frame import load
from regbench.records.listing import listing
from regbench.tables import live

LONG_AGO = time.time() - 3600


def running(root: Path, seed: int) -> Path:
    run = write(root, record("running", seed=seed))
    os.utime(run / "run.json", (LONG_AGO, LONG_AGO))
    return run


def takes(root: Path) -> Callable[[], live.Look]:
    return lambda: live.look(listing([root]), Question(load([root])))


def followed(take: Callable[[], live.Look], terminal: bool = False) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=terminal, color_system=None)
    live.follow(take, console, 0.01)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_run_trains_if_its_lock_is_held_or_its_files_are_young(tmp_path: Path) -> None:
    run = running(tmp_path, 0)
    assert takes(tmp_path)().training == 0
    with FileLock(run / LOCK):
        assert takes(tmp_path)().training == 1
    (run / "metrics.csv").write_text("epoch,val_acc\n1,0.5\n")
    assert takes(tmp_path)().progress == "1 run: 1 killed; 1 of 5 epochs, 1 in training"


def test_it_ends_when_no_run_trains_and_says_each_change_once(tmp_path: Path) -> None:
    run = running(tmp_path, 0)
    lock, looks = FileLock(run / LOCK), 0
    lock.acquire()

    def take() -> live.Look:
        nonlocal looks
        looks += 1
        if looks == 4:
            write(tmp_path, record(norm=NORMS["batch"]))
        if looks == 8:
            lock.release()
        return takes(tmp_path)()

    lines = followed(take).splitlines()
    assert looks == 8 + 2  # three looks without a run that trains
    assert [line for line in lines if "in training" in line] == [
        "1 run: 1 running; 0 of 5 epochs, 1 in training",
        "2 runs: 1 completed, 1 running; 5 of 10 epochs, 1 in training",
        "2 runs: 1 completed, 1 killed; 5 of 10 epochs, 0 in training",
        "2 runs: 1 completed, 1 killed; 5 of 10 epochs, 0 in training",  # above the last table
    ]
    assert lines[-1] == "No run trains any more." and any(line.startswith("batch") for line in lines)


def test_a_terminal_is_redrawn_in_place(tmp_path: Path) -> None:
    write(tmp_path, record(norm=NORMS["batch"]))
    drawn = followed(takes(tmp_path), terminal=True)
    assert drawn.count("97.50") > 1 and "\x1b[1A" in drawn and drawn.rstrip().endswith("No run trains any more.")


def test_ctrl_c_is_the_way_to_leave(tmp_path: Path) -> None:
    looks = iter([takes(write(tmp_path, record()).parent)()])

    def take() -> live.Look:
        for found in looks:
            return found
        raise KeyboardInterrupt

    assert "No run trains" not in followed(take)


def test_the_command_looks_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, record())
    for words, code in ((["watch", str(tmp_path), "--once"], 0), (["watch", str(tmp_path / "no"), "--once"], 2)):
        with pytest.raises(SystemExit) as end:
            group.main(words)
        assert int(end.value.code or 0) == code
    printed = capsys.readouterr()
    assert printed.out.startswith("1 run: 1 completed; 5 of 5 epochs, 0 in training\n")
    assert "97.50" in printed.out and printed.err.startswith("error: no directory")
