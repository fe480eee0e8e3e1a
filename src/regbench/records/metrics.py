"""The figures that runs record: where they are kept, which direction is better, how people read them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from regbench.errors import UserError, no_such

Selection = Literal["last", "best_val"]
SELECTIONS: tuple[Selection, ...] = ("last", "best_val")
MOST_FIGURE = 1e150  # the square of a larger one is no number
_DIRECTIONS = {"higher": True, "lower": False}


@dataclass(frozen=True)
class Metric:
    """A recorded figure, its direction, and how people read it."""

    name: str
    higher_is_better: bool
    decimals: int
    percent: bool = False
    per_epoch: bool = True

    @property
    def scale(self) -> int:
        """The factor for people to read: 100 for fractions shown as percentages."""
        return 100 if self.percent else 1

    def column(self, select: Selection) -> str:
        """The column of `frame.load` that holds it."""
        return f"{select}.{self.name}" if self.per_epoch else self.name

    def text(self, value: float | None) -> str:
        """Write a figure with the metric's decimals, or with three digits if it would look like 0 or be very long."""
        if value is None:
            return ""
        value *= self.scale
        readable = value == 0 or 10**-self.decimals <= abs(value) < 10**6
        return f"{value:.{self.decimals}f}" if readable else f"{value:.3g}"

    def signed(self, value: float | None) -> str:
        """Write a difference with its sign."""
        return f"{'+' * (value is not None and value > 0)}{self.text(value)}"


METRICS = {
    metric.name: metric
    for metric in (
        Metric("test_acc", higher_is_better=True, decimals=2, percent=True),
        Metric("test_loss", higher_is_better=False, decimals=4),
        Metric("val_acc", higher_is_better=True, decimals=2, percent=True),
        Metric("val_loss", higher_is_better=False, decimals=4),
        Metric("train_acc", higher_is_better=True, decimals=2, percent=True),
        Metric("train_loss", higher_is_better=False, decimals=4),
        Metric("epoch", higher_is_better=False, decimals=1),
        Metric("seconds", higher_is_better=False, decimals=2, per_epoch=False),
        Metric("cpu_seconds", higher_is_better=False, decimals=2, per_epoch=False),
    )
}


def named(text: str, recorded: Iterable[str] = ()) -> Metric:
    """Find the metric by its name: `test_acc`, or `weight_norm:lower` for one without a known direction.

    Args:
        text: a name, with a direction where the figure has none or another one is wanted.
        recorded: the per-epoch figures of the runs that METRICS lacks.

    Raises:
        UserError: no such figure or direction, or a direction is missing.
    """
    name, colon, direction = text.partition(":")
    allowed = {*METRICS, *recorded}
    if name not in allowed:
        raise UserError(f"--metric {text}: {no_such('metric', name, 'the summary', allowed)}")
    if colon and direction not in _DIRECTIONS:
        raise UserError(f"--metric {text}: {no_such('direction', direction, repr(text), _DIRECTIONS)}")
    if not colon and name not in METRICS:
        raise UserError(f"--metric {name}: has no known direction. Write {name}:lower or {name}:higher")
    known = METRICS.get(name, Metric(name, higher_is_better=True, decimals=4))
    return replace(known, higher_is_better=_DIRECTIONS[direction]) if colon else known
