"""The files of a run directory: names, states, and how they are written."""

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

FORMAT = 1
RUN, CONFIG, METRICS, LOG = "run.json", "config.yaml", "metrics.csv", "train.log"
LAYERS, PRETRAIN = "layers.csv", "pretrain.csv"
TEMPORARY = ".{}.tmp"
CHECKPOINT, MODEL, LOCK = "checkpoint.pt", "model.safetensors", ".lock"
PREDICTED, HISTOGRAMS = "predicted.safetensors", "histograms.safetensors"
SWEEP = ".sweep-"  # how a folder among runs is called in which a sweep that trains leaves word
CORRECT = "correct.safetensors"  # of older runs, in the place of PREDICTED
EARLIER = "checkpoint.before.pt"  # the checkpoint before, for a run whose last one is damaged

Status = Literal["running", "completed", "diverged", "interrupted", "failed"]
# The status in run.json, and `killed` for a running one whose process is gone: the same command resumes that run.
# An interrupted run that its search gave up is `pruned`.
State = Literal["completed", "diverged", "pruned", "running", "interrupted", "killed", "failed"]
STATES: tuple[State, ...] = get_args(State)
FINAL: tuple[Status, ...] = ("completed", "diverged")
# How the error of a run begins that its search gave up; its status is interrupted.
PRUNED_ERROR = "pruned by the search"


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file so that a reader, a crash or a power cut sees all of the old content or all of the new."""
    temporary = path.with_name(TEMPORARY.format(path.name))
    try:
        temporary.unlink(missing_ok=True)  # of a process that was killed, or a link to elsewhere
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # so that a full disk has room again for the record of it
        raise
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
