"""Tell a tracker what is new of runs."""

import os
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from regbench.config.trackers import TRACKERS
from regbench.errors import not_installed
from regbench.records.run_json import find
from regbench.trackers.store import Store
from regbench.trackers.story import Mark, read

_CLASSES = {"tensorboard": "TensorBoard", "mlflow": "MLflow", "wandb": "WandB", "trackio": "Trackio"}


class _Told(NamedTuple):
    """What an export wrote: runs that were not there, epochs of these and others, and runs that it looked at."""

    runs: int
    epochs: int
    seen: int


def store(kind: str, place: str | None) -> Store:
    """Choose the store of a tracker; without a place mlflow's is MLFLOW_TRACKING_URI, if that is set.

    Raises:
        UserError: the tracker is not installed.
    """
    if find_spec(kind) is None:
        raise not_installed(kind, kind)
    where = place or (os.environ.get("MLFLOW_TRACKING_URI") if kind == "mlflow" else None) or TRACKERS[kind]
    made: Store = getattr(import_module(f"regbench.trackers.{kind}"), _CLASSES[kind])(
        where if kind == "mlflow" else Path(where)
    )
    return made


def export(dirs: Iterable[Path], opened: Store) -> _Told:
    """Write of each run below the directories what the store does not have yet.

    Raises:
        UserError: a directory does not exist.
    """
    runs = epochs = seen = 0
    with opened:
        for path in find(dirs):
            story = read(path)
            seen += story is not None
            known = opened.known(story) if story else None
            if story is None or known == story.mark:
                continue
            after = known or Mark(0, "")
            opened.add(story, after.epochs)
            runs, epochs = runs + (known is None), epochs + story.mark.epochs - after.epochs
    return _Told(runs, epochs, seen)
