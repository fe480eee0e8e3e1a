"""The corrections for many comparisons: the choices, without the time that statsmodels takes to import."""

from typing import Literal, get_args

Correction = Literal["holm", "bh", "none"]
CORRECTIONS: tuple[Correction, ...] = get_args(Correction)
