"""The summary in Python: runs, epochs and comparisons as DataFrames."""

import os
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from regbench.analysis import summary
from regbench.analysis.corrections import Correction
from regbench.analysis.groups import config_keys, differing
from regbench.analysis.table import Against
from regbench.records import epochs
from regbench.records import frame as records
from regbench.records.frame import Runs
from regbench.records.metrics import Selection
from regbench.tables import formats
from regbench.text import shown

Dirs = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
LEFT_OUT = ("duplicates", "unreadable")


def load(dirs: Dirs = "runs") -> pd.DataFrame:
    """One row per run below the directories: flat config keys, facts, figures of both selections as fractions.

    `attrs["duplicates"]` and `attrs["unreadable"]` hold the paths that were left out.

    Raises:
        UserError: a directory that does not exist, or no run in any of them.
    """
    found = records.load([dirs] if isinstance(dirs, str | os.PathLike) else dirs)
    found.frame.attrs |= {name: list(getattr(found, name)) for name in LEFT_OUT}
    return found.frame


def curves(dirs: Dirs | pd.DataFrame = "runs") -> pd.DataFrame:
    """One row per epoch and run, given by directories or by rows of `load`: its path, status, seed, the config keys
    that differ between the runs, and all columns of metrics.csv.

    Raises:
        UserError: no run, or none with an epoch.
    """
    frame = dirs if isinstance(dirs, pd.DataFrame) else load(dirs)
    present = [key for key in ("study", "seed") if key in config_keys(frame)]
    return epochs.curves(frame, [*present, *differing(frame)])


def compare(
    frame: pd.DataFrame,
    by: str | Sequence[str] = (),
    baseline: str | Mapping[str, object] | None = None,
    *,
    metric: str = "test_acc",
    select: Selection = "best_val",
    margin: float | None = None,
    correction: Correction = "holm",
    where: str | None = None,
    sort: str | None = None,
    test_noise: bool = False,
) -> pd.DataFrame:
    """The table of `regbench summary`, as in its CSV: one row per group, figures as fractions, `attrs["notes"]` below.

    Args:
        frame: rows of `load`, all or some.
        by: a key or several; by default those that differ.
        baseline: `"norm=none"` or `{"norm": "none"}`.
        metric: a recorded figure, `NAME` or `NAME:lower`.
        select: whose epoch's figures: of the best validation loss, or the last.
        margin: differences smaller than this do not matter; in percentage points for accuracies.
        correction: for many comparisons.
        where: a condition on the runs.
        sort: a key or column, `-` before it turns the order round.
        test_noise: add what the drawing of the test images leaves open.

    Raises:
        UserError: no such metric, key, column or baseline.
    """
    texts = [f"{key}={shown(value)}" for key, value in baseline.items()] if isinstance(baseline, Mapping) else baseline
    against = Against([texts] if isinstance(texts, str) else texts, margin, correction) if texts else None
    left_out = {name: tuple(frame.attrs.get(name, ())) for name in LEFT_OUT}
    table = summary.compare(
        Runs(frame.reset_index(drop=True), **left_out),
        [by] if isinstance(by, str) else by,
        metric,
        select,
        against=against,
        where=where,
        sort=sort,
        test_noise=test_noise,
    )
    return formats.to_frame(table)
