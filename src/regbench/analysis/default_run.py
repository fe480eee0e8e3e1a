"""The row that all others are changes of: the default run, and the words for what a row changes."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from regbench.analysis.groups import Group, Values, axis_of, column, sortable
from regbench.analysis.together import is_changed
from regbench.config import defaults
from regbench.text import shown

DEFAULT = "default"
_MANY = 4  # keys that make a table too wide to be read
_FEW = 3  # rows are changes of one if they differ from it in a third of the axes, on average


def base(frame: pd.DataFrame, keys: Sequence[str]) -> dict[str, Any]:
    """Return the default run's values of the keys: those of conf/, or the most common one where no run has that.

    Arguments are those of the base's options.
    """
    found: dict[str, Any] = {}
    for key in sorted(keys, key=lambda key: "." in key):
        axis = axis_of(key)
        options = column(frame, axis) if "." in key else []
        chosen = found.get(axis, _base_value(axis, options)) if options else None
        values = [v for place, v in enumerate(column(frame, key)) if not options or options[place] == chosen]
        present = [value for value in values if value is not math.nan]
        if present:
            found[key] = _base_value(key, present)
    return {key: found[key] for key in keys if key in found}


def _base_value(key: str, values: Sequence[Any]) -> Any:
    usual = defaults.of_run()
    if key in usual and usual[key] in values:
        return usual[key]
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], sortable({key: value}, key)))


class Changes:
    """How rows differ from a base: one column of words in the place of a column for each key."""

    def __init__(self, frame: pd.DataFrame, base: Values, keys: Sequence[str]) -> None:
        self.base, self._keys = base, keys
        self._axes = list(dict.fromkeys(map(axis_of, keys)))
        self._arguments = {
            axis: {str(key): column(frame, str(key)) for key in frame.columns if str(key).startswith(f"{axis}.")}
            for axis in self._axes
            if axis in keys
        }

    def read_better_than(self, groups: Sequence[Group]) -> bool:
        """Tell whether changes of these groups read better than a column for each key."""
        if len(self._keys) < _MANY or not groups:
            return False
        changed = sum(len(self._changed(group)) for group in groups)
        return changed * _FEW <= len(groups) * len(self._axes) and len(set(map(self.words, groups))) == len(groups)

    def words(self, group: Group) -> str:
        """Say what the group changes: `init=lsuv`, `optimizer=sgd lr=0.1`, `default` if nothing."""
        texts = [text for axis, keys in self._changed(group).items() for text in self._of_axis(axis, keys, group)]
        return " ".join(texts) or DEFAULT

    def _changed(self, group: Group) -> dict[str, list[str]]:
        """Return the keys that the group changes, by axis."""
        changed: dict[str, list[str]] = {}
        for key in self._keys:
            if key in group.values and group.values[key] != self.base.get(key, math.nan):
                changed.setdefault(axis_of(key), []).append(key)
        return changed

    def _of_axis(self, axis: str, keys: Sequence[str], group: Group) -> list[str]:
        if axis not in keys:
            return [f"{key}={shown(group.values[key])}" for key in keys]
        return [f"{axis}={shown(group.values[axis])}", *self._of_option(axis, group)]

    def _of_option(self, axis: str, group: Group) -> Iterator[str]:
        """Name an option's arguments that are keys, and those that are not as in its YAML file."""
        for key, values in self._arguments[axis].items():
            mine = {values[run] for run in group.positions} - {math.nan}
            argument = key.partition(".")[2]
            if len(mine) == 1 and (key in self._keys or is_changed(axis, group.values[axis], argument, min(mine))):
                yield f"{argument}={shown(min(mine))}"
