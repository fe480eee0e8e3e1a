"""What a question is about: some of the runs, and one figure of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from regbench.analysis.groups import column
from regbench.condition import condition
from regbench.errors import UserError
from regbench.records import epochs
from regbench.records.frame import Runs, each_once, with_copies
from regbench.records.locks import is_locked
from regbench.records.metrics import METRICS, Metric, Selection, named
from regbench.text import plural


def metric_of(text: str, frame: pd.DataFrame) -> Metric:
    """Return the metric that a user names: a known one, or a figure that the runs record for each epoch.

    Raises:
        UserError: the runs have no such figure, or its direction is unknown.
    """
    if text in METRICS:
        return METRICS[text]
    recorded = epochs.recorded(frame)
    unknown = text.partition(":")[0] not in {*METRICS, *recorded}
    if unknown and recorded <= METRICS.keys() and epochs.faults(frame):
        raise epochs.none_read(frame)
    return named(text, recorded)


Where = str | Sequence[str] | None


@dataclass(frozen=True)
class Selected:
    """The runs that a question is about; `left_out` counts the others, `duplicates` are copies of these.

    `absent` names the values that a condition asks for and no run has.
    """

    frame: pd.DataFrame
    left_out: int
    duplicates: tuple[str, ...]
    absent: tuple[str, ...] = ()


def joined(where: Where) -> str | None:
    """Join conditions by `and`; None without any."""
    texts = [where] if isinstance(where, str) else list(where or ())
    return " and ".join(f"({text})" if len(texts) > 1 and " or " in text else text for text in texts) or None


def selected(
    runs: Runs,
    where: Where = None,
    select: Selection = "best_val",
    statuses: Sequence[str] = (),
    keys: Sequence[str] = (),
) -> Selected:
    """Keep the runs that have one of the statuses and fulfil all conditions on config keys, facts and figures.

    A run counts once, and once in each study if `study` is one of the keys that the question is about.

    Raises:
        UserError: a condition cannot be read, or no run fulfils all.
    """
    conditions = [where] if isinstance(where, str) else list(where or ())
    once = ["identity", "study"] if "study" in keys else ["identity"]
    if not (runs.duplicates and (conditions or statuses or "study" in keys)):
        kept, absent = _kept(runs.frame, conditions, select, statuses)
        return Selected(kept, len(runs.frame) - len(kept), runs.duplicates, absent)
    copies = with_copies(runs)
    fulfilling, absent = _kept(copies, conditions, select, statuses)
    kept = each_once(fulfilling, once)
    left = set(column(fulfilling, "path")) - set(column(kept, "path"))
    return Selected(kept, len(each_once(copies, once)) - len(kept), tuple(sorted(left)), absent)


def _kept(
    frame: pd.DataFrame, where: Sequence[str], select: Selection, statuses: Sequence[str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Keep the runs that are asked for; name the values of the conditions that no run has.

    Raises:
        UserError: a condition cannot be read, or no run is left.
    """
    kept = frame if not statuses else frame[[state in statuses for state in _states(frame)]]
    absent: list[str] = []
    names = _names(frame, select)
    runs = _rows(frame, names) if where else []
    for text in where:
        kept = kept[_fulfilled(kept, text, names, runs, absent)]
    if kept.empty and absent:
        raise UserError(absent[0])
    if kept.empty:
        asked = [*(f"--status {status}" for status in statuses), *(f"--where {text}" for text in where)]
        raise UserError(f"{' '.join(asked)}: matches none of the {plural(len(each_once(frame)), 'run')}")
    return (kept.reset_index(drop=True) if where or statuses else kept), tuple(absent)


def _states(frame: pd.DataFrame) -> list[str]:
    """Return the status of each run as `regbench ls` shows it: `killed` if its process is gone."""
    states = zip(column(frame, "status"), column(frame, "path"), strict=True)
    return ["killed" if state == "running" and not is_locked(Path(path)) else state for state, path in states]


def _names(frame: pd.DataFrame, select: Selection) -> dict[str, str]:
    """Map the names that a condition may use to columns: `test_acc` is that of the selected epoch."""
    columns = list(map(str, frame.columns))
    short = {name.partition(".")[2]: name for name in columns if name.startswith(f"{select}.")}
    return {name: name for name in columns} | short


def _rows(frame: pd.DataFrame, names: dict[str, str]) -> list[dict[str, Any]]:
    """Return the values of each run; NaN in the frame: the run lacks the key."""
    columns = {name: column(frame, place) for name, place in names.items()}
    return [
        {name: values[run] for name, values in columns.items() if values[run] == values[run]}
        for run in range(len(frame))
    ]


def _fulfilled(
    frame: pd.DataFrame, where: str, names: dict[str, str], runs: list[dict[str, Any]], absent: list[str]
) -> list[bool]:
    """Tell which runs of the frame, some of all `runs`, fulfil a condition; add to `absent` what no run has."""
    try:
        holds = condition(where)
        holds.check(names, "the runs")
        absent += [f"--where {reason}" for reason in holds.absent(runs)]
        return [holds(runs[run]) for run in frame.index]
    except UserError as error:
        raise UserError(f"--where {error}") from None
