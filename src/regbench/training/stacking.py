"""Which runs can train together as one model, how many at once, and why the others cannot."""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import psutil
import torch

from regbench.config.run_config import RunConfig
from regbench.images import SIDE
from regbench.models.architectures import skeleton, weight_count
from regbench.models.sizes import sizes
from regbench.text import plural, shown
from regbench.training.machine import shared

# What may differ from run to run within a stack: a key, or an axis with all its arguments.
_FREE = {"seed", "force", "init", "scheduler", "dropout", "dropout_conv", "clip_norm", "clip_value"}
_FREE |= {"regularizer.strength", "regularizer.alpha", "label_smoothing", "max_norm", "augment", "data.label_noise"}
_FREE |= {"runtime.study"}
# On a CPU each run has an optimizer, elsewhere one moves them all (regbench.training.stack_optimizer).
_FREE_OPTIMIZER = {"cpu": "optimizer"}

CLOSURE = "lbfgs"  # evaluates a batch as often as its run needs
# The most runs of a model to a lane on a CPU (regbench.training.lanes), one where nothing was measured: a cnn takes
# as long as alone, or longer, as its features leave the cache.
MOST_IN_LANE = {"mlp": 16, "cnn": 1}
# Runs of a lane train as one model while they have at most this many weights together: the lanes of a process share
# Python's lock, and wait for it less often then. On 2 cores of an AMD Zen 3, in 2 lanes of one thread, a step of each
# run, with 1, 2, 4 and 8 mlps as one, took 0.78, 0.44, 0.31, 0.32 ms for 25,000 weights, 1.52, 1.07, 0.98, 0.83 for
# 118,000, 2.11, 1.66, 1.58, 1.61 for 269,000, 6.35, 6.82, 6.42 for a million (1, 2 and 4). On another machine an older
# version took 0.61, 0.68, 0.67, 0.66 for 269,000: there it costs a tenth.
_WEIGHTS_AS_ONE = 1_200_000
MEMORY_SHARE = 0.5  # of what is free; the rest is for what cannot be foreseen
_WEIGHT_COPIES = 7  # weights, gradient, two of the optimizer, the chosen epoch's, those being clipped or saved
_FEATURE_COPIES = 3  # features, their gradient, a mask


@dataclass(frozen=True)
class Group:
    """Runs that train as one model, by their places among the planned runs."""

    places: Sequence[int]
    shape: Mapping[str, Any]  # what they have in common


def groups(configs: Sequence[RunConfig], device: torch.device, whole: bool = False) -> list[Group]:
    """Group the runs into stacks, in the order of their first runs; `whole`: of any size, one to each shape."""
    alike: dict[tuple[Any, ...], list[int]] = {}
    shapes: dict[tuple[Any, ...], dict[str, Any]] = {}
    keys: dict[str, tuple[Any, ...]] = {}  # by shapes in full: most runs have that of another
    for place, config in enumerate(configs):
        shape = _stack_shape(config, device)
        written = json.dumps(shape)
        if written not in keys:
            keys[written] = tuple((name, shown(value)) for name, value in shape.items())
        key = keys[written]
        alike.setdefault(key, []).append(place)
        shapes.setdefault(key, shape)
    sizes = {key: len(places) if whole else size(configs[places[0]], device) for key, places in alike.items()}
    return [Group(part, shapes[key]) for key, places in alike.items() for part in evenly(places, sizes[key])]


def _stack_shape(config: RunConfig, device: torch.device) -> dict[str, Any]:
    """What must be equal in all runs of a stack: every key of the config except those that may differ."""
    kind = "optimizer.lr" if config.optimizer.name == CLOSURE else _FREE_OPTIMIZER.get(device.type, "optimizer.lr")
    free = _FREE | {kind}
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
    return max(1, min(fitting, shared(config, device).lanes * most_in_lane(config, device)))


def most_in_lane(config: RunConfig, device: torch.device) -> int:
    """How many runs like this one may train in one lane, side by side."""
    if config.optimizer.name == CLOSURE:
        return 1
    limited = device.type == "cpu" and config.runtime.stack == "auto"
    return MOST_IN_LANE.get(config.model.name, 1) if limited else sys.maxsize


def most_as_one(config: RunConfig, device: torch.device) -> int:
    """How many runs of a lane may train as one model."""
    if device.type != "cpu" or config.runtime.stack != "auto":
        return most_in_lane(config, device)
    return max(1, min(most_in_lane(config, device), _WEIGHTS_AS_ONE // weight_count(skeleton(config))))


def free_memory(device: torch.device) -> int:
    """Free bytes where the device keeps its tensors; no limit is known of a GPU of another machine."""
    if device.type == "cuda" and not torch.cuda.is_available():
        return sys.maxsize
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available


def run_memory(config: RunConfig) -> int:
    """Estimate the bytes that one run takes in training."""
    model = skeleton(config)
    width = 8 if config.precision == "fp64" else 4
    per_image = SIDE * SIDE + _FEATURE_COPIES * sizes(model).features
    return width * (_WEIGHT_COPIES * weight_count(model) + config.batch_size * per_image)


def evenly(places: Sequence[int], most: int) -> list[Sequence[int]]:
    """Divide the places into as few parts of at most `most` as possible, as equal in size as possible."""
    parts = -(-len(places) // most)
    ends = [len(places) * part // parts for part in range(parts + 1)]
    return [places[first:last] for first, last in pairwise(ends)]


def reasons(stacks: Sequence[Group], configs: Sequence[RunConfig], device: torch.device) -> list[str]:
    """Why there is more than one stack: a line for each key that differs between stacks, and for sizes."""
    lines = []
    for key in dict.fromkeys(key for stack in stacks for key in stack.shape):
        values = dict.fromkeys(shown(stack.shape[key]) for stack in stacks if key in stack.shape)
        if len(values) > 1:
            lines.append(f"{key} differs: {', '.join(values)}")
    counts = Counter(str(stack.shape) for stack in stacks)
    several = [stack for stack in stacks if counts[str(stack.shape)] > 1]
    lines += dict.fromkeys(_limit(configs[stack.places[0]], device) for stack in several)
    return lines


def _limit(config: RunConfig, device: torch.device) -> str:
    if config.runtime.stack != "auto":
        return f"runtime.stack={config.runtime.stack} is the most for a stack"
    most = f"at most {plural(size(config, device), 'run')}"
    if config.optimizer.name == CLOSURE:
        return f"optimizer={CLOSURE}: evaluates a batch as often as its run needs: {most} at a time, none as one model"
    if most_in_lane(config, device) == 1:
        return f"{config.model.name} runs train separately, {most} at a time: stacking them is slower on a CPU"
    return f"model={config.model.name}: {most} to a stack on this machine"
