"""Means with t intervals. Every formula names its source."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import betaincinv

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over n runs and the half-width of its confidence interval; None if n is too small."""

    n: int
    mean: float | None
    half_width: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The lower and the upper end."""
        if self.mean is None or self.half_width is None:
            return None
        return self.mean - self.half_width, self.mean + self.half_width


def estimate(values: Sequence[float], level: float = LEVEL) -> Estimate:
    """Estimate the mean of finite values with its two-sided t interval, mean ± t·s/√n (Student 1908).

    s is the sample standard deviation (n - 1 in the denominator). The sums are exact, so the order of the values
    changes no digit.
    """
    n = len(values)
    mean = statistics.mean(values) if n else None
    half_width = t_quantile(n - 1, level) * statistics.stdev(values) / math.sqrt(n) if n > 1 else None
    return Estimate(n, mean, half_width)


def t_quantile(degrees: int, level: float = LEVEL) -> float:
    """Return the t with P(|T| <= t) = level.

    It follows from P(|T| > t) = I_x(degrees/2, 1/2) with x = degrees / (degrees + t²) (Abramowitz and Stegun 26.7.1).
    scipy.stats would take longer to import than a whole summary, and has only 8 to 10 digits before scipy 1.17.
    """
    x = float(betaincinv(degrees / 2, 0.5, 1 - level))
    return math.sqrt(degrees * (1 - x) / x)
