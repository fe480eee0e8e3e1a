"""What can be known before a run begins: whether techniques, data and machine fit the config and one another."""

import os

import torch

from regbench.config import RunConfig
from regbench.data import cache_dir, training_size
from regbench.errors import UserError, shown
from regbench.models import skeleton
from regbench.techniques.init import INITS
from regbench.techniques.optimizer import OPTIMIZERS, has_momentum


def check_techniques(config: RunConfig) -> None:
    """Try everything that could refuse the config, at the cost of a few tiny tensors.

    Raises:
        UserError: techniques that do not fit the model or one another.
    """
    model = skeleton(config)
    arguments = {key: value for key, value in config.init.args.items() if key != "bias"}
    INITS[config.init.name](torch.zeros(2, 2), torch.Generator(), **arguments)
    if config.scheduler.name == "reduce_on_plateau" and config.data.args["val_size"] == 0:
        raise UserError("scheduler=reduce_on_plateau: watches the validation loss: needs data.val_size above 0")
    optimizer = OPTIMIZERS[config.optimizer.name](list(model.parameters()), **config.optimizer.args)
    if config.scheduler.args.get("cycle_momentum") and not has_momentum(optimizer):
        raise UserError(
            f"scheduler.cycle_momentum=true: optimizer={config.optimizer.name} has no momentum and no betas: "
            "set scheduler.cycle_momentum=false"
        )


def check_machine(config: RunConfig) -> torch.device:
    """The device to train on. Reads the data, or downloads them.

    Raises:
        UserError: there is no such device; no such data, or too few of them.
    """
    check_batches(config, training_size(config.data, cache_dir(config.runtime.cache)))
    device = choose_device(config)
    check_precision(config, device)
    return device


def check_precision(config: RunConfig, device: torch.device) -> None:
    """See to it that the device has the precision; sets that of float32 products on CUDA.

    Raises:
        UserError: tf32 without CUDA.
    """
    if config.precision == "tf32" and device.type != "cuda":
        raise UserError(f"precision=tf32: needs a CUDA device, not {device}. Allowed here: fp32, fp64, bf16")
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = config.precision == "tf32"


def check_batches(config: RunConfig, count: int) -> None:
    """See to it that every batch of so many training images can be trained on.

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
    """What is allowed but may not be meant."""
    decay = config.optimizer.args.get("weight_decay", 0.0)
    if config.regularizer.name in ("l2", "elastic_net") and decay:
        both = f"regularizer={config.regularizer.name} and optimizer.weight_decay={shown(decay)}"
        return [f"{both}: both shrink the weights"]
    return []


def choose_device(config: RunConfig) -> torch.device:
    """The device asked for, or the best there is; sets the number of CPU threads as well.

    Raises:
        UserError: the machine has no such device.
    """
    if config.runtime.threads != "auto":
        torch.set_num_threads(config.runtime.threads)
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = config.runtime.device
    if name == "auto":
        name = next(kind for kind, found in there.items() if found)
    kind, _, number = name.partition(":")
    if not there[kind] or (number and int(number) >= torch.cuda.device_count()):
        found = ", ".join(kind for kind, here in there.items() if here)
        raise UserError(f"runtime.device={name}: this machine has no such device. Allowed here: auto, {found}")
    if kind == "cuda":
        repeat_exactly()
        torch.cuda.set_device(int(number or 0))  # where a CUDA graph is recorded
    return torch.device(name)


def repeat_exactly() -> None:
    """Have CUDA give the same bits for the same run, where it would otherwise trade them for speed."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs a write to each tensor
