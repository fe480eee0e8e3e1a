"""From the overrides of a sweep to those of each job: every combination, keys in step, combinations left out."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import product
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Sweep
from omegaconf import DictConfig, OmegaConf

from regbench.condition import condition
from regbench.config.run_config import flat
from regbench.errors import UserError, no_such
from regbench.experiment.reporter import Reporter
from regbench.sweep.compose import Composer
from regbench.text import plural

DIGITS = 12  # of a float that a person writes: what is left of 0.3 - 0.1 after them is rounding


def expand(
    loader: ConfigLoader,
    params: Mapping[str, str],
    arguments: Sequence[str],
    zipped: Sequence[Sequence[str]] = (),
    each: Mapping[str, str] | None = None,
) -> list[list[str]]:
    """The overrides of each job: every combination of the values, the last argument's varying fastest.

    Keys that are `zipped` together take their first values together, then their second ones, … Values in `each` are
    combined with all the others, but not with one another: one change at a time. An argument takes the place of a
    parameter for the same key.

    Raises:
        UserError: there is no combination; keys to be zipped are not there, or differ in their number of values.
        HydraException: an override that cannot be read.
    """
    parser = OverridesParser.create(config_loader=loader)
    given = {override.key_or_group for override in parser.parse_overrides(list(arguments))}
    words = [*(f"{key}={value}" for key, value in params.items()), *arguments]
    changes = [[f"{key}={value}"] for key, value in (each or {}).items() if key not in given]
    jobs = [job for change in changes or [[]] for job in _combinations(parser, [*change, *words], zipped)]
    if not jobs:
        raise UserError(f"{' '.join(words)}: no runs, as a choice, range or glob in it has no value")
    return jobs


def _combinations(
    parser: OverridesParser, words: Sequence[str], zipped: Sequence[Sequence[str]]
) -> Iterator[list[str]]:
    last = {override.get_key_element(): override for override in parser.parse_overrides(list(words))}
    swept = {key: values_of(override) for key, override in last.items()}
    return ([word for chosen in job for word in chosen] for job in product(*_in_step(last, swept, zipped)))


def only(
    master: DictConfig, loader: ConfigLoader, jobs: Sequence[list[str]], where: Sequence[str]
) -> Sequence[list[str]]:
    """The jobs of whose composed config all conditions are true; what is left out need not be a valid run.

    Raises:
        UserError: a condition cannot be read, has a key that no job has, or they are true of no job.
        HydraException, OmegaConfBaseException: a job that cannot be composed.
    """
    if not where:
        return jobs
    conditions = [condition(text) for text in where]
    composer = Composer(master, loader)
    configs = [_flat(composer.compose(job, number)) for number, job in enumerate(jobs)]
    keys = list(dict.fromkeys(key for config in configs for key in config))
    for each in conditions:
        each.check(keys, "the config")
    kept = [job for job, config in zip(jobs, configs, strict=True) if all(holds(config) for holds in conditions)]
    if not kept:
        raise UserError(f"where={' and '.join(where)}: true of none of the {plural(len(jobs), 'combination')}")
    left_out = plural(len(jobs) - len(kept), "combination")
    Reporter(str(master.runtime.progress)).say(f"{left_out} left out by where={' and '.join(where)}")
    return kept


def _flat(composed: DictConfig) -> dict[str, Any]:
    values: Any = OmegaConf.to_container(composed, resolve=True)
    return dict(flat(values))


def values_of(override: Override) -> list[str]:
    """Each value of an override as an override of its own."""
    key, value = override.get_key_element(), override.value()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if isinstance(value, IntervalSweep):
        raise UserError(
            f"{override.input_line}: an interval has no values to list; hydra/sweeper=optuna searches in it"
        )
    if isinstance(value, ChoiceSweep) and any(isinstance(item, Sweep) for item in value.list):
        raise UserError(f"{override.input_line}: one sweep inside of another")
    if isinstance(value, RangeSweep) and not isinstance(value.range(), range):
        return [f"{key}={number}" for number in float_range(value)]
    return [f"{key}={text}" for text in override.sweep_string_iterator()]


def float_range(sweep: RangeSweep) -> list[float]:
    """The numbers that a person means: `range(0,0.4,0.1)` is 0.0, 0.1, 0.2, 0.3, and not 0.30000000000000004.

    Raises:
        UserError: the step is zero, or something is not finite.
    """
    start, stop, step = (Decimal(f"{number:.{DIGITS}g}") for number in (sweep.start, sweep.stop, sweep.step))
    if not (start.is_finite() and stop.is_finite() and step.is_finite() and step):
        raise UserError(f"range({sweep.start},{sweep.stop},{sweep.step}): needs finite numbers and a step other than 0")
    numbers = [float(start + place * step) for place in range(max(math.ceil((stop - start) / step), 0))]
    if sweep.shuffle:
        random.shuffle(numbers)
    return numbers


def _in_step(
    overrides: Mapping[str, Override], values: Mapping[str, Sequence[str]], zipped: Sequence[Sequence[str]]
) -> list[list[list[str]]]:
    """For each free choice of the sweep its possibilities, each one the overrides that it sets."""
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
    """The override that a name means, with or without the + before its key."""
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
