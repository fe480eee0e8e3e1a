"""More epochs of a run that is finished: `epochs=10` resumes from the five of `epochs=5`."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from regbench.experiment.run import Run
from regbench.records.checkpoint import DamagedError
from regbench.records.run_dir import RunDir
from regbench.records.run_json import Recorded, UnreadableError, content_of, parse
from regbench.techniques.scheduler import continues
from regbench.text import plural


def resume_shorter(run: Run, directory: RunDir) -> str | None:
    """Let a run that begins resume from a finished one that differs only in its number of epochs.

    Return a line that says from which, or why not; None where there is no such run.

    Raises:
        OSError: the state cannot be written.
    """
    if run.config.force or directory.holds_state:
        return None
    return next((_adopted(run, directory, shorter) for shorter in _shorter(run)), None)


def _shorter(run: Run) -> Iterator[Run]:
    """Find the completed runs that differ only in having fewer epochs, the longest first."""
    found = (_of_fewer_epochs(run, path) for path in run.path.parent.glob(f"{run.config.slug()}-*"))
    runs = [other for other in found if other and other.status().state == "completed"]
    yield from sorted(runs, key=lambda other: other.config.epochs, reverse=True)


def _of_fewer_epochs(run: Run, path: Path) -> Run | None:
    """Return the run with the number of epochs that the record in a directory names, if that is the run kept there."""
    try:
        epochs = parse(content_of(path), Recorded).config.get("epochs")
    except (OSError, UnreadableError):
        return None
    if not isinstance(epochs, int) or not 0 < epochs < run.config.epochs:
        return None
    other = replace(run, config=run.config.model_copy(update={"epochs": epochs}))
    return other if other.path == path else None


def _adopted(run: Run, directory: RunDir, shorter: Run) -> str:
    config, finished = run.config, shorter.config.epochs
    beginning = f"begins again, not after the {plural(finished, 'epoch')} of {shorter.path}"
    if not continues(config.scheduler, config.optimizer.args["lr"], finished, config.epochs):
        return f"{beginning}: scheduler={config.scheduler.name} depends on the number of epochs"
    try:
        directory.adopt(shorter.path, shorter.identity)
    except FileNotFoundError:
        return f"{beginning}: its state is not kept (runtime.keep_state=true keeps it)"
    except DamagedError as error:
        return f"{beginning}: its state is damaged: {error}"
    return f"takes the first {plural(finished, 'epoch')} from {shorter.path}"
