"""Runs that a report is written of: some with hostile names, some that diverged or failed."""

from pathlib import Path
from typing import Any

import pytest

from golden.records import NORMS, record, write

HOSTILE = "</script><img src=x onerror=\"document.title='hacked'\">"


def add(root: Path, accuracy: float | None, seed: int, status: str = "completed", **changes: Any) -> Path:
    """Write a run with three epochs; its error and its command are hostile."""
    content = record(status, accuracy, seed=seed, **changes)
    content |= {"overrides": [f"seed={seed}", HOSTILE], "error": HOSTILE if status != "completed" else None}
    run = write(root, content, f"run{len(list(root.glob('*/*')))}")
    rows = "".join(f"{e},{2 / e},{2.5 / e},{0.8 + e / 100},1\n" for e in (1, 2, 3))
    (run / "metrics.csv").write_text(f"epoch,train_loss,val_loss,val_acc,seconds\n{rows}")
    return run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """The runs of `norms`."""
    return norms(tmp_path / "runs")


def norms(root: Path) -> Path:
    """Write runs: batch norm is better than none in 8 of 8 seeds; a norm with a hostile name is undecided."""
    for seed in range(8):
        add(root, 0.90 + seed / 1000, seed)
        add(root, 0.92 + seed * seed / 1000, seed, norm=NORMS["batch"])
        add(root, 0.90 + seed / 1000 + (-1) ** seed / 500, seed, norm={"name": HOSTILE})
    add(root, None, 8, "failed")
    return root
