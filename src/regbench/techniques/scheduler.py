"""Learning-rate schedules: the rate, and for some the momentum, as a function of the position in training alone.

Without state, a resumed run needs nothing saved, and each run of a stack can have its own. All lengths are in epochs.
"""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from regbench.config.registry import Option, Registry, Share

_Epochs = PositiveInt | None  # null: all of them

_Momentum = Annotated[float, Field(ge=0, lt=1)]


class Setting(NamedTuple):
    """What a run trains at."""

    lr: float
    momentum: float | None = None  # of sgd's kind, or adam's first beta; None: the optimizer's own


SCHEDULERS: Registry[Callable[..., float | Setting]] = Registry("scheduler")  # a number is the rate


class Position(NamedTuple):
    """Where in training, from the end of the warm-up on."""

    epoch: float  # from 0
    epochs: float  # of the whole training
    interval: float  # how long a rate is kept: 1 epoch, or 0 for a single step
    losses: Sequence[float]  # of the past epochs: on the validation images, without any on the training images


@SCHEDULERS.shared
def setting(
    option: Option,
    lr: float,
    epoch: float,
    epochs: int,
    losses: Sequence[float],
    *,
    warmup_epochs: NonNegativeFloat,
    interval: Literal["epoch", "step"],
) -> Setting:
    """The setting for a run whose optimizer has the rate `lr`; epochs count from 0, with a fraction within an epoch.

    `losses` are those of the past epochs, for `reduce_on_plateau`. In the warm-up the rate rises in a line, to `lr` at
    its end [Goyal 2017]: by epoch, from lr / (warmup_epochs + 1); by step, from 0. The schedule begins after it, as
    with `torch.optim.lr_scheduler.SequentialLR`, and its first momentum holds until then. With `interval=epoch`,
    `epoch` is a whole number.
    """
    length = 1.0 if interval == "epoch" else 0.0
    past = losses[math.ceil(warmup_epochs) :]
    position = Position(max(epoch - warmup_epochs, 0.0), epochs - warmup_epochs, length, past)
    args = {key: value for key, value in option.args.items() if key not in ("warmup_epochs", "interval")}
    result = SCHEDULERS[option.name](lr, position, **args)
    scheduled = result if isinstance(result, Setting) else Setting(result)
    if epoch < warmup_epochs:
        return scheduled._replace(lr=lr * (epoch + length) / (warmup_epochs + length))
    return scheduled


def continues(option: Option, lr: float, finished: int, epochs: int) -> bool:
    """Tell whether a training of `finished` epochs had the settings that the first ones of `epochs` have.

    They are compared at 100 positions of each epoch. Losses, which are left out, and the number of epochs matter to no
    schedule both.
    """
    rhythm = {key: option.args[key] for key in ("warmup_epochs", "interval")}
    places = range(finished) if rhythm["interval"] == "epoch" else (place / 100 for place in range(finished * 100))
    return all(
        setting(option, lr, place, finished, [], **rhythm) == setting(option, lr, place, epochs, [], **rhythm)
        for place in places
    )


@SCHEDULERS.register
def constant(lr: float, at: Position, *, factor: PositiveFloat, total_iters: NonNegativeInt) -> float:
    """The same rate throughout, except for a factor in the first epochs (`torch.optim.lr_scheduler.ConstantLR`).

    Use it as the control, and while searching for a rate.
    """
    return lr * factor if at.epoch < total_iters else lr


