"""The models, each built for ONE run out of its techniques. Input: float32 images [samples, 28, 28]."""

from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from regbench.config.registry import Registry
from regbench.config.run_config import RunConfig
from regbench.data.datasets import class_count
from regbench.errors import UserError
from regbench.images import SIDE
from regbench.models.dense import Linear
from regbench.techniques.activation import ACTIVATIONS, activation_gain
from regbench.techniques.dropout import Dropout
from regbench.techniques.init import check_layers, initialize
from regbench.techniques.norm import NORMS, FeatureMapsNeededError, Shape, arranged, check_groups
from regbench.text import shown

_Width = Annotated[int, Field(ge=1, le=1_000_000)]
_NORM_LAYERS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.RMSNorm, nn.InstanceNorm2d, nn.GroupNorm)

MODELS: Registry[Callable[..., nn.Sequential]] = Registry("model")


@MODELS.register
def mlp(config: RunConfig, *, hidden: list[_Width]) -> nn.Sequential:
    """Dense layers 784 → hidden → 10.

    Use it for quick answers: an epoch takes about a second.
    """
    return _named(flatten=nn.Flatten(), **_dense_blocks([SIDE * SIDE, *hidden], config))


@MODELS.register
def cnn(
    config: RunConfig, *, channels: Annotated[list[_Width], Field(min_length=1)], dense: list[_Width]
) -> nn.Sequential:
    """3×3 convolutions with padding 1, halved by 2×2 max-pooling from the second on; then dense layers → 10.

    Use it where accuracy counts, and to see what a technique does to feature maps.

    Raises:
        UserError: more convolutions than pooling leaves pixels for.
    """
    pools = len(channels) - 1
    if not SIDE >> pools:
        most = SIDE.bit_length()
        raise UserError(
            f"model.channels={shown(channels)}: must be at most {most} widths: pooling halves {SIDE} pixels"
        )
    layers: dict[str, nn.Module] = {"channel": nn.Unflatten(1, (1, SIDE))}
    for index, (inputs, width) in enumerate(pairwise([1, *channels])):
        side = _side(index)
        pool = nn.MaxPool2d(2) if index else None
        layers[f"conv{index + 1}"] = _block(
            nn.Conv2d(inputs, width, 3, padding=1), (width, side, side), config, pool=pool
        )
    features = channels[-1] * (SIDE >> pools) ** 2
    return _named(**layers, flatten=nn.Flatten(), **_dense_blocks([features, *dense], config, after_maps=True))


def _side(index: int) -> int:
    """Return the height and width of the maps that a convolution, counted from 0, makes."""
    return SIDE >> max(index - 1, 0)


def _dense_blocks(widths: list[int], config: RunConfig, after_maps: bool = False) -> dict[str, nn.Module]:
    """A block for each hidden width, and the output layer, which has no techniques."""
    blocks: dict[str, nn.Module] = {
        f"dense{index}": _block(Linear(inputs, width), (width,), config, after_maps=after_maps)
        for index, (inputs, width) in enumerate(pairwise(widths), start=1)
    }
    return {**blocks, "output": Linear(widths[-1], class_count(config.data))}


def _block(
    affine: nn.Linear | nn.Conv2d,
    shape: Shape,
    config: RunConfig,
    pool: nn.Module | None = None,
    after_maps: bool = False,
) -> nn.Sequential:
    """Affine layer, norm and activation, pooling, dropout; `shape` is one sample's output of the affine layer.

    A technique that does nothing leaves no module behind: a plain network costs what a plain network costs.
    """
    activation = ACTIVATIONS[config.activation.name](**config.activation.args)
    norm = _norm_layer(shape, config, after_maps)
    layers: dict[str, nn.Module] = {"affine": affine, **arranged(norm, activation, config.norm_position)}
    if pool:
        layers["pool"] = pool
    if rate := config.dropout if len(shape) == 1 else config.conv_dropout:
        layers["dropout"] = Dropout(shape if len(shape) == 1 else (shape[0], 1, 1), rate)
    return _named(**layers)


def _norm_layer(shape: Shape, config: RunConfig, after_maps: bool) -> nn.Module | None:
    """The chosen norm; None for a norm of feature maps on the dense layers that follow convolutions."""
    try:
        return NORMS[config.norm.name](shape, **config.norm.args)
    except FeatureMapsNeededError:
        if after_maps:
            return None
        raise


def _hidden_shapes(config: RunConfig) -> list[Shape]:
    """Return the shapes of one sample's features after each hidden layer."""
    args = config.model.args
    maps: list[Shape] = [(width, _side(index), _side(index)) for index, width in enumerate(args.get("channels", []))]
    return maps + [(width,) for width in [*args.get("hidden", []), *args.get("dense", [])]]


def _named(**layers: nn.Module) -> nn.Sequential:
    """A sequence of named layers."""
    return nn.Sequential(OrderedDict(layers))


# Keys that change no layer of a model: a key that is not here may change one.
_CHANGES_NO_LAYER = {"seed", "force", "runtime", "init", "optimizer", "scheduler", "regularizer", "augment", "epochs"}
_SKELETONS_KEPT = 32


@dataclass(frozen=True)
class _Blueprint:
    """A config as far as it decides the layers of a model."""

    key: str
    config: RunConfig = field(compare=False)


def skeleton(config: RunConfig) -> nn.Sequential:
    """The model without memory for its parameters. All runs of its shape share it: copy it to change something.

    Raises:
        UserError: techniques that do not fit the model.
    """
    values = config.model_dump_json(exclude=_CHANGES_NO_LAYER | {"dropout_conv"})
    model = _skeleton(_Blueprint(f"{config.conv_dropout} {values}", config))
    check_layers(config.init, model)
    return model


@lru_cache(_SKELETONS_KEPT)
def _skeleton(blueprint: _Blueprint) -> nn.Sequential:
    config = blueprint.config
    if config.norm.name == "group":
        check_groups(
            config.norm.args["groups"], _hidden_shapes(config)
        )  # all layers at once: the error names what fits all of them
    with torch.device("meta"):
        return MODELS[config.model.name](config, **config.model.args)


def build(config: RunConfig) -> nn.Sequential:
    """Make the model with its initial weights, on the CPU.

    It starts from the skeleton: torch's layers would otherwise draw from the global generator.

    Raises:
        UserError: techniques that do not fit the model.
    """
    model = with_memory(skeleton(config))
    for module in model.modules():
        if isinstance(module, _NORM_LAYERS):
            module.reset_parameters()
    gain = activation_gain(config.activation)
    initialize(model, config.init, gain, config.seed, bias=config.init.args["bias"])
    return model


def with_memory(skeleton: nn.Sequential, device: str = "cpu") -> nn.Sequential:
    """Copy a model to a device; its tensors hold anything.

    `to_empty` does the same, but imports sympy to find the strides of a tensor without memory: 0.5 s.
    """
    model = deepcopy(skeleton)
    model._apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype, device=device))
    return model


def weight_count(model: nn.Module) -> int:
    """How many weights a model has."""
    return sum(parameter.numel() for parameter in model.parameters())
