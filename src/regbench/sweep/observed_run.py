"""A run as its directory shows it, looked at again and again while a process trains it, here or anywhere."""

from collections.abc import Mapping
from functools import cached_property
from statistics import fmean
from typing import Any

from regbench.experiment.run import Run
from regbench.records import epochs
from regbench.records.files import FINAL, LOG, METRICS, RUN

DONE = (*FINAL, "pruned")  # states of runs that the sweep does not train again
_ENDED = (*DONE, "failed")


class ObservedRun:
    """What a run's directory said at the last look.

    `state` is the status in run.json, or `pruned`, or `waiting` before the run begins. `trained` counts the epochs in
    all, `before` those of earlier sweeps.
    """

    def __init__(self, run: Run, pending: bool) -> None:
        """`pending`: whether the sweep will train the run, whatever its directory says yet."""
        self.run, self._status = run, run.status()
        self.state = "waiting" if pending else str(self._status.state or "waiting")
        ended_meanwhile = pending and self._status.finished and not run.config.force  # since the sweep was planned
        self._stamp = None if ended_meanwhile else self._stat(RUN)
        self._counted: Any = None
        self.trained = self.before = 0
        self.seconds = 0.0  # of an epoch, in this sweep: the run's share of the time of those beside it
        if not pending:
            self.trained = self.before = run.config.epochs
        elif not run.config.force:  # which begins anew, whatever is there
            self.trained = self.before = self._epochs()

    @cached_property
    def shape(self) -> str:
        """What decides about the time of an epoch."""
        config = self.run.config
        kept = config.model_dump_json(
            include={"model", "norm", "optimizer", "data", "augment", "batch_size", "precision"}
        )
        return f"{kept} {config.runtime.threads}"

    @property
    def result(self) -> Mapping[str, Any] | None:
        """The figures of a completed run, by selection."""
        return self._status.result if self.state == "completed" else None

    @property
    def left(self) -> int:
        """The epochs left to train; none for a run that has ended, however it did."""
        return 0 if self.state in _ENDED else max(self.run.config.epochs - self.trained, 0)

    def look(self) -> bool:
        """Look again; return whether the run has ended meanwhile."""
        if self.state in _ENDED:
            return False
        if (stamp := self._stat(RUN)) != self._stamp:
            self._stamp = stamp
            self._status = self.run.status()
            self.state = "pruned" if self._status.pruned else self._status.state or "waiting"
        if self.state != "waiting":
            self.trained = self._epochs()
            self.before = min(self.before, self.trained)  # force=true begins anew
        return self.state in _ENDED

    def end(self) -> str:
        """Say in a few words how the run ended."""
        if self.result:
            return f"test acc {self.result['best_val']['test_acc'] * 100:.2f} %"
        return f"failed: {self._status.error} ({self.run.path / LOG})" if self.state == "failed" else self.state

    def _stat(self, name: str) -> tuple[int, ...] | None:
        """Return what changes when a file does; None without the file."""
        try:
            stat = (self.run.path / name).stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino, stat.st_size

    def _epochs(self) -> int:
        """Count the epochs in metrics.csv, which is read again when it has changed."""
        if (stamp := self._stat(METRICS)) == self._counted:
            return self.trained
        self._counted = stamp
        rows = epochs.read(self.run.path)
        here = [row["seconds"] for row in rows[self.before :] if row.get("seconds", 0) > 0]
        self.seconds = fmean(here) if here else 0.0
        return len(rows)
