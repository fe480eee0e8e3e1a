"""How two runs differ: in their configs, where they were trained, and in their figures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regbench.analysis.groups import config_keys
from regbench.errors import UserError
from regbench.records.frame import ORIGINS, load
from regbench.records.metrics import METRICS, SELECTIONS
from regbench.records.run_json import RECIPES
from regbench.tables import as_json
from regbench.tables.layout import Cells, csv_text, csv_value
from regbench.text import printable, shown

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

_NEVER_THE_SAME = ("study", "force", "runtime.dir", "runtime.progress", "runtime.cache", *RECIPES)
_FIRST_FIGURES = ("best_val.test_acc", "last.test_acc", "best_val.test_loss", "best_val.val_loss", "best_val.epoch")
_Pair = tuple[Any, Any]  # of the first and the second run; NaN where a run has none


@dataclass(frozen=True)
class Difference:
    """The keys and origins in which two runs differ, and all figures."""

    config: Mapping[str, _Pair]
    origins: Mapping[str, _Pair]
    figures: Mapping[str, _Pair]


def between(first: Path, second: Path) -> Difference:
    """Compare two runs.

    Raises:
        UserError: one of the paths is not exactly one run.
    """
    frames = [_only(first), _only(second)]
    left, right = ({str(key): value for key, value in frame.to_dict("records")[0].items()} for frame in frames)
    keys = _by_axis([key for frame in frames for key in config_keys(frame) if key not in _NEVER_THE_SAME])
    names = [name for name in dict.fromkeys([*left, *right]) if _is_figure(name)]

    def pairs(names: Sequence[str]) -> dict[str, _Pair]:
        return {name: (left.get(name, math.nan), right.get(name, math.nan)) for name in names}

    return Difference(_unequal(pairs(keys)), _unequal(pairs(ORIGINS)), pairs(names))


def _only(path: Path) -> "pd.DataFrame":
    runs = load([path])
    if len(runs.frame) != 1 or runs.duplicates:
        raise UserError(f"{path}: holds several runs. Name the directory of one; regbench ls {path} lists them")
    return runs.frame


def _by_axis(keys: Sequence[str]) -> list[str]:
    """Put the keys of an axis together, in the order in which axes appear."""
    axes = list(dict.fromkeys(key.partition(".")[0] for key in keys))
    return sorted(dict.fromkeys(keys), key=lambda key: axes.index(key.partition(".")[0]))


def _is_figure(name: str) -> bool:
    return name.partition(".")[0] in SELECTIONS or name in ("seconds", "cpu_seconds", "load")


def _unequal(pairs: Mapping[str, _Pair]) -> dict[str, _Pair]:
    return {name: pair for name, pair in pairs.items() if _value(pair[0]) != _value(pair[1])}


def show(difference: Difference, console: "Console", long: bool = False) -> None:
    """Print what differs in the config and in the versions and machines, then the main figures.

    If `long`: also the arguments of options that differ, and all figures.
    """
    from regbench.tables import terminal

    config = {key: pair for key, pair in difference.config.items() if long or not _implied(key, difference)}
    unequal = {"key": config, "origin": difference.origins}
    if not difference.config:
        console.print("The two configs are identical.\n")
        del unequal["key"]
    for heading, pairs in unequal.items():
        if pairs:
            rows = [[name, *map(_value, pair)] for name, pair in pairs.items()]
            terminal.show(Cells([heading, "first", "second"], rows, figures=range(0)), (), console)
    names = [name for name in difference.figures if long or name in _FIRST_FIGURES]
    ranked = [*(name for name in _FIRST_FIGURES if name in names), *(n for n in names if n not in _FIRST_FIGURES)]
    figures = [_figure_row(name, difference.figures[name]) for name in ranked]
    terminal.show(Cells(["figure", "first", "second", "second - first"], figures, figures=range(1, 4)), (), console)


def _implied(key: str, difference: Difference) -> bool:
    """Tell whether a key is an argument of an option that the other run does not have."""
    axis, dot, _ = key.partition(".")
    return bool(dot) and axis in difference.config


def _figure_row(name: str, pair: tuple[float, float]) -> list[str]:
    """Write a figure with its difference; accuracies in %, their difference in percentage points."""
    metric = METRICS.get(name.rpartition(".")[2])
    scale, form = (metric.scale, f".{metric.decimals}f") if metric and metric.name != "epoch" else (1, ".6g")
    left, right = (value * scale for value in pair)
    texts = ["" if math.isnan(value) else format(value, form) for value in (left, right)]
    heading = f"{name} %" if metric and metric.percent else name
    return [heading, *texts, "" if math.isnan(right - left) else format(right - left, f"+{form}")]


def to_csv(difference: Difference) -> str:
    """Write a line for each key, origin and figure: accuracies as fractions, an empty cell for an unknown one."""
    parts = (("config", difference.config), ("origin", difference.origins), ("figure", difference.figures))
    rows = [
        {"kind": kind, "name": name, "first": _plain(pair[0]), "second": _plain(pair[1])}
        for kind, pairs in parts
        for name, pair in pairs.items()
    ]
    return csv_text(["kind", "name", "first", "second"], rows)


def _plain(value: Any) -> Any:
    return None if _missing(value) else csv_value(value)


def to_json(difference: Difference) -> str:
    """Write every value with its type; null stands for null and for a value that a run does not have."""
    content = {
        name: {key: [None if _missing(value) else value for value in pair] for key, pair in pairs.items()}
        for name, pairs in vars(difference).items()
    }
    return as_json.document("diff", content)


def _missing(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _value(value: Any) -> str:
    return "-" if _missing(value) else printable(shown(value))
