"""What a user may wish of a picture."""

from dataclasses import dataclass
from typing import Literal

from regbench.analysis.curves import X

Log = Literal["", "x", "y", "xy"]


@dataclass(frozen=True)
class Wishes:
    """How to draw.

    Attributes:
        x: what the horizontal axis of curves counts.
        log: the axes with a logarithmic scale.
        each: draw every run as a thin line too.
    """

    x: X = "epoch"
    log: Log = ""
    each: bool = False
