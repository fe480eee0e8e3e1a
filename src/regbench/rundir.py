"""One run's directory: append, finish atomically, resume. The only writer of runs/."""

import csv
import io
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from filelock import FileLock, Timeout

from regbench.config import ID_LENGTH, RunConfig
from regbench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from regbench.trainer import Epoch

FORMAT = 1
RUN, CONFIG, METRICS, LOG = "run.json", "config.yaml", "metrics.csv", "train.log"
CHECKPOINT, MODEL, LOCK = "checkpoint.pt", "model.safetensors", ".lock"

Status = Literal["running", "completed", "diverged", "interrupted", "failed"]
FINAL: tuple[Status, ...] = ("completed", "diverged")


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file so that a reader, a crash or a power cut sees all of the old content or all of the new."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    with suppress(OSError):  # not every system can sync a directory
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class RunDir:
    """The directory of one run; locked, and writable, only inside a `with` block."""

    def __init__(self, config: RunConfig, identity: str) -> None:
        self.config, self.identity = config, identity
        self.path = Path(config.runtime.dir) / config.study / f"{config.slug()}-{identity[:ID_LENGTH]}"
        self.record = self._read()
        self._lock = FileLock(self.path / LOCK, blocking=False)

    def __enter__(self) -> "RunDir":
        """Make the directory and lock it.

        Raises:
            UserError: the directory cannot be written, or another process trains this run.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise UserError(f"{self.path}: another process is training this run") from None
        except OSError as error:
            place = f"runtime.dir={self.config.runtime.dir}"
            raise UserError(f"{place}: must be a folder that can be written: {self.path}: {error.strerror}") from None
        self.record = self._read()  # another process may have finished it meanwhile
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _read(self) -> dict[str, Any]:
        try:
            record = json.loads((self.path / RUN).read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        ours = isinstance(record, dict) and record.get("format") == FORMAT and record.get("identity") == self.identity
        return record if ours else {}

    @property
    def status(self) -> Status:
        """The status last written."""
        status: Status = self.record["status"]
        return status

    @property
    def finished(self) -> bool:
        """Whether the run ended with a result: completed or diverged."""
        return self.record.get("status") in FINAL

    def start(self, facts: Mapping[str, Any]) -> dict[str, Any] | None:
        """Begin or go on: the state after the last finished epoch, or None for a run from the beginning.

        `facts` (overrides, versions, machine, git) are recorded in run.json.
        """
        state = None if self.config.force else self._checkpoint()
        if state is None or not self._trim(state["epoch"]):
            state = None
            for name in (RUN, METRICS, LOG, CHECKPOINT, MODEL):
                (self.path / name).unlink(missing_ok=True)
        started = self.record["times"]["started"] if state and self.record else now()
        self.record = {
            "format": FORMAT,
            "status": "running",
            "identity": self.identity,
            "study": self.config.study,
            "config": self.config.dump(),
            "result": None,
            "error": None,
            **facts,
            "times": {"started": started, "updated": None, "finished": None},
        }
        write_atomically(self.path / CONFIG, yaml.safe_dump(self.config.dump(), sort_keys=False).encode())
        self._update("running")
        return state

    def _checkpoint(self) -> dict[str, Any] | None:
        import torch

        try:
            state = torch.load(self.path / CHECKPOINT, weights_only=True, map_location="cpu")
        except FileNotFoundError:
            return None
        return state if state["identity"] == self.identity else None

    def _trim(self, epochs: int) -> bool:
        """Drop rows after the last saved epoch and a torn last line; False where saved epochs lack their row."""
        try:
            lines = (self.path / METRICS).read_text().splitlines(keepends=True)
        except FileNotFoundError:
            return False
        if len(lines) <= epochs:
            return False
        write_atomically(self.path / METRICS, "".join(lines[: epochs + 1]).encode())
        return True

    def append(self, epoch: "Epoch") -> None:
        """Add an epoch's row to metrics.csv; on disk when this returns."""
        row = asdict(epoch)
        path = self.path / METRICS
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row, lineterminator="\n")
            if not file.tell():
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            os.fsync(file.fileno())

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint by the state after the newest epoch."""
        import torch

        buffer = io.BytesIO()
        torch.save({**state, "identity": self.identity}, buffer)
        write_atomically(self.path / CHECKPOINT, buffer.getvalue())

    def epochs(self) -> list[dict[str, float | None]]:
        """The rows of metrics.csv."""
        with (self.path / METRICS).open(newline="") as file:
            return [
                {key: float(value) if value else None for key, value in row.items()} for row in csv.DictReader(file)
            ]

    def complete(self, weights: "Mapping[str, Tensor]", chosen: int, tests: Mapping[str, tuple[float, float]]) -> None:
        """Keep the weights of the chosen epoch, and the figures of the last and the chosen one."""
        from safetensors.torch import save

        rows = self.epochs()
        epochs = {"last": rows[-1], "best_val": rows[chosen - 1]}
        figures = {name: self._figures(row, *tests[name]) for name, row in epochs.items()}
        write_atomically(self.path / MODEL, save(dict(weights)))
        self.record["result"] = {**figures, "seconds": sum(row["seconds"] or 0.0 for row in rows)}
        self._update("completed")
        (self.path / CHECKPOINT).unlink(missing_ok=True)

    @staticmethod
    def _figures(row: Mapping[str, float | None], test_loss: float, test_acc: float) -> dict[str, float | None]:
        kept = {key: row[key] for key in ("train_loss", "train_acc", "val_loss", "val_acc")}
        return {"epoch": int(row["epoch"] or 0), **kept, "test_loss": test_loss, "test_acc": test_acc}

    def end(self, status: Status, error: str) -> None:
        """Record an end without a result: diverged, interrupted or failed, and why in one line."""
        self._update(status, error)
        if status in FINAL:
            (self.path / CHECKPOINT).unlink(missing_ok=True)

    def log(self, text: str) -> None:
        """Append to train.log."""
        with (self.path / LOG).open("a") as file:
            file.write(f"{now()}  {text}\n")

    def _update(self, status: Status, error: str | None = None) -> None:
        times = self.record["times"]
        times["updated"] = now()
        times["finished"] = now() if status in FINAL else None
        self.record |= {"status": status, "error": error}
        content = json.dumps(self.record, indent=1, allow_nan=False)
        write_atomically(self.path / RUN, content.encode() + b"\n")
