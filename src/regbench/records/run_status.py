"""A look at a run's directory: it takes no lock, starts no thread and makes nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regbench.config.location import user_path
from regbench.config.run_config import ID_LENGTH, RunConfig, Runtime
from regbench.errors import UserError
from regbench.guarded import read_bounded
from regbench.records.files import FINAL, METRICS, Status
from regbench.records.metrics import SELECTIONS
from regbench.records.run_json import Record, UnreadableError, content_of, is_pruned, parse

_SHOWN = {"epoch", "test_loss", "test_acc", "val_loss"}
_LONGEST_NAME = 255  # bytes, on nearly every file system


def study_path(runtime: Runtime) -> Path:
    """Name the folder of a study's runs: `runs/<study>`.

    Raises:
        UserError: runtime.dir begins with the home folder of nobody.
    """
    return user_path("runtime.dir", runtime.dir) / runtime.study


def run_path(config: RunConfig, identity: str) -> Path:
    """Name the directory of a run: `runs/<study>/<slug>-<id>`."""
    return study_path(config.runtime) / f"{config.slug()}-{identity[:ID_LENGTH]}"


def check_names(config: RunConfig) -> None:
    """Raise unless a file system takes the names of the study and of the run.

    Raises:
        UserError: one of them is too long.
    """
    study, seed = config.runtime.study, str(config.seed)
    if (size := len(study.encode())) > _LONGEST_NAME:
        raise UserError(f"study={study[:20]}…: names a folder: must be at most {_LONGEST_NAME} bytes, not {size}")
    if (more := len(run_path(config, "0" * ID_LENGTH).name) - _LONGEST_NAME) > 0:
        most = len(seed) - more
        raise UserError(
            f"seed={seed[:20]}…: is part of the run's name: must have at most {most} digits, not {len(seed)}"
        )


@dataclass(frozen=True)
class RunStatus:
    """What a run's directory says of it.

    Attributes:
        path: the directory.
        record: its run.json; empty where there is none, or another run's.
        damage: why its run.json holds no run.
    """

    path: Path
    record: Mapping[str, Any] = field(repr=False)
    damage: str | None = None

    @classmethod
    def read(cls, path: Path, identity: str) -> "RunStatus":
        """Look at the directory of the run with this identity."""
        try:
            content = content_of(path)
            known = parse(content, Record)
        except UnreadableError as error:
            return cls(path, {}, str(error))
        except OSError:
            return cls(path, {})
        ours = known.identity == identity and (known.status != "completed" or _has_figures(known))
        return cls(path, json.loads(content) if ours else {})

    @property
    def state(self) -> Status | None:
        """The status last written; None before the run has begun."""
        return self.record.get("status")

    @property
    def error(self) -> str | None:
        """Why the run did not end well."""
        return self.record.get("error")

    @property
    def result(self) -> Mapping[str, Any] | None:
        """The figures of a completed run, by selection."""
        return self.record.get("result")

    @property
    def finished(self) -> bool:
        """Whether the run ended with a result: completed or diverged."""
        return self.state in FINAL

    @property
    def pruned(self) -> bool:
        """Whether a search stopped the run; `regbench train` resumes it as it resumes any interrupted run."""
        return is_pruned(self.state, self.error)


def _has_figures(record: Record) -> bool:
    """Tell whether a completed run has the figures that are shown in its end; without them it is trained again."""
    chosen = (getattr(record.result, name) for name in SELECTIONS)
    return all(figures.keys() >= _SHOWN and None not in map(figures.get, _SHOWN - {"val_loss"}) for figures in chosen)


def epochs_written(path: Path) -> int:
    """Count the epochs in a run's metrics.csv; 0 where it cannot be read. Its first line is the header."""
    try:
        return max(read_bounded(path / METRICS).count(b"\n") - 1, 0)
    except OSError:
        return 0
