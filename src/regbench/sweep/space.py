"""The space that a search spans, from Hydra's overrides."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from regbench.config.run_config import AXES
from regbench.errors import UserError
from regbench.sweep.grid import values_of
from regbench.sweep.ranges import numbers, override_parser

_GOLDEN = 0.618  # of the way through an interval: not a round number, so that interval(1,8) for an integer is noticed


@dataclass(frozen=True)
class Space:
    """The dimensions that a search spans, by their keys, and the overrides that all its trials have."""

    dimensions: Mapping[str, BaseDistribution]
    fixed: Sequence[str]

    @classmethod
    def read(cls, loader: ConfigLoader, words: Sequence[str]) -> "Space":
        """Read the overrides of a command line: each sweep in them is a dimension.

        Raises:
            UserError: the ends of an interval make no dimension; there is none.
            HydraException: an override cannot be read.
        """
        parsed = override_parser(loader).parse_overrides(list(words))
        last = {override.get_key_element(): override for override in parsed}
        dimensions = {key: distribution(override) for key, override in last.items() if _varies(override)}
        fixed = [word for key, override in last.items() if key not in dimensions for word in values_of(override)]
        if not dimensions:
            raise UserError("hydra/sweeper=optuna: nothing to search, as in optimizer.lr=tag(log,interval(1e-4,1e-1))")
        return cls(dimensions, fixed)

    def overrides(self, values: Mapping[str, Any]) -> list[str]:
        """Write the values of a trial as its overrides."""
        return [*self.fixed, *(f"{key}={written(value)}" for key, value in values.items())]

    def samples(self) -> Iterable[dict[str, Any]]:
        """Yield values that include every choice, both ends of every interval, and a number between them."""
        samples = {key: _samples(dimension) for key, dimension in self.dimensions.items()}
        for place in range(max(map(len, samples.values()))):
            yield {key: values[min(place, len(values) - 1)] for key, values in samples.items()}


def _varies(override: Override) -> bool:
    """Whether an override has several values; choice(0.9) has one."""
    value = override.value()
    return override.is_sweep_override() and not (isinstance(value, ChoiceSweep) and len(value.list) == 1)


def distribution(override: Override) -> BaseDistribution:
    """Return the dimension that a sweep spans: an interval or range of integers is one of integers; tag(log,…) is log.

    Raises:
        UserError: its ends make no dimension.
    """
    value = override.value()
    if isinstance(value, IntervalSweep) and override.get_key_element() in AXES:
        raise UserError(
            f"{override.input_line}: an axis has options and no numbers between them, as in norm=none,batch"
        )
    try:
        if isinstance(value, IntervalSweep):
            return _of_interval(value)
        if isinstance(value, RangeSweep):
            return _of_range(value)
        return CategoricalDistribution([word.partition("=")[2] for word in values_of(override)])
    except ValueError as error:
        raise UserError(f"{override.input_line}: {error}") from None


def _of_interval(value: IntervalSweep) -> BaseDistribution:
    assert value.start is not None
    assert value.end is not None
    whole = isinstance(value.start, int) and isinstance(value.end, int)
    return _kind(whole)(value.start, value.end, log="log" in value.tags)


def _of_range(value: RangeSweep) -> BaseDistribution:
    values = sorted(numbers(value))
    if not values:
        raise ValueError("holds no number")
    return _kind(isinstance(values[0], int))(values[0], values[-1], step=abs(value.step))


def _kind(whole: bool) -> Callable[..., BaseDistribution]:
    return IntDistribution if whole else FloatDistribution


def _samples(dimension: BaseDistribution) -> list[Any]:
    if isinstance(dimension, CategoricalDistribution):
        return list(dimension.choices)
    if isinstance(dimension, FloatDistribution) and dimension.step is None:
        return [dimension.low, dimension.high, dimension.low + _GOLDEN * (dimension.high - dimension.low)]
    assert isinstance(dimension, FloatDistribution | IntDistribution)
    return [dimension.low, dimension.high]


def written(value: Any) -> str:
    """Write a value as an override takes it; a float without the rounding of a step's multiples."""
    return repr(float(f"{value:.12g}")) if isinstance(value, float) else str(value)
