"""A run as its directory shows it, looked at again and again while somebody trains it, here or anywhere."""

from collections.abc import Mapping
from typing import Any

from regbench.experiment.run import Run
from regbench.records.files import FINAL, LOG, METRICS, RUN
from regbench.records.run_status import epochs_written

PRUNED = "pruned"
DONE = (*FINAL, PRUNED)
ENDED = (*DONE, "failed")


class Followed:
    """What was there at the last look; `pending`: whether the run is to be trained, whatever it says of itself yet."""

    def __init__(self, run: Run, pending: bool) -> None:
        self.run, self._status = run, run.status()
        self.state = "waiting" if pending else str(self._status.state or "waiting")
        ended_meanwhile = pending and self._status.finished and not run.config.force  # since the sweep was planned
        self._stamp = None if ended_meanwhile else self._stat(RUN)
        self._counted: Any = None
        self.trained = self.before = 0  # epochs in all, and before this sweep
        if not pending:
            self.trained = self.before = run.config.epochs
        elif not run.config.force:  # which begins anew, whatever is there
            self.trained = self.before = self._epochs()

    @property
    def record(self) -> Mapping[str, Any]:
        """What run.json said."""
        return self._status.record

    @property
    def left(self) -> int:
        """Epochs that are to be trained; none of a run that has ended, however it did."""
        return 0 if self.state in ENDED else max(self.run.config.epochs - self.trained, 0)

    def look(self) -> bool:
        """Look again; whether the run has ended meanwhile."""
        if self.state in ENDED:
            return False
        if (stamp := self._stat(RUN)) != self._stamp:
            self._stamp = stamp
            self._status = self.run.status()
            self.state = PRUNED if self._status.pruned else self._status.state or "waiting"
        if self.state != "waiting":
            self.trained = self._epochs()
            self.before = min(self.before, self.trained)  # force=true begins anew
        return self.state in ENDED

    def end(self) -> str:
        """How it ended, in a few words."""
        if self.state == "completed":
            return f"test acc {self.record['result']['best_val']['test_acc'] * 100:.2f} %"
        return f"failed: {self.record['error']} ({self.run.path / LOG})" if self.state == "failed" else self.state

    def _stat(self, name: str) -> tuple[int, ...] | None:
        try:
            found = (self.run.path / name).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _epochs(self) -> int:
        """The rows of metrics.csv, which is read again when it has changed."""
        if (stamp := self._stat(METRICS)) == self._counted:
            return self.trained
        self._counted = stamp
        return epochs_written(self.run.path)
