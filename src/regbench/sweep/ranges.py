"""The numbers of Hydra's ranges, and a parser of overrides whose `sort` keeps them."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, RangeSweep

from regbench.errors import UserError

MOST = 100_000  # numbers of a range, and runs of a sweep: planning so many takes minutes
_DIGITS = 12  # of a float that a person writes: what follows them in 0.3 - 0.1 is rounding


def override_parser(loader: ConfigLoader | None = None) -> OverridesParser:
    """Make Hydra's parser, with a `sort` of regbench's own.

    Hydra 1.3 sorts range(2,10,3) to 4, 7, 10 or 7, 4, 1, and leaves sort(shuffle(…)) shuffled.
    """
    parser = OverridesParser.create(config_loader=loader)
    functions = parser.functions.functions
    functions["sort"] = _sort_by(functions["sort"])
    return parser


def _sort_by(hydras: Callable[..., Any]) -> Callable[..., Any]:
    """Return a `sort` for ranges; Hydra's own sorts the rest, as choices and lists."""

    def sort(*items: Any, sweep: Any = None, reverse: bool = False, **arguments: Any) -> Any:
        values = items if sweep is None else (sweep,)
        if len(values) == 1 and isinstance(values[0], RangeSweep):
            return _in_order(values[0], reverse)
        result = hydras(*values, reverse=reverse, **arguments)
        return replace(result, shuffle=False) if isinstance(result, ChoiceSweep) else result

    return sort


def _in_order(sweep: RangeSweep, reverse: bool) -> RangeSweep:
    """Return a range of the same numbers that rises, or falls; a range without end stays, to be refused later."""
    result = replace(sweep, shuffle=False)
    try:
        values = numbers(result)
    except UserError:
        return result
    if not values or (sweep.step < 0) == reverse:
        return result
    beyond = _decimal(values[0]) - _decimal(sweep.step)
    whole = isinstance(values[0], int)
    return replace(result, start=values[-1], stop=int(beyond) if whole else float(beyond), step=-sweep.step)


def numbers(sweep: RangeSweep) -> Sequence[int] | list[float]:
    """List the numbers of a range in its order, or in a random order if it is shuffled.

    Raises:
        UserError: the step is zero, or something is not finite.
    """
    start, stop, step = (_decimal(number) for number in (sweep.start, sweep.stop, sweep.step))
    if not (start.is_finite() and stop.is_finite() and step.is_finite() and step):
        raise UserError(f"range({sweep.start},{sweep.stop},{sweep.step}): needs finite numbers and a step other than 0")
    if (stop - start) / step > MOST:
        raise UserError(f"range({sweep.start},{sweep.stop},{sweep.step}): has more than {MOST:,} numbers")
    values = sweep.range()
    result = list(values) if isinstance(values, range) else _floats(start, stop, step)
    if sweep.shuffle:
        random.shuffle(result)
    return result


def _floats(start: Decimal, stop: Decimal, step: Decimal) -> list[float]:
    """List the numbers that a person means: `range(0,0.4,0.1)` is 0.0, 0.1, 0.2, 0.3, not 0.30000000000000004."""
    return [float(start + place * step) for place in range(max(math.ceil((stop - start) / step), 0))]


def _decimal(number: float | None) -> Decimal:
    return Decimal(number) if isinstance(number, int) else Decimal(f"{number:.{_DIGITS}g}")
