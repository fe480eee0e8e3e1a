"""What a tracker is told of a run: all of it is read from the run's directory."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from regbench.config.run_config import ID_LENGTH, NO_EFFECT_ON_NUMBERS
from regbench.records import epochs, histograms
from regbench.records.metrics import SELECTIONS
from regbench.records.rows import Histogram
from regbench.records.run_json import Moment, Recorded, UnreadableError, content_of, parse


class Mark(NamedTuple):
    """How far a run is: epochs trained, and its status."""

    epochs: int
    status: str


class _Times(BaseModel):
    started: Moment
    finished: Moment | None


class _Record(Recorded):
    times: _Times
    error: str | None = None


@dataclass(frozen=True)
class Story:
    """A run. `group` is the same for runs that differ only in their seed."""

    path: Path
    study: str
    name: str
    key: str  # of this training of the run: one that is trained again is another
    group: str
    status: str
    error: str | None
    started: datetime
    finished: datetime | None
    parameters: Mapping[str, Any]
    rows: Sequence[Mapping[str, float]]  # of metrics.csv
    layers: Sequence[Mapping[str, float | str]]  # of layers.csv
    final: Mapping[str, float]

    @property
    def mark(self) -> Mark:
        """How far the run is."""
        return Mark(len(self.rows), self.status)

    def figures(self, after: int) -> Iterator[tuple[int, float, dict[str, float]]]:
        """Yield of each epoch after `after`: its number, the time since the epoch of Unix, its finite figures.

        Those of a layer are named `dense1/grad_norm`.
        """
        moment = self.started.timestamp()
        for row in self.rows:
            moment += row.get("seconds", 0.0)
            epoch = int(row["epoch"])
            if epoch > after:
                yield epoch, moment, _finite({**_without_epoch(row), **self._of_layers(epoch)})

    def _of_layers(self, epoch: int) -> dict[str, Any]:
        rows = (row for row in self.layers if row["epoch"] == epoch)
        return {f"{row['layer']}/{name}": figure for row in rows for name, figure in _without_epoch(row).items()}

    def histograms(self, after: int) -> list[Histogram]:
        """Read the histograms of the epochs after `after`, where the run kept any."""
        return [found for found in histograms.read(self.path) if found.epoch > after]


def _without_epoch(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: figure for name, figure in row.items() if name not in ("epoch", "layer")}


def _finite(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: figure for name, figure in figures.items() if math.isfinite(figure)}


def read(path: Path) -> Story | None:
    """Read a run; None where its run.json cannot be read, or does not say when it began."""
    try:
        record = parse(content_of(path), _Record)
    except (OSError, UnreadableError):
        return None
    values = {key: value for key, value in record.values().items() if key.partition(".")[0] not in NO_EFFECT_ON_NUMBERS}
    known = {key: value for key, value in values.items() if key != "study"}
    return Story(
        path=path.resolve(),
        study=path.resolve().parent.name,
        name=path.name,
        key=f"{path.resolve().parent.name}/{path.name} {record.times.started.isoformat()}",
        group=_group(path.name, known),
        status=record.status,
        error=record.error,
        started=record.times.started,
        finished=record.times.finished,
        parameters=known,
        rows=epochs.read(path, record.status == "completed"),
        layers=epochs.read_layers(path),
        final=_final(record),
    )


def _group(name: str, values: Mapping[str, Any]) -> str:
    """Name the runs that differ only in their seed: `mlp-batch-relu-kaiming-adam-1a2b3c4d5e6f`."""
    text = json.dumps({key: value for key, value in values.items() if key != "seed"}, sort_keys=True, default=str)
    slug = name.rpartition("-")[0].removesuffix(f"-s{values.get('seed')}")
    return f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]}"


def _final(record: _Record) -> dict[str, float]:
    """Return the final figures: `best_val.test_acc`, `last.test_acc`, …, `seconds`."""
    if record.result is None:
        return {}
    both = {f"{s}.{name}": value for s in SELECTIONS for name, value in getattr(record.result, s).items()}
    return _finite(
        {name: value for name, value in (both | {"seconds": record.result.seconds}).items() if value is not None}
    )
