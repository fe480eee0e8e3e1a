"""Check before a run begins whether techniques, data and machine fit the config and one another."""

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError

from regbench.config.registry import Registry
from regbench.config.run_config import RunConfig
from regbench.config.wording import wrong_value
from regbench.data.datasets import DATASETS, cache_dir, is_here
from regbench.data.split import training_size
from regbench.errors import UserError, no_such
from regbench.experiment.first_step import check_schedule, check_step
from regbench.experiment.resolving import Composed, resolved
from regbench.models.architectures import MODELS, skeleton
from regbench.records.run_status import check_names
from regbench.techniques.activation import ACTIVATIONS
from regbench.techniques.augment import AUGMENTS
from regbench.techniques.init import INITS
from regbench.techniques.norm import NORMS
from regbench.techniques.optimizer import OPTIMIZERS, has_momentum
from regbench.techniques.regularizer import REGULARIZERS
from regbench.techniques.scheduler import SCHEDULERS
from regbench.text import shown
from regbench.training.machine import find_device


def check_techniques(config: RunConfig) -> None:
    """Try everything that could refuse the config, at the cost of a few tiny tensors.

    Raises:
        UserError: techniques that do not fit the model or one another.
    """
    model = skeleton(config)
    arguments = {key: value for key, value in config.init.args.items() if key != "bias"}
    INITS[config.init.name](torch.zeros(2, 2), torch.Generator(), **arguments)
    OPTIMIZERS[config.optimizer.name](list(model.parameters()), **config.optimizer.args)
    check_schedule(config)
    check_step(config)
    if config.scheduler.args.get("cycle_momentum") and not has_momentum(config.optimizer):
        raise UserError(
            f"scheduler.cycle_momentum=true: optimizer={config.optimizer.name} has no momentum and no betas: "
            "set scheduler.cycle_momentum=null"
        )


def check_machine(config: RunConfig, download: bool = True) -> torch.device:
    """The device to train on. Reads the data, or downloads them; what needs absent data is not checked without.

    Raises:
        UserError: there is no such device; no such data, or too few of them.
    """
    cache = cache_dir(config.runtime.cache)
    if download or is_here(config.data.name, cache):
        _check_batches(config, training_size(config.data, cache))
    device = find_device(config)
    _check_precision(config, device)
    return device


def _check_precision(config: RunConfig, device: torch.device) -> None:
    """Raise unless the device has the precision.

    Raises:
        UserError: tf32 without CUDA.
    """
    if config.precision == "tf32" and device.type != "cuda":
        raise UserError(f"precision=tf32: needs a CUDA device, not {device}. Allowed here: fp32, fp64, bf16")


def _check_batches(config: RunConfig, count: int) -> None:
    """Raise unless every batch of `count` training images can be trained on.

    Raises:
        UserError: drop_last leaves no batch; batch norm would get a batch of one image.
    """
    size = config.batch_size
    if config.drop_last and size > count:
        raise UserError(f"batch_size={size}: must be at most {count}, the training images, with drop_last=true")
    single = size == 1 or (count % size == 1 and not config.drop_last)
    if single and any(isinstance(layer, torch.nn.BatchNorm1d) for layer in skeleton(config).modules()):
        raise UserError(
            f"batch_size={size}: must leave no batch of one of {count} images, which norm=batch cannot train on: "
            "set drop_last=true or another batch_size"
        )


def warnings(config: RunConfig) -> list[str]:
    """Name what is allowed but may be a mistake."""
    decay = config.optimizer.args.get("weight_decay", 0.0)
    if config.regularizer.name in ("l2", "elastic_net") and decay:
        both = f"regularizer={config.regularizer.name} and optimizer.weight_decay={shown(decay)}"
        return [f"{both}: both shrink the weights"]
    return []


def registries() -> dict[str, Registry[Any]]:
    """Each axis's registry, by the axis."""
    registries: tuple[Registry[Any], ...] = (
        MODELS,
        NORMS,
        ACTIVATIONS,
        INITS,
        REGULARIZERS,
        OPTIMIZERS,
        SCHEDULERS,
        DATASETS,
        AUGMENTS,
    )
    return {registry.axis: registry for registry in registries}


def _no_option(axis: str, node: Any, registry: Registry[Any]) -> str:
    """Say what stands in the place of an option's values."""
    if isinstance(node, str) and node in registry:
        return f"{axis}={node}: in YAML an option is chosen among the defaults: - override /{axis}: {node}"
    if isinstance(node, list):
        return f"{axis}: the file of an option must hold lines of KEY: VALUE"
    return f"{axis}={shown(node)}: {no_such('option', shown(node), repr(axis), registry)}"


def check(composed: Mapping[str, Any]) -> RunConfig:
    """Turn a composed config into a checked one.

    Raises:
        UserError: a key or option that does not exist, a wrong type, a value out of range.
    """
    values = dict(composed)
    for axis, registry in registries().items():
        node = values.get(axis)
        if not isinstance(node, Mapping):
            raise UserError(_no_option(axis, node, registry))
        values[axis] = registry.check(node)
    try:
        config = RunConfig.model_validate(values)
    except ValidationError as error:
        raise wrong_value(error, RunConfig) from None
    check_names(config)
    return config


def checked(composed: Composed) -> RunConfig:
    """Turn what Hydra composed, without its hydra node, into a checked config.

    Raises:
        UserError: a key or option that does not exist, a wrong type, a value out of range.
        OmegaConfBaseException: an interpolation leads nowhere; a value is missing.
    """
    return check(resolved(composed))
