"""What the figures of layers.csv say of a run's health: hints in plain words, each by a rule with a source."""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Rows = Sequence[Mapping[str, Any]]  # of layers.csv: `epoch`, `layer` and figures, from input to output

# The limits. Where a source names no number, ours lies far from what it calls healthy.
_DEAD = 0.4  # share of units: "as much as 40 %" (CS231n)
_SATURATED = 0.5  # share of outputs
_GRADIENTS = 1000.0  # ratio of the first layer's gradient to the output's, either way
_SCALES = 100.0  # ratio of a layer's scale to that of the first one
_SLOW, _FAST = 1e-5, 0.1  # ‖Δw‖ / ‖w‖ of a step: a hundredth and a hundred times the advised 1e-3


@dataclass(frozen=True)
class Hint:
    """What is unhealthy, what usually helps, and who found it."""

    rule: str
    text: str
    source: str


def hints(rows: Rows, diverged: bool = False) -> list[Hint]:
    """Judge a run by its layers after the last epoch that they are known of; a healthy run has no hint.

    Args:
        rows: what `epochs.read_layers` reads.
        diverged: whether the loss stopped being finite.
    """
    last = max((int(row["epoch"]) for row in rows), default=0)
    final = [row for row in rows if row["epoch"] == last]
    found = [hint for rule in _OF_LAST for hint in rule(final)] + list(_updates(rows))
    return [_DIVERGED, *found] if diverged else found


_DIVERGED = Hint(
    "diverged",
    "The loss stopped being finite: a lower learning rate, scheduler.warmup_epochs or clip_norm usually helps.",
    "Pascanu, Mikolov and Bengio 2013",
)


def _dead(rows: Rows) -> Iterator[Hint]:
    if layers := _beyond(rows, "dead", _DEAD):
        yield Hint(
            "dead",
            f"{_shares(layers)} of the units are dead: a lower learning rate, activation=leaky_relu or init=kaiming "
            "usually helps.",
            "CS231n, Neural Networks Part 1; Lu, Shin, Su and Karniadakis 2019",
        )


def _saturated(rows: Rows) -> Iterator[Hint]:
    if layers := _beyond(rows, "saturated", _SATURATED):
        yield Hint(
            "saturated",
            f"{_shares(layers)} of the outputs are saturated, where nothing is learnt: init=xavier, a norm, "
            "a lower learning rate or activation=relu usually helps.",
            "Glorot and Bengio 2010",
        )


def _gradients(rows: Rows) -> Iterator[Hint]:
    norms = [(str(row["layer"]), row["grad_norm"]) for row in rows if row.get("grad_norm", math.nan) > 0]
    if len(norms) < 2:
        return
    (first, begin), (last, end) = norms[0], norms[-1]
    if end > _GRADIENTS * begin:
        yield Hint(
            "vanishing",
            f"The gradient vanishes: it is {end / begin:.0e} times smaller in {first} than in {last}. activation=relu, "
            "a norm, or init=kaiming (xavier for sigmoid and tanh) usually helps.",
            "Glorot and Bengio 2010",
        )
    elif begin > _GRADIENTS * end:
        yield Hint(
            "exploding",
            f"The gradient explodes: it is {begin / end:.0e} times larger in {first} than in {last}. clip_norm, a norm "
            "or a smaller init usually helps.",
            "Pascanu, Mikolov and Bengio 2013",
        )


def _scales(rows: Rows) -> Iterator[Hint]:
    scales = [(str(row["layer"]), row["before_std"]) for row in rows if row.get("before_std", math.nan) > 0]
    if len(scales) < 2:
        return
    name, first = scales[0]
    far, scale = max(scales[1:], key=lambda pair: abs(math.log(pair[1] / first)))
    if not 1 / _SCALES <= scale / first <= _SCALES:
        how = "grows" if scale > first else "shrinks"
        yield Hint(
            "scale",
            f"The scale of activations {how} from layer to layer, from {first:.3g} in {name} to {scale:.3g} in {far}: "
            "init=kaiming (xavier for sigmoid and tanh), init=lsuv or a norm usually keeps it.",
            "He, Zhang, Ren and Sun 2015; Mishkin and Matas 2016",
        )


def _updates(rows: Rows) -> Iterator[Hint]:
    """Judge the median over epochs and layers: a schedule may begin or end with small steps."""
    ratios = [row["update_ratio"] for row in rows if math.isfinite(row.get("update_ratio", math.nan))]
    if not ratios:
        return
    middle = statistics.median(ratios)
    if not _SLOW <= middle <= _FAST:
        how, cure = ("small", "higher") if middle < _SLOW else ("large", "lower")
        yield Hint(
            "updates",
            f"Steps are {how}: one changes the weights by {middle:.1e} of their size (about 1e-3 is usual). "
            f"A {cure} learning rate usually helps.",
            "CS231n, Neural Networks Part 3",
        )


_OF_LAST: tuple[Callable[[Rows], Iterator[Hint]], ...] = (_dead, _saturated, _gradients, _scales)


def _beyond(rows: Rows, name: str, limit: float) -> list[tuple[str, float]]:
    return [(str(row["layer"]), row[name]) for row in rows if row.get(name, math.nan) >= limit]


def _shares(layers: Sequence[tuple[str, float]]) -> str:
    """Write `dense3: 41 %`, or `dense1 to dense3: 41 to 60 %`, the first and the last of the layers."""
    names, shares = [name for name, _ in layers], [round(100 * share) for _, share in layers]
    place = names[0] if len(names) == 1 else f"{names[0]} and {names[1]}" if len(names) == 2 else _many(names)
    low, high = min(shares), max(shares)
    return f"{place}: {low if low == high else f'{low} to {high}'} %"


def _many(names: Sequence[str]) -> str:
    return f"{len(names)} layers, {names[0]} to {names[-1]}"
