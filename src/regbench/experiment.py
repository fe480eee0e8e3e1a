"""The page to read first: a config becomes data, a model, epochs of training, and a directory with the figures."""

import math
import traceback
from collections.abc import Sequence
from typing import Any

import torch

from regbench.checks import check_machine, check_techniques, warnings
from regbench.config import RunConfig
from regbench.data import Split, cache_dir, digest, load_split
from regbench.progress import Reporter
from regbench.provenance import facts
from regbench.rundir import RunDir, Status
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
    return RunDir(config, config.identity(digest(config.data.name, config.data.args.get("path"))))


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
