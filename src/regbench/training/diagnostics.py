"""What each layer does at the end of an epoch: its features, gradient and weights, and how far a step moves them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from regbench.records.rows import LayerFigures
from regbench.techniques.clip import total_norm
from regbench.training.network import lift

IMAGES = 100  # that are looked at: the work of one step for each epoch
NEAR_ZERO = 1e-3
FLAT = 0.05  # a unit whose slope is below this share of the greatest possible slope is saturated

# The slope of a bounded activation at its output y, as a share of the greatest slope: f'(x) / f'(0).
SLOPES: dict[type, Callable[[Tensor], Tensor]] = {
    nn.Sigmoid: lambda y: 4 * y * (1 - y),
    nn.Tanh: lambda y: 1 - y.square(),
}


@dataclass(frozen=True)
class Observation:
    """What is known of K runs after an epoch: tensors [K, ...] by their names in a model."""

    outputs: Mapping[str, Tensor]  # of each module, [K, samples, ...]
    gradients: Mapping[str, Tensor]  # of each parameter
    weights: Mapping[str, Tensor]  # as they are
    before: Mapping[str, Tensor]  # weights of the affine layers before the last step


def diagnose(model: nn.Sequential, observation: Observation, epoch: int) -> list[list[LayerFigures]]:
    """Each run's rows of layers.csv, from input to output. Waits for the device once."""
    runs = len(next(iter(observation.outputs.values())))
    columns = {}
    for name, block in model.named_children():
        if list(block.parameters()):
            of_run = partial(_figures, type(getattr(block, "activation", None)))
            gradients = [observation.gradients[f"{name}.{key}"] for key, _ in block.named_parameters()]
            columns[name] = lift(of_run, runs)(observed(name, block, observation), gradients)
    cells = [(name, column) for name, of_layer in columns.items() for column in of_layer]
    table: list[list[float]] = torch.stack([columns[name][column] for name, column in cells], dim=1).tolist()
    return [list(_rows(epoch, dict(zip(cells, values, strict=True)))) for values in table]


def _rows(epoch: int, cells: Mapping[tuple[str, str], float]) -> Iterator[LayerFigures]:
    for name in dict.fromkeys(name for name, _ in cells):
        columns = {column: value for (layer, column), value in cells.items() if layer == name}
        yield LayerFigures(epoch, name, **columns)


def observed(name: str, block: nn.Module, observation: Observation) -> dict[str, Tensor]:
    """What is known of one layer: a block of `regbench.models.architectures.block`, or the output layer."""
    parts = [part for part, _ in block.named_children()]
    affine = f"{name}.affine" if parts else name
    input_of_norm = f"{name}.{parts[parts.index('norm') - 1]}" if "norm" in parts else affine
    known = {
        "features": observation.outputs[input_of_norm],
        "weight": observation.weights[f"{affine}.weight"],
        "weight_before": observation.before[f"{affine}.weight"],
        "gradient": observation.gradients[f"{affine}.weight"],
    }
    return known | {key: observation.outputs[f"{name}.{key}"] for key in ("norm", "activation") if key in parts}


def _figures(activation: type, layer: Mapping[str, Tensor], gradients: Sequence[Tensor]) -> dict[str, Tensor]:
    """The columns of one layer of one run that make sense for it, as scalars on the device."""
    columns = _moments("before", layer["features"])
    if "norm" in layer:
        columns |= _moments("after", layer["norm"])
    if issubclass(activation, nn.ReLU):
        columns["dead"] = dead(layer["activation"])
    if activation in SLOPES:
        columns["saturated"] = saturated(layer["activation"], SLOPES[activation])
    return {
        **columns,
        "grad_norm": total_norm(gradients, 2.0),
        "weight_norm": total_norm([layer["weight"]], 2.0),
        "near_zero": near_zero(layer["weight"]),
        "update_ratio": _update_ratio(layer["weight_before"], layer["weight"]),
    }


def _moments(name: str, features: Tensor) -> dict[str, Tensor]:
    """Mean and standard deviation (divisor n) of all values."""
    return {f"{name}_mean": features.mean(), f"{name}_std": features.std(correction=0)}


def dead(outputs: Tensor) -> Tensor:
    """The share of units, [samples, units, ...], whose output is 0 everywhere: no gradient reaches their weights."""
    return (outputs.transpose(0, 1).flatten(1) == 0).all(1).to(outputs.dtype).mean()


def saturated(outputs: Tensor, slope: Callable[[Tensor], Tensor]) -> Tensor:
    """The share of outputs where the activation is nearly flat, so that almost no gradient passes it."""
    return (slope(outputs) < FLAT).to(outputs.dtype).mean()


def near_zero(weight: Tensor) -> Tensor:
    """The share of weights with almost no effect; an l1 penalty makes many."""
    return (weight.abs() < NEAR_ZERO).to(weight.dtype).mean()


def _update_ratio(before: Tensor, after: Tensor) -> Tensor:
    """‖after − before‖ / ‖before‖; a common rule of thumb wants about 0.001 [Karpathy, CS231n]."""
    return total_norm([after - before], 2.0) / total_norm([before], 2.0)
