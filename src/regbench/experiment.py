"""The page to read first: a config becomes data, a model, epochs of training, and a directory with the figures."""

import math
import os
import traceback
from collections.abc import Sequence
from typing import Any

import torch

from regbench.config import RunConfig
from regbench.data import Split, cache_dir, digest, load_split, training_size
from regbench.errors import UserError, shown
from regbench.models import skeleton
from regbench.progress import Reporter
from regbench.provenance import facts
from regbench.rundir import RunDir, Status
from regbench.techniques.init import INITS
from regbench.techniques.optimizer import OPTIMIZERS
from regbench.trainer import Trainer


def run(config: RunConfig, overrides: Sequence[str], reporter: Reporter) -> Status:
    """Train one run, unless it is trained already, and leave its directory.

    Returns completed, diverged or failed.

    Raises:
        UserError: something in the config does not fit; nothing has been written then.
        KeyboardInterrupt: the run is left interrupted; the same command goes on from there.
    """
    check_techniques(config)
    rundir = directory(config)
    if rundir.finished and not config.force:
        reporter.say("already trained (force=true trains it again)")
    else:
        device = check_machine(config)
        images = load_split(config.data, config.seed, device, cache_dir(config.runtime.cache))
        with rundir:
            if config.force or not rundir.finished:
                record(config, overrides, images, device, rundir, reporter)
    reporter.result(rundir)
    return rundir.status


def directory(config: RunConfig) -> RunDir:
    """The run's directory, with what is known of the run already; makes nothing."""
    return RunDir(config, config.identity(digest(config.data.name)))


def record(
    config: RunConfig, overrides: Sequence[str], images: Split, device: torch.device, rundir: RunDir, reporter: Reporter
) -> None:
    """Train into an open directory. Whatever happens, run.json says so."""
    state = rundir.start({"overrides": list(overrides), **facts(device)})
    for warning in warnings(config):
        reporter.warn(warning)
        rundir.log(f"warning: {warning}")
    try:
        fit(config, Trainer([config], [images], device), state, rundir, reporter)
    except (KeyboardInterrupt, SystemExit):  # the latter from a console whose reader has gone
        rundir.end("interrupted", "stopped by the user")
        raise
    except Exception as error:
        rundir.log(traceback.format_exc())
        rundir.end("failed", f"{type(error).__name__}: {error}".splitlines()[0])
    finally:
        reporter.end()


def fit(config: RunConfig, trainer: Trainer, state: dict[str, Any] | None, rundir: RunDir, reporter: Reporter) -> None:
    """All epochs that are left, each on disk before the next begins; then the test."""
    if state:
        trainer.load_state(0, state)
    reporter.begin(about(config, trainer), trainer.images_per_epoch, config.epochs, trainer.finished)
    for (epoch,) in trainer.epochs(reporter.tick):
        rundir.save(epoch, None if epoch.diverged else trainer.state(0))
        rundir.log(reporter.epoch(epoch))
        if epoch.diverged:
            rundir.end("diverged", f"the loss stopped being finite in epoch {epoch.epoch}")
            return
    best, tests = trainer.best[0], trainer.test(0)
    assert best is not None
    if not all(math.isfinite(loss) for loss, _ in tests.values()):
        rundir.end("diverged", "the loss on the test images is not finite")
        return
    rundir.complete(best.weights, best.epoch, tests)


def about(config: RunConfig, trainer: Trainer) -> str:
    """Two lines on what is trained on what."""
    split = trainer.splits[0]
    weights = sum(parameter.numel() for parameter in trainer.stack.members[0].parameters)
    where = f"cpu, {torch.get_num_threads()} threads" if trainer.device.type == "cpu" else str(trainer.device)
    return (
        f"{config.slug()}: {weights:,} parameters on {where}\n"
        f"{config.data.name}: {len(split.train):,} images to train, {len(split.val):,} to validate, "
        f"{len(split.test_labels):,} to test"
    )


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
    return torch.device(name)


def repeat_exactly() -> None:
    """Have CUDA give the same bits for the same run, where it would otherwise trade them for speed."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs a write to each tensor


def check_techniques(config: RunConfig) -> None:
    """Try everything that could refuse the config, at the cost of a few tiny tensors.

    Raises:
        UserError: techniques that do not fit the model or one another.
    """
    skeleton(config)
    arguments = {key: value for key, value in config.init.args.items() if key != "bias"}
    INITS[config.init.name](torch.zeros(2, 2), torch.Generator(), **arguments)
    OPTIMIZERS[config.optimizer.name]([torch.zeros(1)], **config.optimizer.args)


def check_machine(config: RunConfig) -> torch.device:
    """The device to train on. Reads the data, or downloads them.

    Raises:
        UserError: there is no such device; no such data, or too few of them.
    """
    check_batches(config, training_size(config.data, cache_dir(config.runtime.cache)))
    return choose_device(config)


def warnings(config: RunConfig) -> list[str]:
    """What is allowed but may not be meant."""
    decay = config.optimizer.args.get("weight_decay", 0.0)
    if config.regularizer.name in ("l2", "elastic_net") and decay:
        both = f"regularizer={config.regularizer.name} and optimizer.weight_decay={shown(decay)}"
        return [f"{both}: both shrink the weights"]
    return []


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
