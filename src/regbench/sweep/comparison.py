"""The command that compares the runs of a sweep."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from regbench.config import defaults
from regbench.config.run_config import AXES, NO_EFFECT_ON_NUMBERS, flat
from regbench.experiment.run import Run
from regbench.text import shown

_UNCOMPARED = ("seed", "study", "hydra", *NO_EFFECT_ON_NUMBERS)
_MOST_NAMED = 3  # keys of a baseline; one with more is the default run
_ABSENT = object()  # an argument that the run's option does not have
_Values = Mapping[str, Any]


def places(runs: Sequence[Run]) -> list[str]:
    """Name the folders that the runs are in, each once."""
    return list(dict.fromkeys(str(run.path.parent) for run in runs))


def command(runs: Sequence[Run], options: Sequence[str] | None = None) -> str:
    """Write the command that compares the runs: with a baseline, if there is one that all others can be compared with.

    A baseline has the option `none`, or else the default, of the keys that the sweep varies.

    Args:
        runs: those of the sweep.
        options: the options of the command; by default the baseline.
    """
    return shlex.join(["regbench", "summary", *places(runs), *(_grouping(runs) if options is None else options)])


def _grouping(runs: Sequence[Run]) -> list[str]:
    if len({word for run in runs for word in run.overrides if word.lstrip("+").startswith("experiment=")}) > 1:
        return ["--by", "experiment"]
    chosen = baseline(runs)
    return ["--baseline", chosen] if chosen else []


def baseline(runs: Sequence[Run]) -> str | None:
    """Name the baseline that all other rows of a sweep can be compared with; None if there is none."""
    base = base_values(runs)
    rows = [{key: config.get(key, _ABSENT) for key in base} for config in map(values, runs)]
    if first := next((key for key in base if _compares_all(rows, {key: base[key]})), None):
        return f"{first}={shown(base[first])}"
    if not base or base not in rows:
        return None
    named = ",".join(f"{key}={shown(value)}" for key, value in base.items())
    return named if len(base) <= _MOST_NAMED else "default"


def values(run: Run) -> _Values:
    """Return the values of a run's config by their keys."""
    return dict(flat(run.config.dump()))


def base_values(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the keys that a sweep varies, each with `none`, or else the default, or else its first value."""
    configs = list(map(values, runs))
    return {key: _base(key, configs) for key in _varied(runs, configs)}


def _varied(runs: Sequence[Run], configs: Sequence[_Values]) -> list[str]:
    """List the keys that the sweep sets and in which its runs differ."""
    words = dict.fromkeys(word for run in runs for word in run.overrides)
    keys = dict.fromkeys(word.partition("=")[0].lstrip("+") for word in words)
    kept = [key for key in keys if key.partition(".")[0] not in _UNCOMPARED]
    return [key for key in kept if len({config.get(key, _ABSENT) for config in configs}) > 1]


def _base(key: str, configs: Sequence[_Values]) -> Any:
    """Choose among the values of a key: `none`, or the default, or the first."""
    values = [config[key] for config in configs if key in config]
    axis, argument = key.partition(".")[::2]
    wanted = "none" if key in AXES and "none" in values else _default(axis, argument, configs[0].get(axis))
    return wanted if wanted in values else values[0]


def _default(axis: str, argument: str, option: Any) -> Any:
    """Read the value that a key has in conf/; None where it has none there."""
    return defaults.of_option(axis, str(option)).get(argument) if argument else defaults.of_run().get(axis)


def _compares_all(rows: Sequence[_Values], base: _Values) -> bool:
    """Whether each row has one to be compared with: a baseline and another with otherwise the same values."""
    (key,) = base
    rest = [(row[key] == base[key], tuple(row[name] for name in row if name != key)) for row in rows]
    return {other for is_base, other in rest if is_base} == {other for is_base, other in rest if not is_base}
