"""The Python interface: runs, epochs and comparisons as DataFrames."""

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
from regbench.tables.record import to_frame
from regbench.text import shown

_Dirs = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def load(dirs: _Dirs = "runs") -> pd.DataFrame:
    """Load one row per run below the directories: flat config keys, facts, figures of both selections as fractions.

    `attrs["duplicates"]` and `attrs["unreadable"]` hold the paths that were left out.

    Raises:
        UserError: a directory does not exist, or none of them holds a run.
    """
    runs = records.load([dirs] if isinstance(dirs, str | os.PathLike) else dirs)
    runs.frame.attrs |= {"duplicates": list(runs.duplicates), "unreadable": list(runs.unreadable)}
    return runs.frame


def curves(dirs: _Dirs | pd.DataFrame = "runs") -> pd.DataFrame:
    """Load one row per epoch and run: path, status, seed, the config keys that differ, all columns of metrics.csv.

    `dirs` are directories, or rows of `load`.

    Raises:
        UserError: there is no run, or none with an epoch.
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
    """Make the table of `regbench summary --format csv`: one row per group, figures as fractions.

    `attrs["notes"]` holds the footer.

    Args:
        frame: rows of `load`, all or some.
        by: a key or several; by default those that differ.
        baseline: `"norm=none"` or `{"norm": "none"}`.
        metric: a recorded figure, `NAME` or `NAME:lower`.
        select: the epoch whose figures count: that of the best validation loss, or the last.
        margin: differences smaller than this do not matter; in percentage points for accuracies.
        correction: for many comparisons.
        where: a condition on the runs.
        sort: a key or column, `-` before it reverses the order.
        test_noise: add the uncertainty that comes from the choice of test images.

    Raises:
        UserError: the metric, a key, column or baseline does not exist.
    """
    texts = [f"{key}={shown(value)}" for key, value in baseline.items()] if isinstance(baseline, Mapping) else baseline
    against = Against([texts] if isinstance(texts, str) else texts, margin, correction) if texts else None
    duplicates, unreadable = (tuple(frame.attrs.get(name, ())) for name in ("duplicates", "unreadable"))
    table = summary.compare(
        Runs(frame.reset_index(drop=True), duplicates, unreadable),
        [by] if isinstance(by, str) else by,
        metric,
        select,
        against=against,
        where=where,
        sort=sort,
        test_noise=test_noise,
    )
    return to_frame(table)
