"""An injected failure at each file operation of a run's life, by its number: nothing finished is lost.

The layer below stands between pathlib and the system: it counts operations on files below a folder, and fails one.
"""

import errno
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from regbench.errors import UserError
from regbench.records.run_dir import RunDir
from regbench.records.run_status import RunStatus
from support import EPOCH

IDENTITY = "0123456789abcdef" * 4
FACTS: dict[str, Any] = {"overrides": ["seed=0"], "versions": {}, "machine": {}, "git": None}
EPOCHS = 3
OPERATIONS = [(os, name) for name in ("open", "fsync", "replace", "unlink", "mkdir")] + [(io, "open")]
NUMBERS = ("ENOSPC", "EIO", "EACCES", "EROFS", "EMFILE")


class Kill(BaseException):
    """Stands for a process that is gone in the middle of an operation."""


@contextmanager
def failing(
    monkeypatch: pytest.MonkeyPatch, folder: Path, at: int | None, error: BaseException | None
) -> Iterator[list[str]]:
    """Count the operations below a folder, and raise the error in the place of the one with this number."""
    seen: list[str] = []

    def layer(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            if isinstance(path, str | Path) and str(path).startswith(str(folder)):
                seen.append(f"{name} {Path(path).name}")
                if len(seen) - 1 == at and error:
                    raise error
            return function(path, *arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for module, name in OPERATIONS:
            patch.setattr(module, name, layer(name, getattr(module, name)))
        yield seen


def live(config: Any) -> None:
    """Begin or resume a run, train what is left of it, and complete it."""
    with RunDir(config, IDENTITY) as directory:
        if directory.status.finished:
            return
        state = directory.start(FACTS)
        for epoch in range((state["epoch"] if state else 0) + 1, EPOCHS + 1):
            directory.save(replace(EPOCH, epoch=epoch), {"epoch": epoch, "weights": torch.full((3,), float(epoch))})
            directory.log(f"epoch {epoch}")
        tests = {"last": (0.25, 0.9), "best_val": (0.2, 0.95)}
        directory.complete({"w": torch.ones(2)}, 2, tests, b"predicted")


def left(path: Path) -> dict[str, bytes]:
    """What a completed run is in the end."""
    record = json.loads((path / "run.json").read_text())
    kept = {name: (path / name).read_bytes() for name in ("metrics.csv", "model.safetensors", "config.yaml")}
    return kept | {"result": json.dumps([record["status"], record["result"]]).encode()}


def placed(config: Any, folder: Path) -> Any:
    return config.model_copy(update={"runtime": config.runtime.model_copy(update={"dir": str(folder)})})


def operations(config: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], dict[str, bytes]]:
    """The operations of a life without a fault, and what it leaves."""
    with failing(monkeypatch, folder, None, None) as seen:
        live(placed(config, folder))
    (path,) = folder.glob("*/*")
    return seen, left(path) | {"config.yaml": b""}


def check(
    config: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, fault: str, whole: dict[str, bytes]
) -> None:
    """Fail one operation; then the same command ends as if nothing had happened."""
    error = Kill() if fault == "a kill" else OSError(getattr(errno, fault), os.strerror(getattr(errno, fault)))
    with failing(monkeypatch, folder, number, error) as seen:
        try:
            live(placed(config, folder))
        except Exception as problem:
            assert len(str(problem).splitlines()) == 1, seen[-1]
        except Kill:
            pass
    finished = [RunStatus.read(path, IDENTITY).finished for path in folder.glob("*/*")]
    with failing(monkeypatch, folder, None, None) as again:
        live(placed(config, folder))
    assert not any(finished) or "replace .run.json.tmp" not in again, "a finished run is left as it is"
    (path,) = folder.glob("*/*")
    assert left(path) | {"config.yaml": b""} == whole, number


@pytest.mark.slow
def test_a_failure_at_any_operation_loses_nothing_that_is_finished(make_config, tmp_path, monkeypatch):
    seen, whole = operations(make_config(), tmp_path / "whole", monkeypatch)
    assert len(seen) > 40
    faults = [*NUMBERS, "a kill"]
    for number in range(0, len(seen), 2):
        fault = faults[number // 2 % len(faults)]
        check(make_config(), tmp_path / str(number), monkeypatch, number, fault, whole)


@pytest.mark.slow
@pytest.mark.stress
@pytest.mark.parametrize("fault", [*NUMBERS, "a kill"])
def test_each_failure_at_each_operation(make_config, tmp_path, monkeypatch, fault):
    seen, whole = operations(make_config(), tmp_path / "whole", monkeypatch)
    for number in range(len(seen)):
        check(make_config(), tmp_path / str(number), monkeypatch, number, fault, whole)


def test_a_finished_run_that_cannot_be_read_now_is_not_begun_again(make_config, tmp_path, monkeypatch):
    config = placed(make_config(), tmp_path)
    live(config)
    (path,) = tmp_path.glob("*/*")
    before = left(path)
    error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    with failing(monkeypatch, path, 3, error) as seen, pytest.raises(UserError):
        live(config)
    assert seen[3] == "open run.json"
    assert left(path) == before