@SCHEDULERS.register
def step(lr: float, at: Position, *, step_size: PositiveInt, gamma: PositiveFloat) -> float:
    """Times gamma after every step_size epochs (`torch.optim.lr_scheduler.StepLR`).

    In epoch k, from 0, lr · gamma^⌊k / step_size⌋.

    Use it where training is long and the loss settles after some epochs at each rate.
    """
    return lr * float(gamma ** (at.epoch // step_size))


@SCHEDULERS.register
def multistep(lr: float, at: Position, *, milestones: list[PositiveInt], gamma: PositiveFloat) -> float:
    """Times gamma at each milestone (`torch.optim.lr_scheduler.MultiStepLR`).

    In epoch k, from 0, lr · gamma^(number of milestones ≤ k).

    Use it where a constant rate's curve shows when the loss stops falling.
    """
    return lr * float(gamma ** sum(at.epoch >= milestone for milestone in milestones))


@SCHEDULERS.register
def exponential(lr: float, at: Position, *, gamma: PositiveFloat) -> float:
    """Times gamma after every epoch (`torch.optim.lr_scheduler.ExponentialLR`).

    In epoch k, from 0, lr · gamma^k.

    Use it for a smooth decay whose pace should not depend on the number of epochs.
    """
    return lr * float(gamma**at.epoch)


@SCHEDULERS.register
def linear(
    lr: float, at: Position, *, start_factor: PositiveFloat, end_factor: NonNegativeFloat, total_iters: _Epochs
) -> float:
    """In a line from start_factor to end_factor times lr (`torch.optim.lr_scheduler.LinearLR`).

    In epoch k, from 0, of n: lr · (start_factor + (end_factor − start_factor) · k / n), n the total_iters.

    Use it to end at a rate of 0 with nothing to tune, or, from a low start_factor, for a long rise.
    """
    done = min(at.epoch / (total_iters or at.epochs), 1.0)
    return lr * (start_factor + (end_factor - start_factor) * done)


@SCHEDULERS.register
def polynomial(lr: float, at: Position, *, power: PositiveFloat, total_iters: _Epochs) -> float:
    """Times a power of the share of epochs that is left (`torch.optim.lr_scheduler.PolynomialLR`).

    In epoch k, from 0, of n: lr · (1 − k / n)^power, n the total_iters.

    Use it to end at a rate of 0 and choose, by the power, how early most of the decay happens.
    """
    left = max(1 - at.epoch / (total_iters or at.epochs), 0.0)
    return lr * float(left**power)


@SCHEDULERS.register
def cosine(lr: float, at: Position, *, t_max: _Epochs, eta_min: NonNegativeFloat) -> float:
    """Half a cosine from lr to eta_min over t_max epochs, or over all of them [Loshchilov & Hutter 2017].

    In epoch k, from 0: eta_min + (lr − eta_min) · (1 + cos(π · k / t_max)) / 2, as
    `torch.optim.lr_scheduler.CosineAnnealingLR`.

    Use it first when the number of epochs is fixed: little to tune, and small steps at the end.
    """
    return _between(lr, eta_min, at.epoch / (t_max or at.epochs))


def _between(start: float, end: float, share: float) -> float:
    """On half a cosine from start to end, a share of its length from the start."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


@SCHEDULERS.register
def cosine_restarts(
    lr: float, at: Position, *, t_0: PositiveInt, t_mult: PositiveInt, eta_min: NonNegativeFloat
) -> float:
    """Half cosines, the first of t_0 epochs and each t_mult times as long as the last [Loshchilov & Hutter 2017].

    Each by the formula of cosine; as `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`.

    Use it to have a good network at the end of each cycle, whichever of them is the last.
    """
    start, length = 0, t_0
    if t_mult == 1:
        start = int(at.epoch // t_0) * t_0
    while at.epoch >= start + length:
        start, length = start + length, length * t_mult
    return _between(lr, eta_min, (at.epoch - start) / length)


@SCHEDULERS.register
def one_cycle(
    lr: float,
    at: Position,
    *,
    pct_start: Annotated[float, Field(gt=0, lt=1)],
    anneal_strategy: Literal["cos", "linear"],
    cycle_momentum: bool | None,
    base_momentum: _Momentum,
    max_momentum: _Momentum,
    div_factor: PositiveFloat,
    final_div_factor: PositiveFloat,
    three_phase: bool,
) -> Setting:
    """Up to lr, then down far below where it began [Smith & Topin 2018] (`torch.optim.lr_scheduler.OneCycleLR`).

    Up from lr / div_factor in the first pct_start of training, down to 1 / final_div_factor of that at its end. In
    three phases, down to the beginning as fast as up, then on to the end. The optimizer's momentum (the first beta of
    adam and its kind) goes the other way: from max_momentum to base_momentum where the rate is highest, and back.

    Use it for short training with a high rate, which it approaches from below; `lr` is the highest.
    """
    low, last = lr / div_factor, at.epochs - at.interval
    ends, rates = [pct_start * at.epochs - at.interval, last], [low, lr, low / final_div_factor]
    momenta = [max_momentum, base_momentum, max_momentum]
    if three_phase:
        ends[1:1], rates[2:2], momenta[2:2] = [2 * ends[0]], [low], [max_momentum]
    straight = anneal_strategy == "linear"
    rate, momentum = (_through(values, ends, at.epoch, straight) for values in (rates, momenta))
    return Setting(rate, None if cycle_momentum is False else momentum)


def _through(values: Sequence[float], ends: Sequence[float], epoch: float, straight: bool) -> float:
    """From each value to the next until its end, straight or on half a cosine."""
    begin = 0.0
    for end, start, goal in zip(ends, values, values[1:], strict=False):
        if epoch <= end or end == ends[-1]:
            share = min((epoch - begin) / (end - begin), 1.0) if end > begin else 1.0
            return start + (goal - start) * share if straight else _between(start, goal, share)
        begin = end
    return values[-1]


@SCHEDULERS.register
def cyclic(
    lr: float,
    at: Position,
    *,
    base_factor: Share,
    step_size_up: PositiveInt,
    step_size_down: PositiveInt | None,
    mode: Literal["triangular", "triangular2", "exp_range"],
    gamma: Annotated[float, Field(gt=0, le=1)],
    cycle_momentum: bool | None,
    base_momentum: _Momentum,
    max_momentum: _Momentum,
) -> Setting:
    """Up from base_factor times lr to lr and down again, in lines [Smith 2017] (`torch.optim.lr_scheduler.CyclicLR`).

    triangular2 halves the height after each cycle, exp_range multiplies it by gamma after each epoch. The optimizer's
    momentum (the first beta of adam and its kind) goes the other way: from max_momentum to base_momentum where the rate
    is highest, and back.

    Use it where the best rate lies somewhere in a range: each cycle goes through all of it.
    """
    length = step_size_up + (step_size_down or step_size_up)
    cycle, place = divmod(at.epoch, length)
    height = place / step_size_up if place <= step_size_up else (length - place) / (length - step_size_up)
    height *= float({"triangular": 1.0, "triangular2": 0.5**cycle, "exp_range": gamma**at.epoch}[mode])
    base = lr * base_factor
    momentum = max_momentum - (max_momentum - base_momentum) * height
    return Setting(base + (lr - base) * height, None if cycle_momentum is False else momentum)


@SCHEDULERS.register
def reduce_on_plateau(
    lr: float,
    at: Position,
    *,
    factor: Annotated[float, Field(gt=0, lt=1)],
    patience: NonNegativeInt,
    threshold: NonNegativeFloat,
    threshold_mode: Literal["rel", "abs"],
    cooldown: NonNegativeInt,
    min_lr: NonNegativeFloat,
) -> float:
    """Times factor when the validation loss has not improved for more than patience epochs.

    As `torch.optim.lr_scheduler.ReduceLROnPlateau`. It follows all losses from the first each time: there is no state.
    Without validation images it watches the training loss.

    Use it where the number of epochs is ample and no decay is planned.
    """
    best, bad, resting = math.inf, 0, 0
    for loss in at.losses:
        better = loss < (best - threshold if threshold_mode == "abs" else best * (1 - threshold))
        best, bad = (loss, 0) if better else (best, bad + 1)
        if resting:
            resting, bad = resting - 1, 0
        if bad > patience:
            lr, resting, bad = min(lr, max(lr * factor, min_lr)), cooldown, 0
    return lr
