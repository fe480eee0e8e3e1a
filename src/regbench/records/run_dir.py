"""Write one run's directory: append, finish atomically, resume. The only writer of runs/."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from filelock import FileLock, Timeout

from regbench.config.run_config import RunConfig
from regbench.errors import UserError
from regbench.guarded import ODD, append, read_bounded
from regbench.records import checkpoint, histograms
from regbench.records.files import (
    CHECKPOINT,
    CONFIG,
    CORRECT,
    EARLIER,
    FINAL,
    FORMAT,
    HISTOGRAMS,
    LAYERS,
    LOCK,
    LOG,
    METRICS,
    MODEL,
    PREDICTED,
    PRETRAIN,
    PRUNED_ERROR,
    RUN,
    TEMPORARY,
    Status,
    now,
    write_atomically,
)
from regbench.records.locks import cannot_lock
from regbench.records.place import check_place, no_place
from regbench.records.run_json import content_of, is_pruned, why
from regbench.records.run_status import RunStatus, run_path
from regbench.records.run_tables import RunTables
from regbench.records.saved_states import SavedStates

if TYPE_CHECKING:
    from regbench.records.checkpoint import Needs, Weights
    from regbench.records.rows import Epoch, Histogram, LayerFigures, Progress

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the same text in a tenth of the time
WRITTEN = (  # what a run from the beginning removes; `regbench rm` removes it, and nothing that others have written
    *(RUN, METRICS, LAYERS, PRETRAIN, LOG, CHECKPOINT, EARLIER, MODEL),
    *(PREDICTED, CORRECT, HISTOGRAMS),
)


class RunDir:
    """The directory of one run; locked, and writable, only inside a `with` block."""

    def __init__(
        self,
        config: RunConfig,
        identity: str,
        needs: "Callable[[], Needs] | None" = None,
        keeps_state: bool = False,
    ) -> None:
        """`needs` makes what a saved state is held against; `keeps_state`: after the end as well."""
        self.config, self.identity, self._keeps_state = config, identity, keeps_state
        self.path = run_path(config, identity)
        self.tables = RunTables(self.path)
        self.states = SavedStates(self.path, identity, needs)
        self._record: dict[str, Any] = {}
        self.damaged_record: str | None = None  # why the run.json that was there is not used
        self._lock = FileLock(self.path / LOCK, blocking=False)

    def __enter__(self) -> "RunDir":
        """Make the directory and lock it.

        Raises:
            UserError: the directory cannot be written or is a link, or another process trains this run.
        """
        check_place(self.config, self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise no_place(self.config, f"{self.path}: {error.strerror}") from None
        try:
            self._lock.acquire()
        except Timeout:
            raise UserError(f"{self.path}: another process is training this run") from None
        except OSError as error:
            raise UserError(cannot_lock(self.path, error)) from None
        try:
            self._check_record()
            there = RunStatus.read(self.path, self.identity)
            self._record, self.damaged_record = dict(there.record), there.damage
        except BaseException:  # Ctrl-C as well
            self._lock.release()
            raise
        return self

    def _check_record(self) -> None:
        """Raise UserError if there is a run.json that cannot be read now: it may be that of a finished run."""
        try:
            content_of(self.path)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in ODD:
                raise UserError(f"{self.path / RUN} {why(error)}") from None

    def __exit__(self, *_: object) -> None:
        self.states.close()
        self._lock.release()

    @property
    def status(self) -> RunStatus:
        """What this process knows of the run: what it read when it took the lock, and wrote since."""
        return RunStatus(self.path, dict(self._record))

    def start(self, facts: Mapping[str, Any]) -> dict[str, Any] | None:
        """Begin or resume: the state after the last saved epoch, or None for a run from the beginning.

        `facts` (overrides, versions, machine, git) are recorded in run.json.
        """
        self._unlink_links()
        state = None if self.config.force else self.state()
        for leftover in self.path.glob(TEMPORARY.format("*")):  # of a process that was killed
            leftover.unlink()
        if state is None:
            self.tables.reset()
            for name in WRITTEN:
                (self.path / name).unlink(missing_ok=True)
        started = (self._record["times"].get("started") if state and self._record else None) or now()
        self._record = {
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
        self.tables.write()
        write_atomically(self.path / CONFIG, yaml.dump(self.config.dump(), Dumper=_DUMPER, sort_keys=False).encode())
        self._update("running")
        return state

    def _unlink_links(self) -> None:
        """Remove what stands as a link in the place of a file: regbench makes none, and what it leads to is another's.

        The lock, which is held, is none.
        """
        for name in (*WRITTEN, CONFIG):
            if (self.path / name).is_symlink():
                (self.path / name).unlink()

    def state(self) -> dict[str, Any] | None:
        """Read the state after the last saved epoch, and reset the tables to it; None without one."""
        state = self.states.read()
        rows, layers = (state.pop("rows"), state.pop("layers")) if state else ([], [])
        self.tables.reset(rows, layers)
        return state

    def adopt(self, other: Path, identity: str) -> None:
        """Take over the state of the run in another directory, which differs only in having fewer epochs.

        Raises:
            DamagedError: it is damaged, or not the state of the run with this identity.
            OSError: it is missing, or files cannot be written.
        """
        first = [found for found in histograms.read(other) if found.epoch == 1]  # its last epoch is not the last here
        if first:
            write_atomically(self.path / HISTOGRAMS, histograms.encoded(first))
        with suppress(FileNotFoundError):
            write_atomically(self.path / PRETRAIN, read_bounded(other / PRETRAIN))
        self.states.adopt(other, identity)

    def save(
        self,
        epoch: "Epoch",
        state: Mapping[str, Any] | None,
        layers: "Sequence[LayerFigures]" = (),
        spread: "Sequence[Histogram]" = (),
    ) -> None:
        """Add an epoch's rows to metrics.csv and layers.csv, and its histograms, if any, to theirs.

        Then replace the checkpoint by the state after the epoch, if there is one.

        The checkpoint holds the rows as well: a resumed run's tables are written anew from them. It goes to disk while
        the next epoch trains; a process killed meanwhile resumes from the epoch before.
        """
        self.tables.append(epoch, layers)
        if spread:
            histograms.add(self.path, spread)
        if state is None:
            return
        self.states.save({**state, "rows": self.tables.rows, "layers": self.tables.layers})

    def complete(
        self,
        weights: "Weights",
        chosen: int,
        tests: Mapping[str, tuple[float, float]],
        predicted: bytes,
        cpu_seconds: float | None = None,
    ) -> None:
        """Keep the weights of the chosen epoch, its figures and the last one's, and the class of each test image."""
        rows = self.tables.rows
        epochs = {"last": rows[-1], "best_val": rows[chosen - 1]}
        figures = {name: _figures(row, *tests[name]) for name, row in epochs.items()}
        write_atomically(self.path / MODEL, checkpoint.encode_weights(weights))
        write_atomically(self.path / PREDICTED, predicted)
        self._record["result"] = {**figures, "seconds": sum(row["seconds"] for row in rows), "cpu_seconds": cpu_seconds}
        self.end("completed")

    def end(self, status: Status, error: str | None = None) -> None:
        """Record how the run ended, and why in one line where it did not end well."""
        if status != "completed":
            self._record["result"] = None  # of a run whose last record could not be written
        self.states.settle()
        self.tables.write()
        self._update(status, error)
        if status in FINAL:
            with suppress(OSError):  # the run is finished all the same
                self.states.remove(all_but_last=self._keeps_state and status == "completed")

    def prune(self, epoch: int) -> None:
        """Leave the run as it is after an epoch."""
        self.end("interrupted", f"{PRUNED_ERROR} after epoch {epoch}")

    def pretrained(self, row: "Progress") -> None:
        """Append to pretrain.csv and train.log."""
        self.tables.append_pretrained(row._asdict())
        self.log(str(row))

    def abandon(self, reason: str, facts: Mapping[str, Any] | None = None) -> None:
        """Record that an open run failed because its process is gone; all else stays, to resume from.

        With `facts`, those of `start`, a run that its process never began is recorded as well.
        """
        if facts is not None and self.status.state != "running":
            self.start(facts)
        if self.status.state == "running":
            self.log(reason)
            self._update("failed", reason)

    def give_up(self, error: str) -> None:
        """Know the run as failed although that cannot be written."""
        self._record |= {"status": "failed", "error": error}

    def log(self, *texts: str) -> None:
        """Append to train.log, each text with the time before it."""
        lines = "".join(f"{now()}  {text}\n" for text in texts)
        append(self.path / LOG, lines.encode("utf-8", "backslashreplace"))

    def _update(self, status: Status, error: str | None = None) -> None:
        times = self._record["times"]
        times["updated"] = now()
        times["finished"] = times["updated"] if status in FINAL else None
        self._record |= {"status": status, "error": error}
        if search := self._record.get("search"):
            search["state"] = _trial_state(status, error)
        content = json.dumps(self._record, indent=1, allow_nan=False)
        write_atomically(self.path / RUN, content.encode() + b"\n")


def _trial_state(status: Status, error: str | None) -> str:
    """Name the state of a trial as its search counts it; a diverged one is as bad as pruned."""
    if status == "diverged" or is_pruned(status, error):
        return "pruned"
    return {"completed": "complete", "failed": "failed"}.get(status, "running")


def _figures(row: Mapping[str, Any], test_loss: float, test_acc: float) -> dict[str, Any]:
    kept = ("epoch", "train_loss", "train_acc", "val_loss", "val_acc")
    return {**{key: row[key] for key in kept}, "test_loss": test_loss, "test_acc": test_acc}
