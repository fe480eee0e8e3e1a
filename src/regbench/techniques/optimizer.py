"""Optimizers: all arguments of the torch class that a user could want, on one run's parameters.

`step(closure)` takes a step; everything that a user sets is in the settings of the parameter groups. The page of
techniques says what the letters in formulas mean.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from regbench.config.registry import Option, Registry
from regbench.errors import UserError
from regbench.techniques.torch_adapters import LBFGS, MuonWithAdamW, SparseAdam

_Decay = Annotated[float, Field(ge=0, lt=1)]
_Betas = tuple[_Decay, _Decay]
_Coefficients = tuple[float, float, float]
_Parameters = Sequence[Tensor]

OPTIMIZERS: Registry[Callable[..., torch.optim.Optimizer]] = Registry("optimizer")


def has_momentum(option: Option) -> bool:
    """Tell whether a schedule can set the optimizer's momentum: of adam and its kind, the first beta."""
    return bool({"betas", "momentum"} & option.args.keys())


def set_momentum(optimizer: torch.optim.Optimizer, momentum: float | None) -> None:
    """Set the momentum, as torch's schedules do; None leaves it as it is."""
    for group in optimizer.param_groups if momentum is not None else ():
        if "betas" in group:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum


@OPTIMIZERS.register
def sgd(
    parameters: _Parameters,
    *,
    lr: NonNegativeFloat,
    momentum: NonNegativeFloat,
    dampening: NonNegativeFloat,
    weight_decay: NonNegativeFloat,
    nesterov: bool,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum [Sutskever 2013] (`torch.optim.SGD`).

    v ← momentum · v + (1 − dampening) · g (at first g itself), then w ← w − lr · v; with nesterov,
    w ← w − lr · (g + momentum · v).

    Use it as the plain rule to compare others with: with momentum, and with a rate found by search.

    Raises:
        UserError: nesterov without momentum, or with dampening.
    """
    if nesterov and not (momentum > 0 and dampening == 0):
        raise UserError("optimizer.nesterov=true: needs optimizer.momentum above 0 and optimizer.dampening=0")
    return torch.optim.SGD(
        parameters,
        lr=lr,
        momentum=momentum,
        dampening=dampening,
        weight_decay=weight_decay,
        nesterov=nesterov,
        fused=True,
    )


@OPTIMIZERS.register
def adam(
    parameters: _Parameters,
    *,
    lr: NonNegativeFloat,
    betas: _Betas,
    eps: NonNegativeFloat,
    weight_decay: NonNegativeFloat,
    amsgrad: bool,
) -> torch.optim.Optimizer:
    """Gradients' running mean over the root of that of their squares [Kingma & Ba 2015] (`torch.optim.Adam`).

    m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², then w ← w − lr · m̂ / (√v̂ + eps), with m̂ = m / (1 − β₁ᵗ) and
    v̂ = v / (1 − β₂ᵗ). Weight decay is added to the gradient, as an l2 penalty's gradient is.

    Use it first: its default rate is a good start for most networks.
    """
    return torch.optim.Adam(
        parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, fused=True
    )


@OPTIMIZERS.register
def adamw(
    parameters: _Parameters,
    *,
    lr: NonNegativeFloat,
    betas: _Betas,
    eps: NonNegativeFloat,
    weight_decay: NonNegativeFloat,
    amsgrad: bool,
) -> torch.optim.Optimizer:
    """Adam with weight decay apart from the gradient [Loshchilov & Hutter 2019] (`torch.optim.AdamW`).

    w ← (1 − lr · weight_decay) · w, then adam's step by the gradient alone.

    Use it in place of adam wherever weights should decay: all decay at one pace, whatever their gradients are.
    """
    return torch.optim.AdamW(
        parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, fused=True
    )


@OPTIMIZERS.register
def rmsprop(
    parameters: _Parameters,
    *,
    lr: NonNegativeFloat,
    alpha: _Decay,
    eps: PositiveFloat,
    weight_decay: NonNegativeFloat,
    momentum: NonNegativeFloat,
    centered: bool,
) -> torch.optim.Optimizer:
    """Gradients over the root of their running mean square [Hinton 2012] (`torch.optim.RMSprop`).

    v ← alpha · v + (1 − alpha) · g², b ← momentum · b + g / (√v + eps), then w ← w − lr · b.

    Use it where gradients differ widely in size between weights, and to see what adam's momentum adds.
    """
    return torch.optim.RMSprop(
        parameters, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered
    )


@OPTIMIZERS.register
def adagrad(
    parameters: _Parameters,
    *,
    lr: NonNegativeFloat,
    lr_decay: NonNegativeFloat,
    weight_decay: NonNegativeFloat,
    initial_accumulator_value: NonNegativeFloat,
    eps: PositiveFloat,
) -> torch.optim.Optimizer:
    """Gradients over the root of their summed squares [Duchi 2011] (`torch.optim.Adagrad`, fused on the CPU).

    s ← s + g², then w ← w − lr / (1 + (t − 1) · lr_decay) · g / (√s + eps).

    Use it for inputs that are 0 most of the time; in long training its steps become too small to learn.
    """
    return torch.optim.Adagrad(
        parameters,
        lr=lr,
        lr_decay=lr_decay,
        weight_decay=weight_decay,
        initial_accumulator_value=initial_accumulator_value,
        eps=eps,
        fused=parameters[0].device.type == "cpu",
    )


@OPTIMIZERS.register
def nadam(
    parameters: _Parameters,
    *,
    lr: NonNegativeFloat,
    betas: _Betas,
    eps: NonNegativeFloat,
    weight_decay: NonNegativeFloat,
    momentum_decay: NonNegativeFloat,
    decoupled_weight_decay: bool,
) -> torch.optim.Optimizer:
    """Adam with Nesterov's momentum [Dozat 2016] (`torch.optim.NAdam`).

    Adam's step with m̂ = μₜ₊₁m / (1 − μ₁…μₜ₊₁) + (1 − μₜ)g / (1 − μ₁…μₜ), μₜ = β₁(1 − 0.5 · 0.96^(t · momentum_decay)).

    Use it where adam suits and its momentum should look one step ahead; compare at the same rate, not the default.
    """
    return torch.optim.NAdam(
        parameters,
        lr=lr,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        momentum_decay=momentum_decay,
        decoupled_weight_decay=decoupled_weight_decay,
    )


@OPTIMIZERS.register
def radam(
    parameters: _Parameters,
    *,
    lr: NonNegativeFloat,
    betas: _Betas,
    eps: NonNegativeFloat,
    weight_decay: NonNegativeFloat,
    decoupled_weight_decay: bool,
) -> torch.optim.Optimizer:
    """Adam whose first steps are rectified, without a warm-up [Liu 2020] (`torch.optim.RAdam`).

    w ← w − lr · m̂ while ρ = ρ∞ − 2tβ₂ᵗ / (1 − β₂ᵗ) ≤ 5, ρ∞ = 2 / (1 − β₂) − 1; from then on adam's step times
    √((ρ − 4)(ρ − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρ)): short at first, and as long as adam's in the end.

    Use it where adam is unsteady in its first steps and no warm-up is wanted.
    """
    return torch.optim.RAdam(
        parameters,
        lr=lr,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        decoupled_weight_decay=decoupled_weight_decay,
    )


@OPTIMIZERS.register
def adamax(
    parameters: _Parameters,
    *,
    lr: NonNegativeFloat,
    betas: _Betas,
    eps: PositiveFloat,
    weight_decay: NonNegativeFloat,
) -> torch.optim.Optimizer:
    """Adam by the infinity norm [Kingma & Ba 2015] (`torch.optim.Adamax`).

    m ← β₁m + (1 − β₁)g, u ← max(β₂u, |g| + eps), then w ← w − lr / (1 − β₁ᵗ) · m / u.

    Use it where single large gradients should shorten adam's steps at once, and for longer.
    """
    return torch.optim.Adamax(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


@OPTIMIZERS.register
def adadelta(
    parameters: _Parameters,
    *,
    lr: NonNegativeFloat,
    rho: _Decay,
    eps: PositiveFloat,
    weight_decay: NonNegativeFloat,
) -> torch.optim.Optimizer:
    """Gradients in units of the weights' own running change [Zeiler 2012] (`torch.optim.Adadelta`).

    v ← rho · v + (1 − rho) · g², d = √(u + eps) / √(v + eps) · g, u ← rho · u + (1 − rho) · d², then w ← w − lr · d.

    Use it without a search for the rate: at 1, the default, it is the published rule, which has no rate.
    """
    return torch.optim.Adadelta(parameters, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay)


@OPTIMIZERS.register
def asgd(
    parameters: _Parameters,
    *,
    lr: NonNegativeFloat,
    lambd: NonNegativeFloat,
    alpha: NonNegativeFloat,
    t0: NonNegativeFloat,
    weight_decay: NonNegativeFloat,
) -> torch.optim.Optimizer:
    """SGD with a decaying rate, as for averaging [Polyak & Juditsky 1992] (`torch.optim.ASGD`).

    w ← (1 − lambd · η)w − η · g with η = lr / (1 + lambd · lr · (t − 1))^alpha.

    As in torch, the weights trained and evaluated are the last ones; their average is kept beside them.

    Use it for SGD whose rate decays with every step; not for averaged weights, which are not evaluated.
    """
    return torch.optim.ASGD(parameters, lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay)


@OPTIMIZERS.register
def rprop(
    parameters: _Parameters,
    *,
    lr: NonNegativeFloat,
    etas: tuple[Annotated[float, Field(gt=0, lt=1)], Annotated[float, Field(gt=1)]],
    step_sizes: tuple[NonNegativeFloat, NonNegativeFloat],
) -> torch.optim.Optimizer:
    """Steps by the gradient's sign alone, longer while it stays [Riedmiller & Braun 1993] (`torch.optim.Rprop`).

    w ← w − d · sign(g), where d, of each weight, is multiplied by the second of etas while the sign of g stays, and by
    the first one after a change, when the weight rests for a step.

    It is made for gradients of all images at once: small batches change signs by chance. `lr` is the first step's
    length, so that a schedule changes nothing later.

    Use it only with a `batch_size` as large as the training set.
    """
    return torch.optim.Rprop(parameters, lr=lr, etas=etas, step_sizes=step_sizes)


@OPTIMIZERS.register
def lbfgs(
    parameters: _Parameters,
    *,
    lr: NonNegativeFloat,
    max_iter: PositiveInt,
    max_eval: PositiveInt | None,
    tolerance_grad: NonNegativeFloat,
    tolerance_change: NonNegativeFloat,
    history_size: PositiveInt,
    line_search_fn: Literal["strong_wolfe"] | None,
) -> torch.optim.Optimizer:
    """Quasi-Newton steps from a history of gradients [Liu & Nocedal 1989] (`torch.optim.LBFGS`).

    w ← w − lr · H · g, where H is the inverse of the loss's curvature as the last history_size steps show it; the line
    search tries other lengths than lr.

    It evaluates a batch up to max_eval times (1.25 max_iter by default) in each step; large batches suit it.

    Use it for small networks and few images, in batches as large as memory allows.
    """
    return LBFGS(
        parameters,
        lr=lr,
        max_iter=max_iter,
        max_eval=max_eval,
        tolerance_grad=tolerance_grad,
        tolerance_change=tolerance_change,
        history_size=history_size,
        line_search_fn=line_search_fn,
    )


@OPTIMIZERS.register
def sparse_adam(
    parameters: _Parameters, *, lr: PositiveFloat, betas: _Betas, eps: PositiveFloat
) -> torch.optim.Optimizer:
    """Adam that leaves weights without a gradient, and their moments, as they are (`torch.optim.SparseAdam`).

    Adam's formulas where g is not 0, with eps added to √v: w ← w − lr · √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + eps).

    Use it where many gradients are exactly 0: with `data.scaling=unit`, those of pixels black throughout a batch.
    """
    return SparseAdam(parameters, lr=lr, betas=betas, eps=eps)


@OPTIMIZERS.register
def adafactor(
    parameters: _Parameters,
    *,
    lr: NonNegativeFloat,
    beta2_decay: Annotated[float, Field(le=0)],
    eps1: PositiveFloat | None,
    eps2: PositiveFloat,
    d: Annotated[float, Field(ge=1)],
    weight_decay: NonNegativeFloat,
) -> torch.optim.Optimizer:
    """Adam with second moments kept by row and column [Shazeer & Stern 2018] (`torch.optim.Adafactor`).

    w ← w − max(eps2, rms(w)) · min(lr, 1 / √t) · u / max(1, rms(u) / d), where rms is the root mean square of a matrix
    and u = g / √v; v is the product of the running mean squares of g's rows and columns, over their mean.

    Use it where a second moment for each weight takes too much memory, as it never does in networks this small.
    """
    return torch.optim.Adafactor(
        parameters, lr=lr, beta2_decay=beta2_decay, eps=(eps1, eps2), d=d, weight_decay=weight_decay
    )


@OPTIMIZERS.register
def muon(
    parameters: _Parameters,
    *,
    lr: NonNegativeFloat,
    weight_decay: NonNegativeFloat,
    momentum: _Decay,
    nesterov: bool,
    ns_coefficients: _Coefficients,
    ns_steps: Annotated[int, Field(ge=1, lt=100)],
    eps: PositiveFloat,
    adjust_lr_fn: Literal["original", "match_rms_adamw"],
    adamw_lr_ratio: NonNegativeFloat,
    adamw_betas: _Betas,
    adamw_eps: PositiveFloat,
) -> torch.optim.Optimizer:
    """Orthogonalized momentum for hidden matrices, AdamW for the rest [Jordan 2024] (`torch.optim.Muon`).

    m ← momentum · m + (1 − momentum) · g, then w ← w − lr · s · O, where O is m (with nesterov, momentum · m +
    (1 − momentum) · g) made nearly orthogonal by the Newton-Schulz iteration X ← aX + b(XXᵀ)X + c(XXᵀ)²X, and the size
    s is 0.2 √max(rows, columns), or √max(1, rows / columns) with adjust_lr_fn=original.

    Hidden matrices are the weights of dense layers, except the network's first and last layer, as in the author's text.
    Those two, filters, biases and norm parameters train by AdamW at adamw_lr_ratio times the rate.

    Use it for deep dense networks, where most weights are in hidden matrices.

    Raises:
        UserError: there are no hidden matrices.
    """
    hidden = [parameter for parameter in parameters[1:] if parameter.ndim == 2][:-1]
    if not hidden:
        raise UserError("optimizer=muon: needs a dense layer between the first layer and the last, as two hidden ones")
    chosen = {id(parameter) for parameter in hidden}
    rest = [parameter for parameter in parameters if id(parameter) not in chosen]
    return MuonWithAdamW(
        torch.optim.Muon(
            hidden,
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            nesterov=nesterov,
            ns_coefficients=ns_coefficients,
            eps=eps,
            ns_steps=ns_steps,
            adjust_lr_fn=adjust_lr_fn,
        ),
        torch.optim.AdamW(rest, lr=lr, betas=adamw_betas, eps=adamw_eps, weight_decay=weight_decay, fused=True),
        adamw_lr_ratio,
    )
