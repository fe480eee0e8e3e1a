"""tracker=NAME: runs are told of while they train, and no tracker harms them."""

from pathlib import Path

import pytest

from regbench.experiment import train as experiment
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.trackers import following
from support import SMALL, composed


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def trained(tracker: str) -> Run:
    run = Run(composed(*SMALL, f"runtime.tracker={tracker}"), SMALL)
    assert experiment.run(run, Reporter("off")).state == "completed"
    return run


def test_a_tracker_is_no_part_of_the_identity() -> None:
    identities = {composed(*words).identity("") for words in ((), ("runtime.tracker=wandb+mlflow",))}
    assert len(identities) == 1


@pytest.mark.slow
def test_a_run_is_in_the_tracker_when_it_ends(capfd: pytest.CaptureFixture[str]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = trained("tensorboard")
    page = EventAccumulator(f"tensorboard/default/{run.path.name}")
    page.Reload()
    assert [event.step for event in page.Scalars("train_loss")] == [1, 2]
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_tracker_that_fails_costs_one_warning(capfd: pytest.CaptureFixture[str]) -> None:
    Path("tensorboard").write_text("in the way of the folder")
    run = trained("tensorboard")
    warning = capfd.readouterr().err
    assert warning.count("\n") == 1
    assert warning.startswith("warning: tracker=tensorboard: tensorboard: must be a folder, and a file stands there")
    assert warning.endswith(f"To write the runs later: regbench export {run.path} --to tensorboard\n")


@pytest.mark.slow
def test_a_tracker_that_hangs_costs_one_warning(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_PATIENCE", 0.01)
    trained("mlflow")
    warning = capfd.readouterr().err
    assert warning.count("\n") == 1 and "tracker=mlflow: takes longer than 0.01 s" in warning


def test_a_tracker_that_is_not_installed_costs_one_warning(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "find_spec", lambda _: None)
    with following.following("wandb", [Path("runs")]):
        pass
    warning = capfd.readouterr().err
    assert warning.count("\n") == 1
    assert warning.startswith("warning: tracker=wandb: wandb is not installed. Install it with: ")
