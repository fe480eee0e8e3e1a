"""The dimensions that a search spans, from Hydra's overrides."""

from collections.abc import Iterable, Mapping
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from regbench.errors import UserError
from regbench.sweep.grid import float_range, values_of

GOLDEN = 0.618  # of the way through an interval: no round number, so that interval(1,8) for an integer is noticed


def distribution(override: Override) -> BaseDistribution:
    """The dimension that a sweep spans: an interval or a range of integers is one of integers; tag(log,…) is log.

    Raises:
        UserError: its ends are no dimension.
    """
    value = override.value()
    try:
        if isinstance(value, IntervalSweep):
            assert value.start is not None
            assert value.end is not None
            whole = isinstance(value.start, int) and isinstance(value.end, int)
            kind: Any = IntDistribution if whole else FloatDistribution
            found: BaseDistribution = kind(value.start, value.end, log="log" in value.tags)
            return found
        if isinstance(value, RangeSweep):
            return _of_range(value)
        return CategoricalDistribution([word.partition("=")[2] for word in values_of(override)])
    except ValueError as error:
        raise UserError(f"{override.input_line}: {error}") from None


def _of_range(value: RangeSweep) -> BaseDistribution:
    whole = isinstance(value.range(), range)
    numbers = sorted(value.range()) if whole else sorted(float_range(value))
    if not numbers:
        raise ValueError("holds no number")
    kind: Any = IntDistribution if whole else FloatDistribution
    found: BaseDistribution = kind(numbers[0], numbers[-1], step=abs(value.step))
    return found


def samples(space: Mapping[str, BaseDistribution]) -> Iterable[dict[str, Any]]:
    """Values of all dimensions among which every choice is, both ends of every interval, and a number between them."""
    values = {key: _samples(each) for key, each in space.items()}
    for place in range(max(map(len, values.values()))):
        yield {key: several[min(place, len(several) - 1)] for key, several in values.items()}


def _samples(dimension: BaseDistribution) -> list[Any]:
    if isinstance(dimension, CategoricalDistribution):
        return list(dimension.choices)
    if isinstance(dimension, FloatDistribution) and dimension.step is None:
        return [dimension.low, dimension.high, dimension.low + GOLDEN * (dimension.high - dimension.low)]
    assert isinstance(dimension, FloatDistribution | IntDistribution)
    return [dimension.low, dimension.high]


def written(value: Any) -> str:
    """A value as an override takes it; a float without the rounding of a step's multiples."""
    return repr(float(f"{value:.12g}")) if isinstance(value, float) else str(value)
