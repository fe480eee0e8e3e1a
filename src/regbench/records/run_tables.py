"""The tables of one run: metrics.csv, layers.csv, pretrain.csv. Rows are appended, and written anew on resuming."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regbench.guarded import append
from regbench.records.files import LAYERS, METRICS, PRETRAIN, write_atomically

if TYPE_CHECKING:
    from regbench.records.rows import Epoch, LayerFigures

Rows = list[dict[str, Any]]


class RunTables:
    """The rows of a run so far, and their files in its directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: Rows = []  # of metrics.csv
        self.layers: Rows = []  # of layers.csv

    def reset(self, rows: Sequence[dict[str, Any]] = (), layers: Sequence[dict[str, Any]] = ()) -> None:
        """Forget the rows, or resume from these; the files stay until `write`."""
        self.rows, self.layers = list(rows), list(layers)

    def append(self, epoch: "Epoch", layers: "Sequence[LayerFigures]") -> None:
        """Add an epoch to metrics.csv, and its layers, if any, to layers.csv."""
        self._append(METRICS, self.rows, [asdict(epoch)])
        if layers:
            self._append(LAYERS, self.layers, [asdict(row) for row in layers])

    def _append(self, name: str, rows: Rows, new: Rows) -> None:
        append(self._path / name, _csv(new, header=not rows))
        rows.extend(new)

    def append_pretrained(self, row: Mapping[str, Any]) -> None:
        """Add a row to pretrain.csv."""
        path = self._path / PRETRAIN
        append(path, _csv([row], header=not (path.exists() and path.stat().st_size)))

    def write(self) -> None:
        """Write metrics.csv and layers.csv anew, whatever is there; without diagnostics there is no layers.csv."""
        write_atomically(self._path / METRICS, _csv(self.rows, header=True))
        if self.layers:
            write_atomically(self._path / LAYERS, _csv(self.layers, header=True))
        else:
            (self._path / LAYERS).unlink(missing_ok=True)


def _csv(rows: Sequence[Mapping[str, Any]], header: bool) -> bytes:
    """Write rows as CSV: floats in full precision, an empty cell for None."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        if header:
            writer.writeheader()
        writer.writerows(rows)
    return text.getvalue().encode()
