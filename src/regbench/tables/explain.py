"""Explain figures: the runs behind a cell, and the differences between two runs."""

import json
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regbench.analysis.baseline import matches, written
from regbench.analysis.groups import checked, config_keys
from regbench.errors import UserError, no_such
from regbench.records.files import RUN
from regbench.records.frame import ORIGINS, Runs, load
from regbench.records.metrics import SELECTIONS
from regbench.tables.layout import Cells
from regbench.text import printable, shown

if TYPE_CHECKING:
    import pandas as pd

_NEVER_THE_SAME = ("study", "force", "runtime.dir", "runtime.progress", "runtime.cache")


def behind(runs: Runs, wanted: Mapping[str, str]) -> Iterator[str]:
    """Describe each run with these values in lines: directory, status and figure, the command, versions and machine.

    Raises:
        UserError: no run has such a key, or no run has these values.
    """
    checked(wanted, runs.frame)
    every: list[Any] = runs.frame.to_dict("records")
    rows = [row for row in every if all(matches(row, key, text) for key, text in wanted.items())]
    if not rows:
        raise _none_of(every, wanted)
    for row in sorted(rows, key=lambda row: (str(row["study"]), row["seed"])):
        yield from map(printable, _about(row))


def _none_of(rows: Sequence[Any], wanted: Mapping[str, str]) -> UserError:
    for key, text in wanted.items():
        if not any(matches(row, key, text) for row in rows):
            values = {_shown(row[key]) for row in rows} - {"-"}
            return UserError(f"{key}={text}: {no_such('value', text, f'the runs of {key!r}', values)}")
    return UserError(f"{written(wanted)}: no run has all of these values")


def _about(row: Mapping[Any, Any]) -> Iterator[str]:
    figure = row["best_val.test_acc"] if row["status"] == "completed" else math.nan
    yield f"{row['path']}: {row['status']}{'' if math.isnan(figure) else f', test_acc {100 * figure:.2f} %'}"
    yield f"    {_command(Path(row['path']))}"
    yield f"    {', '.join(f'{name} {row[name]}' for name in ORIGINS if row.get(name))}"


def _command(run: Path) -> str:
    """Write the run's command, quoted for a shell."""
    overrides = json.loads((run / RUN).read_bytes()).get("overrides")
    words = overrides if isinstance(overrides, list) else []
    return " ".join(["regbench train", *(shlex.quote(str(word)) for word in words)])


def difference(first: Path, second: Path) -> tuple[Cells, Cells]:
    """Return the config keys and origins in which two runs differ, and all figures with their difference.

    Raises:
        UserError: one of the paths is not exactly one run.
    """
    frames = [_only(first), _only(second)]
    left, right = ({str(key): value for key, value in frame.to_dict("records")[0].items()} for frame in frames)
    keys = _by_axis([key for frame in frames for key in config_keys(frame)])
    values = [[key, _shown(left.get(key, math.nan)), _shown(right.get(key, math.nan))] for key in [*keys, *ORIGINS]]
    names = [name for name in dict.fromkeys([*left, *right]) if _is_figure(name)]
    return (
        Cells(
            ["key", "first", "second"],
            [row for row in values if row[1] != row[2] and row[0] not in _NEVER_THE_SAME],
            figures=range(0),
        ),
        Cells(
            ["figure", "first", "second", "second - first"],
            [_figures(name, left.get(name, math.nan), right.get(name, math.nan)) for name in names],
            figures=range(1, 4),
        ),
    )


def _only(path: Path) -> "pd.DataFrame":
    runs = load([path])
    if len(runs.frame) != 1 or runs.duplicates:
        raise UserError(f"{path}: holds several runs. Name the directory of one")
    return runs.frame


def _by_axis(keys: Sequence[str]) -> list[str]:
    """Put the keys of an axis together, in the order in which axes appear."""
    axes = list(dict.fromkeys(key.partition(".")[0] for key in keys))
    return sorted(dict.fromkeys(keys), key=lambda key: axes.index(key.partition(".")[0]))


def _is_figure(name: str) -> bool:
    return name.partition(".")[0] in SELECTIONS or name == "seconds"


def _figures(name: str, left: float, right: float) -> list[str]:
    texts = ["" if math.isnan(value) else f"{value:.6g}" for value in (left, right)]
    return [name, *texts, "" if math.isnan(right - left) else f"{right - left:+.3g}"]


def _shown(value: Any) -> str:
    return "-" if isinstance(value, float) and math.isnan(value) else printable(shown(value))
