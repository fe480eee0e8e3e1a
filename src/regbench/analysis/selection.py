"""What a question is about: some of the runs, and one figure of each."""

import pandas as pd

from regbench.analysis.groups import column
from regbench.condition import condition
from regbench.errors import UserError
from regbench.records import epochs
from regbench.records.metrics import METRICS, Metric, Selection, named


def metric_of(text: str, frame: pd.DataFrame) -> Metric:
    """Return the metric that a user names: a known one, or a figure that the runs record for each epoch.

    Raises:
        UserError: the runs have no such figure, or its direction is unknown.
    """
    return named(text, () if text in METRICS else epochs.recorded(frame))


def filtered(frame: pd.DataFrame, where: str | None, select: Selection = "best_val") -> pd.DataFrame:
    """Keep the runs that fulfil a condition on config keys, facts and figures.

    Raises:
        UserError: the condition cannot be read, or no run fulfils it.
    """
    if where is None:
        return frame
    kept = frame[_fulfilled(frame, where, _names(frame, select))].reset_index(drop=True)
    if kept.empty:
        raise UserError(f"--where {where}: holds for none of {len(frame)} runs")
    return kept


def _names(frame: pd.DataFrame, select: Selection) -> dict[str, str]:
    """Map the names that a condition may use to columns: `test_acc` is that of the selected epoch."""
    columns = list(map(str, frame.columns))
    short = {name.partition(".")[2]: name for name in columns if name.startswith(f"{select}.")}
    return {name: name for name in columns} | short


def _fulfilled(frame: pd.DataFrame, where: str, names: dict[str, str]) -> list[bool]:
    columns = {name: column(frame, place) for name, place in names.items()}
    try:
        holds = condition(where)
        holds.check(names, "the runs")
        # NaN in the frame: the run lacks the key
        return [
            holds({name: values[run] for name, values in columns.items() if values[run] == values[run]})
            for run in range(len(frame))
        ]
    except UserError as error:
        raise UserError(f"--where {error}") from None
