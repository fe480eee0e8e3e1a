"""One run's directory: append, finish atomically, resume. The only writer of runs/."""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from filelock import FileLock, Timeout

from regbench.config.run_config import ID_LENGTH, RunConfig
from regbench.errors import UserError
from regbench.records.files import (
    CHECKPOINT,
    CONFIG,
    CORRECT,
    FINAL,
    FORMAT,
    LAYERS,
    LOCK,
    LOG,
    METRICS,
    MODEL,
    PRETRAIN,
    PRUNED,
    RUN,
    TEMPORARY,
    Status,
    now,
    write_atomically,
)

if TYPE_CHECKING:
    from torch import Tensor

    from regbench.records.rows import Epoch, LayerFigures

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the same text in a tenth of the time


def check_place(config: RunConfig) -> None:
    """Try whether the study's folder can be written, without making it.

    Raises:
        UserError: it cannot.
    """
    study = Path(config.runtime.dir) / config.runtime.study
    there = next(folder for folder in (study, *study.parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise _no_place(config, there)


def _no_place(config: RunConfig, culprit: object) -> UserError:
    return UserError(f"runtime.dir={config.runtime.dir}: must be a folder that can be written: {culprit}")


class RunDir:
    """The directory of one run; locked, and writable, only inside a `with` block."""

    def __init__(self, config: RunConfig, identity: str) -> None:
        self.config, self.identity = config, identity
        self.path = Path(config.runtime.dir) / config.runtime.study / f"{config.slug()}-{identity[:ID_LENGTH]}"
        self.record = self._read()
        self.rows: list[dict[str, Any]] = []  # of metrics.csv
        self.layers: list[dict[str, Any]] = []  # of layers.csv
        self._lock = FileLock(self.path / LOCK, blocking=False)
        self._writer = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None

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
            raise _no_place(self.config, f"{self.path}: {error.strerror}") from None
        self.record = self._read()  # another process may have finished it meanwhile
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.shutdown()
        self._lock.release()

    def _read(self) -> dict[str, Any]:
        try:
            record = json.loads((self.path / RUN).read_bytes())
        except (OSError, ValueError):
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

    @property
    def pruned(self) -> bool:
        """Whether a search stopped the run; `regbench train` goes on with it as with any other that was interrupted."""
        return self.record.get("status") == "interrupted" and str(self.record.get("error")).startswith(PRUNED)

    def start(self, facts: Mapping[str, Any]) -> dict[str, Any] | None:
        """Begin or go on: the state after the last saved epoch, or None for a run from the beginning.

        `facts` (overrides, versions, machine, git) are recorded in run.json.
        """
        state = None if self.config.force else self.state()
        for leftover in self.path.glob(TEMPORARY.format("*")):  # of a process that was killed
            leftover.unlink()
        if state is None:
            self.rows, self.layers = [], []
            for name in (RUN, METRICS, LAYERS, PRETRAIN, LOG, CHECKPOINT, MODEL, CORRECT):
                (self.path / name).unlink(missing_ok=True)
        started = self.record["times"]["started"] if state and self.record else now()
        self.record = {
            "format": FORMAT,
            "status": "running",
            "identity": self.identity,
            "study": self.config.runtime.study,
            "config": self.config.dump(),
            "result": None,
            "error": None,
            **facts,
            "times": {"started": started, "updated": None, "finished": None},
        }
        self._write_tables()
        write_atomically(self.path / CONFIG, yaml.dump(self.config.dump(), Dumper=DUMPER, sort_keys=False).encode())
        self._update("running")
        return state

    def state(self) -> dict[str, Any] | None:
        """The state after the last saved epoch, whose rows the directory goes on from; None without one."""
        with suppress(OSError):  # then the one before holds
            self._settle()
        state = self._checkpoint()
        self.rows, self.layers = (state.pop("rows"), state.pop("layers")) if state else ([], [])
        return state

    def _checkpoint(self) -> dict[str, Any] | None:
        """The saved state; None without one, or where it is damaged or another run's. Executes nothing in it."""
        import torch

        try:
            state = torch.load(self.path / CHECKPOINT, weights_only=True, map_location="cpu")
        except Exception:  # whatever a damaged file makes torch raise
            return None
        whole = isinstance(state, dict) and state.keys() >= {"identity", "rows", "layers", "epoch"}
        return state if whole and state["identity"] == self.identity else None

    def save(self, epoch: "Epoch", state: Mapping[str, Any] | None, layers: "Sequence[LayerFigures]" = ()) -> None:
        """Add an epoch's rows to metrics.csv and layers.csv; replace the checkpoint by the state after it, if any.

        The checkpoint holds the rows as well: a resumed run's tables are written anew from them. It goes to disk while
        the next epoch trains; a process killed meanwhile goes on from the one before.
        """
        import torch

        self._append(METRICS, self.rows, [asdict(epoch)])
        if layers:
            self._append(LAYERS, self.layers, [asdict(row) for row in layers])
        if state is None:
            return
        buffer = io.BytesIO()
        torch.save({**state, "identity": self.identity, "rows": self.rows, "layers": self.layers}, buffer)
        self._settle()
        self._pending = self._writer.submit(write_atomically, self.path / CHECKPOINT, buffer.getvalue())

    def _append(self, name: str, rows: list[dict[str, Any]], new: Sequence[dict[str, Any]]) -> None:
        with (self.path / name).open("ab") as file:
            file.write(_csv(new, header=not rows))
        rows.extend(new)

    def _write_tables(self) -> None:
        """Write metrics.csv and layers.csv anew, whatever is there; without diagnostics there is no layers.csv."""
        write_atomically(self.path / METRICS, _csv(self.rows, header=True))
        if self.layers:
            write_atomically(self.path / LAYERS, _csv(self.layers, header=True))
        else:
            (self.path / LAYERS).unlink(missing_ok=True)

    def _settle(self) -> None:
        """Wait for the checkpoint on its way to disk, and raise what went wrong there."""
        pending, self._pending = self._pending, None
        if pending:
            pending.result()

    def complete(
        self, weights: "Mapping[str, Tensor]", chosen: int, tests: Mapping[str, tuple[float, float]], correct: bytes
    ) -> None:
        """Keep the weights of the chosen epoch, the figures of the last and the chosen one, `correct.encoded`."""
        from safetensors.torch import save

        epochs = {"last": self.rows[-1], "best_val": self.rows[chosen - 1]}
        figures = {name: _figures(row, *tests[name]) for name, row in epochs.items()}
        self.record["result"] = {**figures, "seconds": sum(row["seconds"] for row in self.rows)}
        write_atomically(self.path / MODEL, save(dict(weights)))
        write_atomically(self.path / CORRECT, correct)
        self.end("completed")

    def end(self, status: Status, error: str | None = None) -> None:
        """Record how the run ended, and why in one line where it did not end well."""
        self._settle()
        self._write_tables()
        self._update(status, error)
        if status in FINAL:
            (self.path / CHECKPOINT).unlink(missing_ok=True)

    def prune(self, epoch: int) -> None:
        """Leave the run as it is after an epoch."""
        self.end("interrupted", f"{PRUNED} after epoch {epoch}")

    def pretrained(self, row: Mapping[str, Any]) -> None:
        """Append to pretrain.csv."""
        with (self.path / PRETRAIN).open("ab") as file:
            file.write(_csv([row], header=file.tell() == 0))

    def abandon(self, reason: str) -> None:
        """Record of an open directory whose process is gone that its run failed; all else stays, to go on from."""
        if self.record.get("status") == "running":
            self.log(reason)
            self._update("failed", reason)

    def log(self, text: str) -> None:
        """Append to train.log."""
        with (self.path / LOG).open("a") as file:
            file.write(f"{now()}  {text}\n")

    def _update(self, status: Status, error: str | None = None) -> None:
        times = self.record["times"]
        times["updated"] = now()
        times["finished"] = times["updated"] if status in FINAL else None
        self.record |= {"status": status, "error": error}
        content = json.dumps(self.record, indent=1, allow_nan=False)
        write_atomically(self.path / RUN, content.encode() + b"\n")


def _figures(row: Mapping[str, Any], test_loss: float, test_acc: float) -> dict[str, Any]:
    kept = ("epoch", "train_loss", "train_acc", "val_loss", "val_acc")
    return {**{key: row[key] for key in kept}, "test_loss": test_loss, "test_acc": test_acc}


def _csv(rows: Sequence[Mapping[str, Any]], header: bool) -> bytes:
    """Rows of a table: floats in full precision, an empty cell for None."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        if header:
            writer.writeheader()
        writer.writerows(rows)
    return text.getvalue().encode()
