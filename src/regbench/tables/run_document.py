"""A run up close as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from regbench.analysis import health
from regbench.records.predictions import Predictions
from regbench.tables import as_json, run_page
from regbench.tables.run_page import RunPage

_OF_RECORD = ("error", "config", "result", "times", "stack", "versions", "machine", "git")  # as in run.json


def to_json(page: RunPage) -> str:
    """Write all that the page shows, with every epoch and every layer of each epoch; null where there is no figure."""
    content = {
        "path": str(page.path),
        "status": page.status,
        "changed": list(run_page.changes(page.record.values())),
        "command": run_page.made_by(page).strip(),
        **{key: _finite(page.raw.get(key)) for key in _OF_RECORD},
        "epochs": _finite(page.epochs),
        "layers": _finite(page.layers),
        "hints": [asdict(hint) for hint in health.hints(page.layers, diverged=page.record.status == "diverged")],
        "classes": _classes(page.predicted) if page.predicted else None,
    }
    return as_json.document("show", content)


def _classes(predicted: Predictions) -> list[dict[str, Any]]:
    """Count the images of each class, and what they are taken for at the chosen epoch."""
    labels, given = predicted.answers.labels, predicted.classes["best_val"]
    rows = []
    for label in np.unique(labels):
        names, counts = np.unique(given[labels == label], return_counts=True)
        taken = {str(name): int(count) for name, count in zip(names, counts, strict=True)}
        rows.append({"class": int(label), "images": int(np.count_nonzero(labels == label)), "taken_for": taken})
    return rows


def _finite(value: Any) -> Any:
    """Replace numbers that JSON does not have by null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(item) for item in value]
    return value
