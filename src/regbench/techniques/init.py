"""Initial weights. Each function fills the weight tensor of one layer from the given generator."""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn

from regbench.config.registry import Option, Registry, Share
from regbench.errors import UserError
from regbench.rng import Stream, generator
from regbench.techniques.layers import weighted_layers

_Distribution = Literal["normal", "uniform"]
_Value = Annotated[float, Field(ge=-1e6, le=1e6)]  # of a weight; float32 overflows far beyond
_PositiveStd = Annotated[float, Field(gt=0, le=1e6)]
_Std = Annotated[float, Field(ge=0, le=1e6)]
_Several = Annotated[int, Field(ge=2)]  # images that a norm can average over
_Gain = PositiveFloat | None  # None follows the activation
_RBM_STD = 0.01  # of the weights that pre-training starts from [Hinton 2010, section 8]

INITS: Registry[Callable[..., None]] = Registry("init")


def _fans(weight: Tensor) -> tuple[int, int]:
    """Fan-in and fan-out of a dense weight [out, in] or a filter [out, in, height, width]."""
    return weight[0].numel(), weight.shape[0] * weight[0, 0].numel()


def _fill(weight: Tensor, rng: Generator, std: float, distribution: _Distribution) -> None:
    """Zero-mean draws with the given standard deviation; a uniform's bound is √3 times it."""
    if distribution == "normal":
        nn.init.normal_(weight, 0.0, std, generator=rng)
    else:
        nn.init.uniform_(weight, -math.sqrt(3) * std, math.sqrt(3) * std, generator=rng)


@INITS.register
def default(weight: Tensor, rng: Generator) -> None:
    """What torch's layers do by themselves: uniform within ±1/√fan_in (`torch.nn.Linear`, `Conv2d`).

    Use it to compare with networks whose authors left torch's start alone.
    """
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=rng)


@INITS.register
def constant(weight: Tensor, rng: Generator, *, value: _Value) -> None:
    """One value everywhere (`torch.nn.init.constant_`).

    Use it to see why symmetry must be broken: all units of a layer stay alike.
    """
    del rng
    nn.init.constant_(weight, value)


@INITS.register
def uniform(weight: Tensor, rng: Generator, *, a: _Value, b: _Value) -> None:
    """Uniform on [a, b) (`torch.nn.init.uniform_`).

    Use it where the range matters and the width of the layers does not.

    Raises:
        UserError: a is above b.
    """
    if a > b:
        raise UserError(f"init.a={a}: must be at most init.b={b}")
    nn.init.uniform_(weight, a, b, generator=rng)


@INITS.register
def normal(weight: Tensor, rng: Generator, *, mean: _Value, std: _Std) -> None:
    """N(mean, std²) (`torch.nn.init.normal_`).

    Use it to see what a wrong scale does: with std 1 outputs and gradients are far too large.
    """
    nn.init.normal_(weight, mean, std, generator=rng)


@INITS.register
def small_normal(weight: Tensor, rng: Generator, *, mean: _Value, std: _Std) -> None:
    """N(mean, std²) with the habitual standard deviation of 0.02 [Radford 2016] (`torch.nn.init.normal_`).

    Use it for networks with a norm, which corrects the scale.
    """
    normal(weight, rng, mean=mean, std=std)


@INITS.register
def truncated_normal(weight: Tensor, rng: Generator, *, mean: _Value, std: _PositiveStd, a: _Value, b: _Value) -> None:
    """N(mean, std²), cut off to [a, b] (`torch.nn.init.trunc_normal_`).

    Use it in place of normal where no single weight should stand out.

    Raises:
        UserError: a is not below b, or the mean is so far outside of them that torch draws wrong values.
    """
    if a >= b:
        raise UserError(f"init.a={a}: must be below init.b={b}")
    if not a - 2 * std <= mean <= b + 2 * std:
        raise UserError(f"init.mean={mean}: must be in [{a - 2 * std:g}, {b + 2 * std:g}], two init.std around a to b")
    a, b = max(a, mean - 10 * std), min(b, mean + 10 * std)  # torch draws evenly over [a, b] and rejects
    nn.init.trunc_normal_(weight, mean, std, a, b, generator=rng)


@INITS.register
def sparse(weight: Tensor, rng: Generator, *, sparsity: Share, std: _Std) -> None:
    """Normal, with ⌈sparsity · rows⌉ zeros in each column, filters seen as [out, in · h · w] [Martens 2010].

    As `torch.nn.init.sparse_`, which takes dense weights only.

    Use it for wide layers, where a unit should not depend on a sum over all inputs.
    """
    nn.init.normal_(weight, 0.0, std, generator=rng)
    columns = weight.flatten(1)
    zeros = math.ceil(sparsity * len(columns))
    ranks = torch.rand(columns.shape, generator=rng).argsort(dim=0).argsort(dim=0)
    columns[ranks < zeros] = 0.0


