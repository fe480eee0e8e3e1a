import csv
import errno
import json
import math
import os
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from filelock import FileLock

from regbench.config.run_config import RunConfig
from regbench.errors import UserError
from regbench.experiment.checks import check
from regbench.records import saved_states
from regbench.records.files import write_atomically
from regbench.records.locks import is_locked, lock_fault
from regbench.records.rows import Epoch, Progress
from regbench.records.run_dir import RunDir
from regbench.records.run_status import RunStatus, run_path
from support import EPOCH

IDENTITY = "0123456789abcdef" * 4
FACTS = {"overrides": ["seed=0"], "versions": {"regbench": "0"}, "machine": {}, "git": None}
TESTS = {"last": (0.25, 0.9), "best_val": (0.2, 0.95)}
PREDICTED = b"a class for each test image"
HEADER = "epoch,lr,train_loss,train_acc,val_loss,val_acc,gap,penalty,grad_norm,clipped,weight_norm,seconds"


@pytest.fixture
def config(make_config, tmp_path) -> RunConfig:
    return placed(make_config(), tmp_path)


def placed(config: RunConfig, folder: Path, **changes: Any) -> RunConfig:
    study = {"study": changes.pop("study")} if "study" in changes else {}
    runtime = config.runtime.model_copy(update={"dir": str(folder), **study})
    return config.model_copy(update={"runtime": runtime, **changes})


def row(epoch: int, **changes: Any) -> Epoch:
    losses = {"train_loss": 1 / epoch, "val_loss": 1 / 3 / epoch, "gap": -2 / 3 / epoch}
    shares = {"train_acc": 1 - 1 / (epoch + 1), "val_acc": 2 / 3, "clipped": 0.25}
    return replace(EPOCH, **{"epoch": epoch, "lr": 0.1, "seconds": 0.125, **losses, **shares, **changes})


def state(epoch: int) -> dict[str, Any]:
    return {"epoch": epoch, "weights": {"w": torch.full((3,), float(epoch))}}


def open_run(config: RunConfig) -> RunDir:
    return RunDir(config, IDENTITY)


def look(config: RunConfig) -> RunStatus:
    return RunStatus.read(run_path(config, IDENTITY), IDENTITY)


def run_until(config: RunConfig, epochs: int) -> RunDir:
    """A run that was stopped after some epochs."""
    run = open_run(config)
    with run:
        run.start(FACTS)
        for epoch in range(1, epochs + 1):
            run.save(row(epoch), state(epoch))
        run.end("interrupted", "stopped by the user")
    return run


def complete(run: RunDir) -> None:
    with run:
        run.start(FACTS)
        for epoch in (1, 2, 3):
            run.save(row(epoch), state(epoch))
        run.complete({"w": torch.ones(2)}, 2, TESTS, PREDICTED)


