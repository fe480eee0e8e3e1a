"""Runs in trackers, read back by the trackers' own readers."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regbench import UserError
from regbench.cli import group
from regbench.experiment.run import Run
from regbench.records.rows import Histogram, LayerFigures
from regbench.records.run_dir import RunDir
from regbench.trackers import export, story
from support import EPOCH, complete, composed

SPREAD = Histogram(1, "dense1", "weight", -1.0, 1.0, np.arange(64))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run_of(*overrides: str) -> Run:
    return Run(composed(*overrides, "runtime.study=s"), overrides)


def save(directory: RunDir, *epochs: int) -> None:
    for epoch in epochs:
        row = replace(EPOCH, epoch=epoch, train_loss=1 / epoch)
        layer = LayerFigures(epoch=epoch, layer="dense1", before_mean=0.5, before_std=1.0, grad_norm=float(epoch))
        directory.save(row, None, [layer], [SPREAD._replace(epoch=epoch)])


def train(*overrides: str, epochs: int = 3) -> Path:
    with run_of(*overrides).directory() as directory:
        directory.start({})
        save(directory, *range(1, epochs + 1))
        complete(directory)
    return directory.path


def told(kind: str) -> tuple[int, int, int]:
    return tuple(export.export([Path("runs")], export.store(kind, "store" if kind != "mlflow" else "sqlite:///m.db")))


def _of_tensorboard(name: str) -> tuple[dict[str, dict[int, float]], Any]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    page = EventAccumulator(f"store/s/{name}", size_guidance={"scalars": 0, "tensors": 0})
    page.Reload()
    scalars = {tag: [(event.step, event.value) for event in page.Scalars(tag)] for tag in page.Tags()["scalars"]}
    assert all(len(dict(events)) == len(events) for events in scalars.values()), "an epoch is there twice"
    return {tag: dict(events) for tag, events in scalars.items()}, page


def test_a_run_that_trains_gets_its_new_epochs_once() -> None:
    with run_of().directory() as directory:
        directory.start({})
        save(directory, 1, 2)
        assert told("tensorboard") == (1, 2, 1)
        assert told("tensorboard") == (0, 0, 1)
        save(directory, 3)
        assert told("tensorboard") == (0, 1, 1)
        complete(directory)
    assert told("tensorboard") == (0, 0, 1)
    assert told("tensorboard") == (0, 0, 1)
    scalars, page = _of_tensorboard(directory.path.name)
    assert scalars["train_loss"] == pytest.approx({1: 1, 2: 1 / 2, 3: 1 / 3})
    assert scalars["dense1/grad_norm"] == {1: 1, 2: 2, 3: 3}
    assert scalars["final/best_val.test_acc"] == pytest.approx({3: 0.9712})
    statuses = [event.tensor_proto.string_val[0] for event in page.Tensors("status")]
    assert statuses == [b"running", b"running", b"completed"]
    assert page.Tensors("run")[0].tensor_proto.string_val[0].decode() == f"`{directory.path.resolve()}`"


def test_tensorboard_shows_histograms_with_their_counts() -> None:
    from tensorboard.util.tensor_util import make_ndarray

    path = train(epochs=2)
    told("tensorboard")
    _, page = _of_tensorboard(path.name)
    bins = make_ndarray(page.Tensors("dense1/weight")[1].tensor_proto)
    np.testing.assert_array_equal(bins[:, 2], np.arange(64))
    np.testing.assert_allclose(bins[:, 0], np.linspace(-1, 1, 65)[:-1])


def test_seeds_of_a_config_are_one_group() -> None:
    paths = [train(*words) for words in (("seed=0",), ("seed=1",), ("seed=0", "optimizer.lr=0.1"))]
    first, second, other = (story.read(path) for path in paths)
    assert first and second and other
    assert first.group == second.group != other.group
    assert first.group.startswith("mlp-relu-kaiming-adam-") and "-s0" not in first.group
    assert (first.parameters["seed"], second.parameters["seed"]) == (0, 1)
    assert not [key for key in first.parameters if key.startswith(("runtime", "force"))]


def test_a_run_that_is_trained_again_is_another_one() -> None:
    path = train()
    told("tensorboard")
    record = json.loads((path / "run.json").read_text())
    record["times"]["started"] = datetime(2030, 1, 2, tzinfo=UTC).isoformat()
    (path / "run.json").write_text(json.dumps(record))
    assert told("tensorboard") == (1, 3, 1)
    names = sorted(folder.name for folder in Path("store/s").iterdir())
    assert names == [path.name, f"{path.name}-20300102T000000"]


def test_figures_that_are_not_finite_are_left_out() -> None:
    with run_of().directory() as directory:
        directory.start({})
        directory.save(replace(EPOCH, train_loss=float("inf"), val_loss=None), None)
        directory.end("diverged", "the loss stopped being finite in epoch 1")
    told("tensorboard")
    scalars, page = _of_tensorboard(directory.path.name)
    assert "train_loss" not in scalars and "val_loss" not in scalars and scalars["lr"]
    text = page.Tensors("status")[0].tensor_proto.string_val[0]
    assert text == b"diverged: the loss stopped being finite in epoch 1"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mlflow_has_figures_parameters_and_tags() -> None:
    from mlflow.tracking import MlflowClient

    with run_of("seed=3").directory() as directory:
        directory.start({})
        save(directory, 1, 2)
        assert told("mlflow") == (1, 2, 1)
        save(directory, 3)
        complete(directory)
    assert told("mlflow") == (0, 1, 1)
    assert told("mlflow") == (0, 0, 1)
    client = MlflowClient("sqlite:///m.db")
    experiment = client.get_experiment_by_name("s")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.info.run_name) == ("FINISHED", directory.path.name)
    history = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "train_loss")]
    assert sorted(history) == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert run.data.params["seed"] == "3" and run.data.params["model.hidden"] == "[256,256]"
    assert run.data.metrics["final/best_val.test_acc"] == 0.9712
    assert run.data.tags["regbench.path"] == str(directory.path.resolve())
    assert run.data.tags["group"].startswith("mlp-relu-kaiming-adam-")


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("wandb"), reason="needs wandb: pip install 'regbench[wandb]'")
def test_wandb_writes_offline_runs() -> None:
    train()
    assert told("wandb") == (1, 3, 1)
    assert told("wandb") == (0, 0, 1)
    (content,) = [path.read_bytes() for path in Path("store/wandb").glob("offline-run-*/run-*.wandb")]
    for text in (b"train_loss", b"dense1/grad_norm", b"optimizer.lr", b"final/best_val.test_acc", b"mlp-relu-kaiming"):
        assert text in content


@pytest.fixture
def trackio_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in sys.modules if name.split(".")[0] == "trackio"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "store"))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "trackio"]:
        sys.modules.pop(name)


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("trackio"), reason="needs trackio: pip install 'regbench[trackio]'")
@pytest.mark.usefixtures("trackio_folder")
def test_trackio_has_the_epochs_once() -> None:
    with run_of().directory() as directory:
        directory.start({})
        save(directory, 1, 2)
        assert told("trackio") == (1, 2, 1)
        save(directory, 3)
        complete(directory)
    assert told("trackio") == (0, 1, 1)
    assert told("trackio") == (0, 0, 1)
    from trackio.sqlite_storage import SQLiteStorage

    rows = SQLiteStorage.get_logs("s", directory.path.name)
    assert [(row["step"], row["train_loss"]) for row in rows if "train_loss" in row] == [(1, 1), (2, 0.5), (3, 1 / 3)]
    assert rows[-1]["final/best_val.test_acc"] == 0.9712


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def call(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            group.main(list(words))
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out + err

    return call


def test_the_command_says_what_is_new_and_mistakes_in_one_line(command: Callable[..., tuple[int, str]]) -> None:
    train()
    assert command("export", "--to", "tensorboard") == (0, "tensorboard: 1 new run, 3 new epochs of 1 run\n")
    assert command("export", "--to", "tensorboard") == (0, "tensorboard: 0 new runs, 0 new epochs of 1 run\n")
    Path("file").touch()
    code, text = command("export", "--to", "tensorboard", "--store", "file")
    assert (code, text) == (2, "error: file: must be a folder, and a file stands there\n")
    assert command("export", "nowhere", "--to", "tensorboard")[0] == 2
    assert command("export", "--to", "tensorboard", "-o", "x")[0] == 2
    assert command("export", "--to", "onnx", "--store", "x")[0] == 2


def test_a_tracker_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"^tensorboard is not installed\. Install it with: "):
        export.store("tensorboard", None)
