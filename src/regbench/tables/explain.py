"""The runs behind a cell, and what two runs differ in."""

import json
import math
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from regbench.analysis.baseline import matches
from regbench.analysis.groups import config_keys
from regbench.errors import UserError, no_such
from regbench.records.files import RUN
from regbench.records.frame import ORIGINS, Runs, load
from regbench.records.metrics import SELECTIONS
from regbench.tables.cells import Cells
from regbench.text import printable, shown

NEVER_THE_SAME = ("study", "force", "runtime.dir", "runtime.progress", "runtime.cache")


def behind(runs: Runs, wanted: Mapping[str, str]) -> Iterator[str]:
    """Lines on each run with these values: directory, status and figure, the command, versions and machine.

    Raises:
        UserError: no run has such a key, or none has these values.
    """
    allowed = config_keys(runs.frame)
    for key in wanted:
        if key not in allowed:
            raise UserError(no_such("key", key, "the runs", allowed))
    every: list[Any] = runs.frame.to_dict("records")
    for key, text in wanted.items():
        if not any(matches(row, key, text) for row in every):
            values = {_shown(row[key]) for row in every} - {"-"}
            raise UserError(f"{key}={text}: {no_such('value', text, f'the runs of {key!r}', values)}")
    rows = [row for row in every if all(matches(row, key, text) for key, text in wanted.items())]
    if not rows:
        raise UserError(f"{','.join(f'{key}={text}' for key, text in wanted.items())}: no run has all of these values")
    for row in sorted(rows, key=lambda row: (str(row["study"]), row["seed"])):
        yield from map(printable, _about(row))


def _about(row: Mapping[Any, Any]) -> Iterator[str]:
    figure = row["best_val.test_acc"] if row["status"] == "completed" else math.nan
    yield f"{row['path']}: {row['status']}{'' if math.isnan(figure) else f', test_acc {100 * figure:.2f} %'}"
    yield f"    {_command(Path(row['path']))}"
    yield f"    {', '.join(f'{name} {row[name]}' for name in ORIGINS if row.get(name))}"


def _command(run: Path) -> str:
    """As it was given; the shell is told apart from the values."""
    overrides = json.loads((run / RUN).read_bytes()).get("overrides")
    words = overrides if isinstance(overrides, list) else []
    return " ".join(["regbench train", *(shlex.quote(str(word)) for word in words)])


def difference(left: Path, right: Path) -> tuple[Cells, Cells]:
    """The config keys and origins that differ, and all figures with their difference.

    Raises:
        UserError: one of the paths is not exactly one run.
    """
    one, other = _only(left), _only(right)
    found = list(dict.fromkeys([*config_keys(load([left]).frame), *config_keys(load([right]).frame)]))
    axes = [key.partition(".")[0] for key in found]
    keys = [*sorted(found, key=lambda key: axes.index(key.partition(".")[0])), *ORIGINS]
    values = [[key, _shown(one.get(key, math.nan)), _shown(other.get(key, math.nan))] for key in keys]
    changed = [row for row in values if row[1] != row[2] and row[0] not in NEVER_THE_SAME]
    names = [
        name for name in dict.fromkeys([*one, *other]) if name.partition(".")[0] in SELECTIONS or name == "seconds"
    ]
    figures = [_figures(name, one.get(name, math.nan), other.get(name, math.nan)) for name in names]
    return (
        Cells(["key", "first", "second"], changed, 3),
        Cells(["figure", "first", "second", "second - first"], figures, 1),
    )


def _only(path: Path) -> dict[str, Any]:
    found = load([path])
    if len(found.frame) != 1 or found.duplicates:
        raise UserError(f"{path}: holds several runs. Name the directory of one")
    return {str(key): value for key, value in found.frame.to_dict("records")[0].items()}


def _figures(name: str, left: float, right: float) -> list[str]:
    texts = ["" if math.isnan(value) else f"{value:.6g}" for value in (left, right)]
    return [name, *texts, "" if math.isnan(right - left) else f"{right - left:+.3g}"]


def _shown(value: Any) -> str:
    return "-" if isinstance(value, float) and math.isnan(value) else printable(shown(value))
