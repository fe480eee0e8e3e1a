"""The grid of a sweep: from its overrides to those of each job, in every combination, with some keys in step."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Sweep

from regbench.condition import condition
from regbench.errors import UserError, no_such
from regbench.experiment.reporter import Reporter
from regbench.sweep.job import Job
from regbench.sweep.ranges import MOST, numbers, override_parser
from regbench.text import plural


def expand(
    loader: ConfigLoader,
    params: Mapping[str, str],
    arguments: Sequence[str],
    zipped: Sequence[Sequence[str]] = (),
    each: Mapping[str, str] | None = None,
    union: Sequence[Sequence[str]] = (),
) -> list[list[str]]:
    """Return the overrides of each job: every combination of the values, the last argument's varying fastest.

    Keys that are `zipped` together take their first values together, then their second ones, … Values in `each` are
    combined with all the others, but not with one another: one change at a time. An argument replaces a parameter for
    the same key. The overrides of each grid of a `union` are combined with all the others, in place of those for the
    same keys.

    Raises:
        UserError: there is no combination; a zipped key is missing, or zipped keys differ in their number of values.
        HydraException: an override cannot be read.
    """
    parser = override_parser(loader)
    given = {override.key_or_group for override in parser.parse_overrides(list(arguments))}
    words = [*(f"{key}={value}" for key, value in params.items()), *arguments]
    changes = [[f"{key}={value}"] for key, value in (each or {}).items() if key not in given]
    grids = [_merged(parser, words, grid) for grid in union or [[]]]
    jobs = [
        job for change in changes or [[]] for grid in grids for job in _combinations(parser, [*change, *grid], zipped)
    ]
    if not jobs:
        raise UserError(f"{' '.join(words)}: no runs, as a choice, range or glob in it has no value")
    return jobs


def _merged(parser: OverridesParser, words: Sequence[str], grid: Sequence[str]) -> list[str]:
    """Put the overrides of a grid before the others, in place of those for the same keys."""
    keys = {override.key_or_group for override in parser.parse_overrides(list(grid))}
    others = [word for word in words if parser.parse_overrides([word])[0].key_or_group not in keys]
    return [*grid, *others]


def _combinations(
    parser: OverridesParser, words: Sequence[str], zipped: Sequence[Sequence[str]]
) -> Iterator[list[str]]:
    last = {override.get_key_element(): override for override in parser.parse_overrides(list(words))}
    swept = {key: values_of(override) for key, override in last.items()}
    choices = _in_step(last, swept, zipped)
    if (runs := prod(map(len, choices))) > MOST:
        raise UserError(f"{' '.join(words)}: makes {runs:,} runs. A sweep has at most {MOST:,}")
    return ([word for chosen in job for word in chosen] for job in product(*choices))


def matching(jobs: Iterable[Job], where: Sequence[str], reporter: Reporter) -> Iterator[Job]:
    """Yield the jobs for which all conditions hold; tell in the end how many are left out.

    Those need not be valid, nor even have a config: a key of one option only is left out with the other options.

    Raises:
        UserError: a condition cannot be read, has a key that no job has, or the conditions hold for no job.
        HydraException, OmegaConfBaseException: a job chooses an option that there is not.
    """
    conditions = [condition(text) for text in where]
    keys: dict[str, None] = {}  # of any job
    compared: dict[str, dict[str, Any]] = {}  # what the conditions compare, each combination once
    words = {word for expression in conditions for word in expression.words}
    counts = Counter[bool]()
    for job in jobs:
        values = job.values()
        keys |= dict.fromkeys(values)
        asked = {word: values[word] for word in words if word in values}
        compared.setdefault(str(asked), asked)
        matches = all(holds(values) for holds in conditions)
        counts[matches] += 1
        if matches:
            yield job
    for expression in conditions:
        expression.check(keys, "the config")
    absent = [reason for expression in conditions for reason in expression.absent(list(compared.values()))]
    if not counts[True]:
        everything = f"{' and '.join(where)}: excludes all {plural(counts[False], 'combination')}"
        raise UserError(f"where={absent[0] if absent else everything}")
    for reason in absent:
        reporter.say(f"where={reason}")
    reporter.say(f"{plural(counts[False], 'combination')} left out by where={' and '.join(where)}")


def values_of(override: Override) -> list[str]:
    """Write each value of an override as an override.

    Raises:
        UserError: it is an interval, or one sweep inside another.
    """
    key, value = override.get_key_element(), override.value()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if isinstance(value, IntervalSweep):
        raise UserError(
            f"{override.input_line}: an interval has no values to list; hydra/sweeper=optuna searches in it"
        )
    if isinstance(value, ChoiceSweep) and any(isinstance(item, Sweep) for item in value.list):
        raise UserError(f"{override.input_line}: one sweep inside of another")
    if isinstance(value, RangeSweep):
        return [f"{key}={number}" for number in numbers(value)]
    return [f"{key}={text}" for text in override.sweep_string_iterator()]


def _in_step(
    overrides: Mapping[str, Override], values: Mapping[str, Sequence[str]], zipped: Sequence[Sequence[str]]
) -> list[list[list[str]]]:
    """List the possibilities of each free choice of the sweep, a possibility being the overrides that it sets."""
    group_of: dict[str, list[str]] = {}
    for names in zipped:
        group = [_named(name, overrides) for name in names]
        _check_group(group, overrides, values, [*names])
        for key in group:
            if group_of.setdefault(key, group) is not group:
                raise UserError(f"zip={','.join(names)}: {key} is zipped already")
    done: set[str] = set()
    choices = []
    for key in values:
        group = group_of.get(key, [key])
        if key not in done:
            choices.append([list(words) for words in zip(*(values[name] for name in group), strict=True)])
        done.update(group)
    return choices


def _named(name: str, overrides: Mapping[str, Override]) -> str:
    """Find the override that a name means, with or without the + before its key."""
    keys = {key.lstrip("+"): key for key in overrides}
    if name.lstrip("+") not in keys:
        raise UserError(f"zip: {no_such('key', name, 'the sweep', keys)}")
    return keys[name.lstrip("+")]


def _check_group(
    group: Sequence[str], overrides: Mapping[str, Override], values: Mapping[str, Sequence[str]], names: Sequence[str]
) -> None:
    prefix = f"zip={','.join(names)}"
    if len(set(group)) < 2:
        raise UserError(f"{prefix}: needs two or more keys, as in zip=norm,init")
    if len({len(values[key]) for key in group}) > 1:
        sizes = ", ".join(f"{key} has {len(values[key])}" for key in group)
        raise UserError(f"{prefix}: needs keys with the same number of values: {sizes}")
    for key in group:
        if getattr(overrides[key].value(), "shuffle", False):
            raise UserError(f"{prefix}: {key} is shuffled, which would pair it differently at each start")
