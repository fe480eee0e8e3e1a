"""How far a sweep is, read from directories that something else writes."""

from pathlib import Path
from typing import Any

import pytest

from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.sweep.standing import Standing
from support import complete, leave

pytestmark = pytest.mark.slow


def standing_of(runs: list[Run], total: int | None = None) -> Standing:
    standing = Standing(total or len(runs))
    standing.add(runs, runs)
    return standing


def look(standing: Standing) -> list[str]:
    """The runs that have ended."""
    return [standing.name([observed]) for observed in standing.look()]


def test_runs_are_counted_by_how_they_ended(four_runs: list[Run]) -> None:
    standing = standing_of(four_runs, total=6)
    assert look(standing) == []
    assert standing.counts() == "0 of 6 done, 0 failed"
    leave(four_runs[0], end=complete)
    leave(four_runs[1], epochs=1, end=lambda directory: directory.end("failed", "boom"))
    leave(four_runs[2], end=lambda directory: directory.prune(2))
    leave(four_runs[3], epochs=1)
    assert look(standing) == ["norm=none seed=0", "norm=none seed=1", "norm=batch seed=0"]
    assert standing.counts() == "2 of 6 done, 1 failed, 1 training"
    assert look(standing) == [], "each is told once"


def test_a_run_that_is_left_out_is_done(four_runs: list[Run]) -> None:
    standing = standing_of(four_runs, total=5)
    standing.leave_out()
    assert standing.counts() == "1 of 5 done, 0 failed"


def test_the_time_left_follows_from_the_epochs_that_were_trained(four_runs: list[Run]) -> None:
    leave(four_runs[0], epochs=1)
    standing = standing_of(four_runs, total=5)
    look(standing)
    assert standing.time_left(30) == "", "what was there before tells nothing"
    leave(four_runs[1], epochs=3)
    look(standing)
    assert standing.time_left(90) == "0:05:30 left", "3 epochs took 90 s; 2, 6 and those of another run are left"


def test_unlike_runs_are_not_counted_alike(make_config: Any, tmp_path: Path) -> None:
    """The cnn comes first, and its epoch takes 60 s; those of the mlps take 2 s each."""
    words = [["model=cnn"], *([f"seed={seed}"] for seed in range(1, 11))]
    runs = [Run(make_config(*own, "epochs=3", f"runtime.dir={tmp_path}"), own) for own in words]
    standing = standing_of(runs)
    leave(runs[0], epochs=3, end=complete, seconds=60.0)
    look(standing)
    hours, minutes, seconds = map(int, standing.time_left(180).split()[0].split(":"))
    assert hours * 3600 + minutes * 60 + seconds < 0.5 * 10 * 180, "an mlp has far less to compute"
    leave(runs[1], epochs=1, seconds=2.0)
    look(standing)
    assert standing.time_left(182) == "0:00:58 left", "2 epochs of this mlp and 27 of those like it"


def test_workers_share_what_is_left(four_runs: list[Run]) -> None:
    standing = standing_of(four_runs)
    for run in four_runs[:2]:
        leave(run, epochs=3, end=complete, seconds=10.0)
    look(standing)
    assert standing.time_left(30) == "0:00:30 left", "60 s of two workers took 30 s"


def test_within_an_epoch_the_part_done_of_this_process_s_runs_grows(four_runs: list[Run]) -> None:
    standing, reporter = standing_of(four_runs), Reporter("off")
    standing.follow([four_runs[:2], four_runs[2:]])
    standing.train_here(four_runs[:2], reporter)
    for run in four_runs[:2]:
        leave(run, epochs=1)
    look(standing)
    reporter.begin("two runs", 100, 3, 1)
    assert standing.part_done(standing.units[0]) == pytest.approx(1 / 3)
    reporter.tick(50)
    assert standing.part_done(standing.units[0]) == pytest.approx(1.5 / 3)
    assert standing.part_done(standing.units[1]) == 0
    assert standing.part_done(standing.runs) == pytest.approx(3 / 12)


def test_validation_tells_the_best(four_runs: list[Run]) -> None:
    standing = standing_of(four_runs)
    for run, val_acc in zip(four_runs, (0.91, 0.93, 0.92), strict=False):
        leave(run, end=complete, val_acc=val_acc)
    look(standing)
    assert standing.best() == "best validation accuracy so far: 93.00 %  norm=none seed=1"


def test_without_validation_the_test_tells_the_best(four_runs: list[Run]) -> None:
    standing = standing_of(four_runs)
    assert standing.best() == ""
    leave(four_runs[0], end=complete, val_loss=None, val_acc=None, gap=None)
    look(standing)
    assert standing.best() == "best test accuracy so far: 97.12 %  norm=none seed=0"


def test_a_run_that_is_trained_anew_has_all_epochs_before_it(make_config: Any, tmp_path: Path) -> None:
    words = ["epochs=3", f"runtime.dir={tmp_path}"]
    leave(Run(make_config(*words), words), end=complete)
    run = Run(make_config(*words, "force=true"), words)
    standing = standing_of([run])
    (observed,) = standing.runs
    assert (observed.state, observed.left, standing.part_done([observed])) == ("waiting", 3, 0)
    look(standing)
    assert observed.left == 3
    leave(run, epochs=1)
    look(standing)
    assert (observed.state, observed.left) == ("running", 2)