@INITS.register
def xavier(weight: Tensor, rng: Generator, *, distribution: _Distribution, gain: _Gain) -> None:
    """Std = gain · √(2 / (fan_in + fan_out)), bound = √3 · std [Glorot & Bengio 2010] (`torch.nn.init.xavier_normal_`).

    Use it before activations that are straight around 0, tanh above all: features and gradients keep their size.
    """
    _fill(weight, rng, (gain or 1.0) * math.sqrt(2 / sum(_fans(weight))), distribution)


@INITS.register
def kaiming(
    weight: Tensor, rng: Generator, *, distribution: _Distribution, mode: Literal["fan_in", "fan_out"], gain: _Gain
) -> None:
    """Std = gain / √fan, bound = √3 · std [He 2015] (`torch.nn.init.kaiming_normal_`).

    Use it before relu and its relatives; fan_in keeps the size of features, fan_out that of gradients.
    """
    fan_in, fan_out = _fans(weight)
    _fill(weight, rng, (gain or 1.0) / math.sqrt(fan_in if mode == "fan_in" else fan_out), distribution)


@INITS.register
def orthogonal(weight: Tensor, rng: Generator, *, gain: _Gain) -> None:
    """Orthogonal rows or columns, times gain, by QR; filters seen as [out, in · h · w] [Saxe 2014].

    As `torch.nn.init.orthogonal_`.

    Use it for deep networks: a linear layer keeps lengths exactly, not only in the mean.
    """
    nn.init.orthogonal_(weight, gain or 1.0, generator=rng)


@INITS.register
def lecun(weight: Tensor, rng: Generator, *, distribution: _Distribution) -> None:
    """Variance 1 / fan_in [LeCun 1998].

    Use it with `activation=selu`, whose fixed point needs it, and before tanh.
    """
    _fill(weight, rng, 1 / math.sqrt(_fans(weight)[0]), distribution)


@INITS.register
def lsuv(weight: Tensor, rng: Generator, *, tol: PositiveFloat, max_iter: PositiveInt, batch_size: _Several) -> None:
    """Orthogonal; then each layer is divided by the standard deviation of its outputs [Mishkin & Matas 2016].

    From input to output, on a batch of training images, until the variance is 1 ± tol (`regbench.training.pretrain`).

    Use it for deep networks without a norm, and where no formula gives the gain of an activation.
    """
    del tol, max_iter, batch_size  # the second phase needs them
    orthogonal(weight, rng, gain=1.0)


@INITS.register
def rbm(
    weight: Tensor,
    rng: Generator,
    *,
    epochs: PositiveInt,
    lr: NonNegativeFloat,
    batch_size: PositiveInt,
    k: PositiveInt,
    momentum: Annotated[float, Field(ge=0, lt=1)],
    weight_decay: NonNegativeFloat,
) -> None:
    """N(0, 0.01²); then hidden layers are trained, one by one, as restricted Boltzmann machines [Hinton 2006].

    By contrastive divergence, CD-k, with the settings that Hinton's guide names [Hinton 2010]; then training follows
    as usual. Pixels are in [0, 1] whatever `data.scaling` is, and the first layer's weights are then converted to
    weights that do the same to scaled pixels. Convolutions have no such machine: a cnn is refused.

    Use it with `activation=sigmoid`, whose deep networks learn much faster from there; elsewhere it is history.
    """
    del epochs, lr, batch_size, k, momentum, weight_decay  # the second phase needs them
    nn.init.normal_(weight, 0.0, _RBM_STD, generator=rng)


def check_layers(option: Option, model: nn.Module) -> None:
    """Raise an error unless the option can start all layers of a model.

    Raises:
        UserError: rbm for a model with convolutions.
    """
    if option.name == "rbm" and any(isinstance(layer, nn.Conv2d) for layer in weighted_layers(model)):
        others = ", ".join(sorted(INITS.keys() - {"rbm"}))
        raise UserError(f"init=rbm: pre-trains dense layers, and cannot do so to convolutions. Allowed here: {others}")


@INITS.shared
def initialize(model: nn.Module, option: Option, gain: float, seed: int, *, bias: _Value | None) -> None:
    """Draw new values for every dense and convolutional layer; a null `bias` draws as torch does, within ±1/√fan_in.

    Layer i draws from part i of the seed's stream, so that layer i starts alike in all networks where its shape is the
    same.
    `gain`, that of the activation, stands in for a null `gain` of the option. Norm layers keep their start, 1 and 0.
    """
    args: dict[str, Any] = {key: value for key, value in option.args.items() if key != "bias"}
    if "gain" in args:
        args["gain"] = args["gain"] or gain
    for index, layer in enumerate(weighted_layers(model)):
        rng = generator(seed, Stream.INIT, index)
        with torch.no_grad():
            INITS[option.name](layer.weight, rng, **args)
            assert layer.bias is not None
            if bias is None:
                _fill(layer.bias, rng, 1 / math.sqrt(3 * _fans(layer.weight)[0]), "uniform")
            else:
                layer.bias.fill_(bias)