def strict(path: Path) -> Any:
    """What the file says, read as JSON that any other program reads too."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def rows(run: RunDir) -> list[dict[str, str]]:
    with (run.path / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


# What a run leaves


def test_the_directory_is_named_by_study_choices_and_identity(config, tmp_path):
    path = open_run(placed(config, tmp_path, study="first")).path
    assert path == tmp_path / "first" / "mlp-relu-kaiming-adam-s0-0123456789ab"
    assert not path.exists()


def test_a_run_begins_with_its_config(config):
    run = open_run(config)
    with run:
        assert run.start(FACTS) is None
    record = strict(run.path / "run.json")
    assert record["status"] == run.status.state == "running"
    assert record["identity"] == IDENTITY
    assert record["study"] == "default"
    assert {key: record[key] for key in FACTS} == FACTS
    assert check(record["config"]) == config
    assert check(yaml.safe_load((run.path / "config.yaml").read_text())) == config
    assert not run.status.finished


def test_infinity_in_the_config_is_recorded(make_config, tmp_path):
    config = placed(make_config("clip_norm_type=inf"), tmp_path)
    run = open_run(config)
    with run:
        run.start(FACTS)
    assert check(strict(run.path / "run.json")["config"]) == config
    assert check(yaml.safe_load((run.path / "config.yaml").read_text())) == config


def test_metrics_grow_by_a_row_an_epoch(config):
    run = open_run(config)
    with run:
        run.start(FACTS)
        for epoch in (1, 2):
            run.save(row(epoch), state(epoch))
            assert [int(line["epoch"]) for line in rows(run)] == list(range(1, epoch + 1))
    assert (run.path / "metrics.csv").read_bytes().startswith(HEADER.encode() + b"\n1,0.1,")


def test_metrics_keep_every_digit_and_leave_missing_cells_empty(config):
    run = open_run(config)
    with run:
        run.start(FACTS)
        run.save(row(3, lr=1e-3, val_loss=None, val_acc=None), state(1))
        run.end("interrupted", "stopped")
    (line,) = rows(run)
    assert line["val_loss"] == line["val_acc"] == ""
    assert float(line["train_loss"]) == 1 / 3
    assert float(line["train_acc"]) == 1 - 1 / 4


def test_a_completed_run(config):
    run = open_run(config)
    complete(run)
    record = strict(run.path / "run.json")
    assert record["status"] == "completed"
    assert record["error"] is None
    assert run.status.finished
    assert record["times"]["started"] <= record["times"]["finished"] == record["times"]["updated"]
    assert record["result"] == {
        "last": {
            "epoch": 3,
            "train_loss": 1 / 3,
            "train_acc": 0.75,
            "val_loss": 1 / 9,
            "val_acc": 2 / 3,
            "test_loss": 0.25,
            "test_acc": 0.9,
        },
        "best_val": {
            "epoch": 2,
            "train_loss": 1 / 2,
            "train_acc": 1 - 1 / 3,
            "val_loss": 1 / 6,
            "val_acc": 2 / 3,
            "test_loss": 0.2,
            "test_acc": 0.95,
        },
        "seconds": 0.375,
        "cpu_seconds": None,
    }
    assert not (run.path / "checkpoint.pt").exists()
    assert (run.path / "model.safetensors").stat().st_size > 0
    assert look(config).finished


@pytest.mark.parametrize(("status", "kept"), [("interrupted", True), ("failed", True), ("diverged", False)])
def test_a_run_without_a_result_says_why(config, status, kept):
    run = open_run(config)
    with run:
        run.start(FACTS)
        run.save(row(1, train_loss=math.nan, val_loss=math.inf), state(1))
        run.end(status, "why")
    record = strict(run.path / "run.json")
    assert (record["status"], record["error"], record["result"]) == (status, "why", None)
    assert (record["times"]["finished"] is None) == kept
    assert (run.path / "checkpoint.pt").exists() == kept
    assert look(config).finished == (status == "diverged")
    assert [line["train_loss"] for line in rows(run)] == ["nan"]


def test_the_log_is_added_to(config):
    run = run_until(config, 1)
    with run:
        run.log("one")
    with open_run(config) as again:
        again.log("two")
    assert [line.split("  ")[1] for line in (run.path / "train.log").read_text().splitlines()[-2:]] == ["one", "two"]


def test_nothing_temporary_stays(config):
    run = open_run(config)
    complete(run)
    assert sorted(path.name for path in run.path.iterdir() if path.name != ".lock") == [
        "config.yaml",
        "metrics.csv",
        "model.safetensors",
        "predicted.safetensors",
        "run.json",
    ]


# Going on


def test_a_stopped_run_goes_on_after_its_last_epoch(config):
    first = run_until(config, 2)
    again = open_run(config)
    with again:
        saved = again.start(FACTS)
        assert saved is not None
        assert saved["epoch"] == 2
        assert torch.equal(saved["weights"]["w"], torch.full((3,), 2.0))
        assert [line["epoch"] for line in rows(again)] == ["1", "2"]
        again.save(row(3), state(3))
        again.complete({"w": torch.ones(2)}, 2, TESTS, PREDICTED)
    assert [line["epoch"] for line in rows(again)] == ["1", "2", "3"]
    assert again.status.record["times"]["started"] == first.status.record["times"]["started"]
    whole = open_run(placed(config, Path(config.runtime.dir) / "whole"))
    complete(whole)
    assert (whole.path / "metrics.csv").read_bytes() == (again.path / "metrics.csv").read_bytes()
    assert whole.status.result == again.status.result


def test_force_begins_anew(config, tmp_path):
    run_until(config, 2)
    forced = open_run(placed(config, tmp_path, force=True))
    with forced:
        assert forced.start(FACTS) is None
    assert rows(forced) == []
    assert not (forced.path / "checkpoint.pt").exists()


@pytest.mark.parametrize(
    "tail",
    ["3,0.1,0.3", "3,0.1,0.3,0.7,0.1,0.6,-0.2,0.0,1.5,0.25,10.0,0.125\n", "nonsense\n\n", "\0\0\0"],
    ids=["a torn line", "a row that no checkpoint has", "nonsense", "zeros of a power cut"],
)
def test_metrics_are_those_of_the_checkpoint(config, tail):
    run = run_until(config, 2)
    whole = (run.path / "metrics.csv").read_bytes()
    with (run.path / "metrics.csv").open("a") as file:
        file.write(tail)
    with open_run(config) as again:
        assert again.start(FACTS)["epoch"] == 2
    assert (run.path / "metrics.csv").read_bytes() == whole


def test_metrics_that_are_gone_are_written_again_or_trained_again(config):
    run = run_until(config, 2)
    (run.path / "metrics.csv").unlink()
    with open_run(config) as again:
        saved = again.start(FACTS)
    assert len(rows(again)) == (saved["epoch"] if saved else 0)


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (Path.touch, (self.target,))


DAMAGES = {
    "empty": lambda path: b"",
    "the first half": lambda path: path.read_bytes()[: path.stat().st_size // 2],
    "all but the last byte": lambda path: path.read_bytes()[:-1],
    "zeros": lambda path: bytes(path.stat().st_size),
    "text": lambda path: b"not a checkpoint\n",
    "a key of a pickle's memo": lambda path: b"h\x00.",
    "a pickle that is cut short": lambda path: b"\x80\x02X\xff",
    "bytes that are no text": lambda path: b"X\x01\x00\x00\x00\xff.",
    "a plain pickle": lambda path: pickle.dumps({"identity": IDENTITY, "epoch": 2}, protocol=2),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_checkpoint_before_a_damaged_one_is_taken(config, damage):
    run = run_until(config, 2)
    path = run.path / "checkpoint.pt"
    path.write_bytes(DAMAGES[damage](path))
    with open_run(config) as again:
        resumed = again.start(FACTS)
        assert resumed is not None and resumed["epoch"] == 1  # the one before
    assert [row["epoch"] for row in rows(again)] == ["1"]
    assert set(again.states.damaged) == {"checkpoint.pt"}


def test_without_a_whole_checkpoint_a_run_begins_again(config):
    run = run_until(config, 2)
    for name in ("checkpoint.pt", "checkpoint.before.pt"):
        (run.path / name).write_bytes(b"")
    with open_run(config) as again:
        assert again.start(FACTS) is None
        again.save(row(1), state(1))
    assert set(again.states.damaged) == {"checkpoint.pt", "checkpoint.before.pt"}
    with open_run(config) as once_more:
        assert once_more.start(FACTS) is not None
    assert not once_more.states.damaged


def test_every_flipped_bit_of_a_number_is_found(config):
    run = run_until(config, 1)
    path = run.path / "checkpoint.pt"
    content = bytearray(path.read_bytes())
    place = content.index(torch.full((3,), 1.0).numpy().tobytes())
    for bit in range(0, 8 * 12, 7):
        damaged = content[:]
        damaged[place + bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with open_run(config) as again:
            assert again.state() is None
        assert "checksum" in again.states.damaged["checkpoint.pt"]


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        None,
        {},
        {"identity": "another", "epoch": 2, "rows": [], "layers": []},
        {"identity": IDENTITY, "epoch": 2, "rows": []},
        {"identity": IDENTITY},
        torch.ones(3),
        {"identity": IDENTITY, "epoch": 1, "rows": 1, "layers": []},
        {"identity": IDENTITY, "epoch": 1, "rows": [1], "layers": []},
        {"identity": IDENTITY, "epoch": 1, "rows": [{"epoch": 1}], "layers": []},
        {"identity": IDENTITY, "epoch": 1, "rows": [{**vars(row(1)), "lr": "0.1"}], "layers": []},
        {"identity": IDENTITY, "epoch": 1, "rows": [vars(row(1))], "layers": "abc"},
        {"identity": IDENTITY, "epoch": 2, "rows": [vars(row(1))], "layers": []},
        {"identity": IDENTITY, "epoch": 0, "rows": [], "layers": []},
        {"identity": IDENTITY, "epoch": [1], "rows": [vars(row(1))], "layers": []},
        {"identity": IDENTITY, "epoch": math.nan, "rows": [vars(row(1))], "layers": []},
    ],
    ids=str,
)
def test_a_checkpoint_that_is_no_state_of_the_run_counts_as_none(config, content):
    run = run_until(config, 1)
    torch.save(content, run.path / "checkpoint.pt")
    with open_run(config) as again:
        assert again.start(FACTS) is None
    assert again.states.damaged


def test_a_packed_checkpoint_counts_as_none(config):
    run = run_until(config, 1)
    path = run.path / "checkpoint.pt"
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    with open_run(config) as again:
        assert again.start(FACTS) is None


@pytest.mark.parametrize(
    "name", ["train.log", "metrics.csv", "run.json", "checkpoint.pt", "pretrain.csv", "config.yaml"]
)
def test_a_link_in_a_run_is_not_written_through(config, tmp_path, name):
    run = run_until(config, 1)
    outside = tmp_path / "outside"
    outside.write_text("mine\n")
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).symlink_to(outside)
    with open_run(config) as again:
        again.start(FACTS)
        again.log("a line")
        again.pretrained(Progress("dense1", 1, "variance", 1.0))
        again.save(row(2), state(2))
        again.end("interrupted", "stopped by the user")
    assert outside.read_text() == "mine\n"
    assert not (again.path / name).is_symlink()


@pytest.mark.parametrize("zipped", [True, False], ids=["torch's zip", "a bare pickle"])
def test_a_checkpoint_executes_nothing(config, tmp_path, zipped):
    target = tmp_path / "executed"
    run = run_until(config, 1)
    content = {"identity": IDENTITY, "epoch": 2, "rows": [], "weights": Bomb(target)}
    if zipped:
        torch.save(content, run.path / "checkpoint.pt")
    else:
        (run.path / "checkpoint.pt").write_bytes(pickle.dumps(content, protocol=2))
    with open_run(config) as again:
        assert again.start(FACTS) is None
    assert not target.exists()


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"format": 1, "identity": "another", "status": "completed", "result": {}}),
        json.dumps({"format": 999, "identity": IDENTITY, "status": "completed", "result": {}}),
        json.dumps(["completed"]),
        "{",
        "",
        "\0\0",
        b"\xff\xfe",
    ],
    ids=["another identity", "another format", "a list", "torn", "empty", "zeros", "no text"],
)
def test_a_foreign_record_counts_as_none(config, content):
    run = run_until(config, 0)
    (run.path / "run.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    again = open_run(config)
    assert not look(config).finished
    complete(again)
    assert strict(run.path / "run.json")["identity"] == IDENTITY


# Sharing


def test_a_directory_in_use_is_refused(config):
    run = run_until(config, 1)
    with FileLock(run.path / ".lock"), pytest.raises(UserError, match="another process") as caught, open_run(config):
        pass
    assert str(run.path) in str(caught.value)
    with open_run(config):
        pass


def test_a_lock_left_behind_by_a_killed_process_is_free(config):
    run = run_until(config, 1)
    (run.path / ".lock").write_text("12345")
    with open_run(config):
        pass


def test_a_run_finished_meanwhile_is_seen_on_entering(config):
    waiting = open_run(config)
    complete(open_run(config))
    assert not waiting.status.finished
    with waiting:
        assert waiting.status.finished


@pytest.mark.parametrize("place", ["the folder", "the study", "the run"])
def test_a_file_in_the_place_of_a_folder_is_refused(config, tmp_path, place):
    folder = tmp_path / "runs"
    config = placed(config, folder)
    path = {"the folder": folder, "the study": folder / "default", "the run": open_run(config).path}[place]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("in the way")
    with pytest.raises(UserError, match=r"runtime\.dir=") as caught, open_run(config):
        pass
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_text() == "in the way"


# Writing


def test_writing_replaces_the_content(tmp_path):
    path = tmp_path / "file"
    for content in (b"old", b"the new content"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_content(tmp_path, monkeypatch, broken):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*{"fsync": (os, "fsync", no_space), "replace": (Path, "replace", no_space)}[broken])
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path], "the temporary file's room is free again"


@pytest.mark.skipif(os.name != "posix", reason="sets a limit that other systems lack")
def test_a_file_that_the_system_cuts_off_leaves_the_old_content(tmp_path):
    script = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom regbench.records.files import write_atomically\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "path = Path(sys.argv[1])\nwrite_atomically(path, b'old')\n"
        "try: write_atomically(path, bytes(100_000))\nexcept OSError as error: print(error.strerror)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "file")]
    assert subprocess.check_output(command, text=True) == "File too large\n"
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_checkpoint_that_cannot_be_written_is_an_error(config, monkeypatch):
    def no_space(path: Path, content: bytes) -> None:
        if path.name == "checkpoint.pt":
            raise OSError(28, "No space left on device")
        write_atomically(path, content)

    monkeypatch.setattr(saved_states, "write_atomically", no_space)
    run = open_run(config)
    with run:
        run.start(FACTS)
        run.save(row(1), state(1))
        with pytest.raises(OSError, match="No space"):
            run.save(row(2), state(2))
        run.end("failed", "no space")
    assert strict(run.path / "run.json")["status"] == "failed"


def refuse_to_lock(monkeypatch, number: int) -> None:
    def flock(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
def test_a_lock_that_cannot_be_taken_is_not_held_by_another(config, monkeypatch, number):
    run = run_until(config, 1)
    refuse_to_lock(monkeypatch, number)
    with pytest.raises(UserError, match=rf"\.lock cannot be locked: {os.strerror(number)}"), open_run(config):
        pass
    assert not is_locked(run.path)
    assert str(lock_fault(run.path)).startswith(f"{run.path / '.lock'} cannot be locked")


@pytest.mark.parametrize("place", ["the run", "the study"])
def test_a_link_in_the_place_of_a_folder_is_not_written_through(config, tmp_path, place):
    outside = tmp_path / "outside"
    outside.mkdir()
    path = run_path(config, IDENTITY)
    link = path if place == "the run" else path.parent
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    with pytest.raises(UserError, match="is a link"), open_run(config):
        pass
    assert list(outside.iterdir()) == []
