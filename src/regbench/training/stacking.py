"""Which runs can train together as one model, how many at once, and why others cannot."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import psutil
import torch
from torch import nn

from regbench.config.run_config import RunConfig
from regbench.images import SIDE
from regbench.models.architectures import skeleton, weight_count
from regbench.text import plural, shown
from regbench.training.machine import shared

# What may differ from run to run within a stack: a key, or an axis with all of its arguments.
FREE = {"seed", "force", "init", "scheduler", "dropout", "dropout_conv", "clip_norm", "clip_value"}
FREE |= {"regularizer.strength", "regularizer.alpha", "label_smoothing", "max_norm", "augment", "data.label_noise"}
FREE |= {"runtime.study"}
# On a CPU each run has an optimizer of its own, elsewhere one moves them all (regbench.training.stack_optimizer).
FREE_OPTIMIZER = {"cpu": "optimizer"}

CLOSURE = "lbfgs"  # evaluates a batch as often as its run needs
# On a CPU the most runs of a model to a lane (regbench.training.lanes), one where nothing was measured: a cnn takes
# as long as alone, or longer, as its features leave the cache.
MOST_IN_LANE = {"mlp": 16, "cnn": 1}
# Of those in a lane as many train as one model as have so many weights together: with their gradients and what adam
# remembers, these stay in a core's caches. A step of each run in 2 lanes of 1, 2, 4, 8 mlps as one, one thread each,
# took with 25,000 weights 0.35, 0.20, 0.15, 0.13 ms, with 118,000 0.45, 0.39, 0.37, 0.38, with 269,000 0.61, 0.68,
# 0.67, 0.66; more than 8 gain nothing.
WEIGHTS_AS_ONE = 400_000
MEMORY_SHARE = 0.5  # of what is free; the rest is for what cannot be foreseen
WEIGHT_COPIES = 7  # weights, gradient, two of the optimizer, the chosen epoch's, those being clipped or saved
FEATURE_COPIES = 3  # features, their gradient, a mask


@dataclass(frozen=True)
class Group:
    """Runs that train as one model, by their places among those that were planned."""

    places: Sequence[int]
    shape: Mapping[str, Any]  # what they have in common


def groups(configs: Sequence[RunConfig], device: torch.device) -> list[Group]:
    """The stacks that so many runs train in, in the order of their first runs."""
    found: dict[tuple[Any, ...], list[int]] = {}
    shapes: dict[tuple[Any, ...], dict[str, Any]] = {}
    for place, config in enumerate(configs):
        shape = stack_shape(config, device)
        key = tuple((name, shown(value)) for name, value in shape.items())
        found.setdefault(key, []).append(place)
        shapes.setdefault(key, shape)
    sizes = {key: size(configs[places[0]], device) for key, places in found.items()}
    return [Group(part, shapes[key]) for key, places in found.items() for part in evenly(places, sizes[key])]


def stack_shape(config: RunConfig, device: torch.device) -> dict[str, Any]:
    """What has to be equal in all runs of a stack: every key of the config but those that may differ."""
    kind = "optimizer.lr" if config.optimizer.name == CLOSURE else FREE_OPTIMIZER.get(device.type, "optimizer.lr")
    free = FREE | {kind}
    kept: dict[str, Any] = {}
    for key, value in config.dump().items():
        entries = value.items() if isinstance(value, dict) else [("name", value)]
        for name, entry in entries:
            full = key if name == "name" else f"{key}.{name}"
            if not free & {key, full}:
                kept[full] = entry
    return kept


def size(config: RunConfig, device: torch.device) -> int:
    """How many runs like this one may train together."""
    if config.runtime.stack != "auto":
        return config.runtime.stack
    fitting = int(MEMORY_SHARE * free_memory(device) // run_memory(config))
    return max(1, min(fitting, shared(device).lanes * most_in_lane(config, device)))


def most_in_lane(config: RunConfig, device: torch.device) -> int:
    """How many runs like this one may train in one lane, side by side."""
    if config.optimizer.name == CLOSURE:
        return 1
    limited = device.type == "cpu" and config.runtime.stack == "auto"
    return MOST_IN_LANE.get(config.model.name, 1) if limited else sys.maxsize


def most_as_one(config: RunConfig, device: torch.device) -> int:
    """How many of the runs in a lane to train as one model."""
    if device.type != "cpu" or config.runtime.stack != "auto":
        return most_in_lane(config, device)
    return max(1, min(most_in_lane(config, device), WEIGHTS_AS_ONE // weight_count(skeleton(config))))


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had where the device keeps its tensors."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available


def run_memory(config: RunConfig) -> int:
    """Bytes that one run takes in training, roughly."""
    model = skeleton(config)
    features = 0

    def count(layer: nn.Module, _: Any, output: torch.Tensor) -> None:
        nonlocal features
        features += output[0].numel() * (not list(layer.children()))

    for layer in model.modules():
        layer.register_forward_hook(count)
    model.eval()(torch.empty(1, SIDE, SIDE, device="meta"))
    width = 8 if config.precision == "fp64" else 4
    return width * (WEIGHT_COPIES * weight_count(model) + config.batch_size * (SIDE * SIDE + FEATURE_COPIES * features))


def evenly(places: Sequence[int], most: int) -> list[Sequence[int]]:
    """The places in as few parts as hold at most so many, as equal as can be."""
    parts = -(-len(places) // most)
    ends = [len(places) * part // parts for part in range(parts + 1)]
    return [places[first:last] for first, last in pairwise(ends)]


def reasons(found: Sequence[Group], configs: Sequence[RunConfig], device: torch.device) -> list[str]:
    """Why there is more than one stack: a line for each key that has to be equal in one and is not, and for sizes."""
    lines = []
    for key in dict.fromkeys(key for group in found for key in group.shape):
        values = dict.fromkeys(shown(group.shape[key]) for group in found if key in group.shape)
        if len(values) > 1:
            lines.append(f"{key} differs: {', '.join(values)}")
    counts = Counter(str(group.shape) for group in found)
    several = [group for group in found if counts[str(group.shape)] > 1]
    lines += dict.fromkeys(_limit(configs[group.places[0]], device) for group in several)
    return lines


def _limit(config: RunConfig, device: torch.device) -> str:
    if config.runtime.stack != "auto":
        return f"runtime.stack={config.runtime.stack} is the most for a stack"
    most = f"at most {plural(size(config, device), 'run')}"
    if config.optimizer.name == CLOSURE:
        return f"optimizer={CLOSURE}: evaluates a batch as often as its run needs: {most} at a time, none as one model"
    if most_in_lane(config, device) == 1:
        return f"model={config.model.name}: takes longer as one model on a CPU: {most} at a time, each by itself"
    return f"model={config.model.name}: {most} to a stack on this machine"
