"""Initial weights. Each function fills the weight tensor of one layer from the given generator."""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Generator, Tensor, nn

from regbench.errors import UserError
from regbench.rng import Stream, generator
from regbench.techniques.layers import weighted_layers
from regbench.techniques.registry import Option, Registry

Distribution = Literal["normal", "uniform"]
Value = Annotated[float, Field(ge=-1e6, le=1e6)]  # of a weight; float32 overflows far beyond
PositiveStd = Annotated[float, Field(gt=0, le=1e6)]
Std = Annotated[float, Field(ge=0, le=1e6)]
Gain = PositiveFloat | None  # None follows the activation

INITS: Registry[Callable[..., None]] = Registry("init")


def fans(weight: Tensor) -> tuple[int, int]:
    """Fan-in and fan-out of a dense weight [out, in] or a filter [out, in, height, width]."""
    return weight[0].numel(), weight.shape[0] * weight[0, 0].numel()


def fill(weight: Tensor, rng: Generator, std: float, distribution: Distribution) -> None:
    """Zero-mean draws with the given standard deviation; a uniform's bound is √3 times it."""
    if distribution == "normal":
        nn.init.normal_(weight, 0.0, std, generator=rng)
    else:
        nn.init.uniform_(weight, -math.sqrt(3) * std, math.sqrt(3) * std, generator=rng)


@INITS.register
def default(weight: Tensor, rng: Generator) -> None:
    """What torch's layers do by themselves: uniform within ±1/√fan_in (`torch.nn.Linear`, `Conv2d`)."""
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=rng)


@INITS.register
def constant(weight: Tensor, rng: Generator, *, value: Value) -> None:
    """One value everywhere: shows why symmetry must be broken."""
    del rng
    nn.init.constant_(weight, value)


@INITS.register
def uniform(weight: Tensor, rng: Generator, *, a: Value, b: Value) -> None:
    """Uniform on [a, b).

    Raises:
        UserError: a is above b.
    """
    if a > b:
        raise UserError(f"init.a={a}: must be at most init.b={b}")
    nn.init.uniform_(weight, a, b, generator=rng)


@INITS.register
def normal(weight: Tensor, rng: Generator, *, mean: Value, std: Std) -> None:
    """Normal with the given mean and standard deviation."""
    nn.init.normal_(weight, mean, std, generator=rng)


INITS["small_normal"] = normal  # the same draw under the name of its habit: a standard deviation of 0.02


@INITS.register
def truncated_normal(weight: Tensor, rng: Generator, *, mean: Value, std: PositiveStd, a: Value, b: Value) -> None:
    """Normal, cut off to [a, b] (`torch.nn.init.trunc_normal_`).

    Raises:
        UserError: a is not below b, or the mean so far outside of them that torch's draws come out wrong.
    """
    if a >= b:
        raise UserError(f"init.a={a}: must be below init.b={b}")
    if not a - 2 * std <= mean <= b + 2 * std:
        raise UserError(f"init.mean={mean}: must be in [{a - 2 * std:g}, {b + 2 * std:g}], two init.std around a to b")
    a, b = max(a, mean - 10 * std), min(b, mean + 10 * std)  # torch draws evenly over [a, b] and rejects
    nn.init.trunc_normal_(weight, mean, std, a, b, generator=rng)


@INITS.register
def sparse(weight: Tensor, rng: Generator, *, sparsity: Annotated[float, Field(ge=0, le=1)], std: Std) -> None:
    """Normal, with ⌈sparsity · rows⌉ zeros in each column, filters seen as [out, in · h · w] [Martens 2010]."""
    nn.init.normal_(weight, 0.0, std, generator=rng)
    columns = weight.flatten(1)
    zeros = math.ceil(sparsity * len(columns))
    ranks = torch.rand(columns.shape, generator=rng).argsort(dim=0).argsort(dim=0)
    columns[ranks < zeros] = 0.0


@INITS.register
def xavier(weight: Tensor, rng: Generator, *, distribution: Distribution, gain: Gain) -> None:
    """Std = gain · √(2 / (fan_in + fan_out)) [Glorot & Bengio 2010]."""
    fill(weight, rng, (gain or 1.0) * math.sqrt(2 / sum(fans(weight))), distribution)


@INITS.register
def kaiming(
    weight: Tensor, rng: Generator, *, distribution: Distribution, mode: Literal["fan_in", "fan_out"], gain: Gain
) -> None:
    """Std = gain / √fan [He 2015]."""
    fan_in, fan_out = fans(weight)
    fill(weight, rng, (gain or 1.0) / math.sqrt(fan_in if mode == "fan_in" else fan_out), distribution)


@INITS.register
def orthogonal(weight: Tensor, rng: Generator, *, gain: Gain) -> None:
    """Semi-orthogonal rows or columns by QR, filters seen as [out, in · h · w] [Saxe 2014]."""
    nn.init.orthogonal_(weight, gain or 1.0, generator=rng)


@INITS.register
def lecun(weight: Tensor, rng: Generator, *, distribution: Distribution) -> None:
    """Variance 1 / fan_in [LeCun 1998]."""
    fill(weight, rng, 1 / math.sqrt(fans(weight)[0]), distribution)


def activation_gain(activation: Option) -> float:
    """The factor that keeps variance through an activation (`torch.nn.init.calculate_gain`)."""
    return float(nn.init.calculate_gain(activation.name, activation.args.get("negative_slope")))  # type: ignore[arg-type]


@INITS.shared
def initialize(model: nn.Module, option: Option, activation: Option, seed: int, *, bias: Value | None) -> None:
    """Draw every dense and convolutional layer anew; a null `bias` draws it as torch does, within ±1/√fan_in.

    Layer i draws from part i of the seed's stream, so that a layer of one shape starts alike in every architecture.
    A null `gain` follows the activation. Norm layers keep their own start, 1 and 0.
    """
    args: dict[str, Any] = {key: value for key, value in option.args.items() if key != "bias"}
    if "gain" in args:
        args["gain"] = args["gain"] or activation_gain(activation)
    for index, layer in enumerate(weighted_layers(model)):
        rng = generator(seed, Stream.INIT, index)
        with torch.no_grad():
            INITS[option.name](layer.weight, rng, **args)
            assert layer.bias is not None
            if bias is None:
                fill(layer.bias, rng, 1 / math.sqrt(3 * fans(layer.weight)[0]), "uniform")
            else:
                layer.bias.fill_(bias)
