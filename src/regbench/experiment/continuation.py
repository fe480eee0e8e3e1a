"""More epochs of a run that is finished: `epochs=10` resumes from the five of `epochs=5`."""

from collections.abc import Iterator
from typing import NamedTuple

from regbench.errors import visible
from regbench.experiment.run import Run
from regbench.records.checkpoint import DamagedError
from regbench.records.run_dir import RunDir
from regbench.records.run_status import RunStatus, run_path
from regbench.techniques.scheduler import continues
from regbench.text import plural

_MOST_FEWER = 1000  # epochs; a run of a million would begin after minutes of looking


class _Shorter(NamedTuple):
    """A completed run that differs only in having fewer epochs."""

    epochs: int
    identity: str
    status: RunStatus


def resume_shorter(run: Run, directory: RunDir) -> str | None:
    """Let a run that begins resume from a finished one that differs only in its number of epochs.

    Return a line that says from which, or why not; None where there is no such run.

    Raises:
        OSError: the state cannot be written.
    """
    if run.config.force or directory.states.any_there:
        return None
    return next((_adopted(run, directory, shorter) for shorter in _shorter(run)), None)


def _shorter(run: Run) -> Iterator[_Shorter]:
    """Look for the run with one epoch less, two less, …, by the names that their directories would have."""
    more = run.config.epochs
    for epochs in range(more - 1, max(0, more - 1 - _MOST_FEWER), -1):
        config = run.config.model_copy(update={"epochs": epochs})
        identity = config.identity(run.data_digest)
        status = RunStatus.read(run_path(config, identity), identity)
        if status.state == "completed":
            yield _Shorter(epochs, identity, status)


def _adopted(run: Run, directory: RunDir, shorter: _Shorter) -> str:
    config, path = run.config, shorter.status.path
    beginning = f"begins again, not after the {plural(shorter.epochs, 'epoch')} of {path}"
    if not continues(config.scheduler, config.optimizer.args["lr"], shorter.epochs, config.epochs):
        return f"{beginning}: scheduler={config.scheduler.name} depends on the number of epochs"
    try:
        directory.adopt(path, shorter.identity)
    except FileNotFoundError:
        return f"{beginning}: its state is not kept (runtime.keep_state=true keeps it)"
    except DamagedError as error:
        return f"{beginning}: its state is damaged: {visible(str(error))}"
    return f"takes the first {plural(shorter.epochs, 'epoch')} from {path}"
