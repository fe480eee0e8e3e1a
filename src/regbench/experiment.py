"""The page to read first: configs become data, a stack of models, epochs of training, and directories with figures."""

import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from regbench.checks import check_machine, check_techniques, warnings
from regbench.config import RunConfig
from regbench.data import cache_dir, digest, load_split
from regbench.diagnostics import LayerFigures
from regbench.errors import UserError
from regbench.progress import Reporter
from regbench.provenance import facts
from regbench.rundir import RunDir, Status
from regbench.techniques.pretrain import Progress, pretrain
from regbench.trainer import Best, Epoch, Tests, Trainer

State = dict[str, Any] | None  # after a run's last saved epoch; None before the first
Stop = Callable[[Sequence[Mapping[str, Any]]], bool]  # asked with the rows of metrics.csv, so far


@dataclass(frozen=True, slots=True)
class Run:
    """One checked run, and the overrides that say what it is; `stop` decides after each epoch whether it is pruned."""

    config: RunConfig
    overrides: Sequence[str]
    stop: Stop | None = None


def run(one: Run, reporter: Reporter) -> Status:
    """Train one run, unless it is trained already, and leave its directory.

    Returns completed, diverged or failed.

    Raises:
        UserError: something in the config does not fit, or another process trains this run; nothing has been written.
        KeyboardInterrupt: the run is left interrupted; the same command goes on from there.
    """
    check_techniques(one.config)
    rundir = directory(one.config)
    if rundir.finished and not one.config.force:
        reporter.say("already trained (force=true trains it again)")
    else:
        device = check_machine(one.config)
        with rundir:
            record([one], [rundir], device, reporter)
    reporter.result(rundir)
    return rundir.status


def train(runs: Sequence[Run], reporter: Reporter) -> None:
    """Train runs of the same shape together; each leaves its directory as if alone. None stops another.

    Raises:
        KeyboardInterrupt: what is not finished is left interrupted; the same runs go on from there, in any company.
    """
    device = check_machine(runs[0].config)
    with ExitStack() as held:
        mine, rundirs = [], []
        for one in runs:
            try:
                rundirs.append(held.enter_context(directory(one.config)))
                mine.append(one)
            except UserError as error:  # another process has it
                reporter.warn(str(error))
        record(mine, rundirs, device, reporter)


def directory(config: RunConfig) -> RunDir:
    """The run's directory, with what is known of the run already; makes nothing."""
    return RunDir(config, config.identity(digest(config.data.name, config.data.args.get("path"))))


def record(runs: Sequence[Run], rundirs: Sequence[RunDir], device: torch.device, reporter: Reporter) -> None:
    """Train into open directories what is not finished there. Whatever happens, each run.json says so."""
    both = zip(runs, rundirs, strict=True)
    pairs = [(one, rundir) for one, rundir in both if one.config.force or not rundir.finished]
    states: dict[RunDir, State] = {}
    stops = {rundir: one.stop for one, rundir in pairs if one.stop}
    try:
        for one, rundir in pairs:
            try:
                states[rundir] = begin(one, rundir, {**facts(device), "stack": len(pairs)}, reporter)
            except OSError as error:  # no space for it
                if len(pairs) == 1:
                    raise
                rundir.record = {"status": "failed", "error": str(error)}
                reporter.warn(f"{rundir.path}: {error}")
        attempt(states, stops, device, reporter)
    except (KeyboardInterrupt, SystemExit):  # the latter from a console whose reader has gone
        for rundir in states:
            if rundir.status == "running":
                rundir.end("interrupted", "stopped by the user")
        raise
    finally:
        reporter.end()


def begin(one: Run, rundir: RunDir, known: Mapping[str, Any], reporter: Reporter) -> State:
    """Begin a run or go on with it: the state to go on from."""
    state = rundir.start({"overrides": list(one.overrides), **known})
    for warning in warnings(one.config):
        reporter.warn(warning)
        rundir.log(f"warning: {warning}")
    return state


@dataclass(frozen=True)
class Failure:
    """What is kept of an exception: it would hold the memory of all that was computed."""

    line: str
    traceback: str

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        """An exception in one line, and in full."""
        line = f"{type(error).__name__}: {error}".splitlines()[0]
        return cls(line, "".join(traceback.format_exception(error)))


def attempt(
    states: Mapping[RunDir, State], stops: Mapping[RunDir, Stop], device: torch.device, reporter: Reporter
) -> None:
    """Train runs together; if that fails, in halves, each run from its last saved epoch: memory may be short of it."""
    for epoch in sorted({finished(state) for state in states.values()}):
        group = {rundir: state for rundir, state in states.items() if finished(state) == epoch}
        failure = trial(group, stops, device, reporter)
        left = [rundir for rundir in group if rundir.status == "running"]
        if failure and len(left) == 1:
            fail(left[0], failure, reporter, alone=len(states) == 1)
        elif failure and left:
            reporter.warn(f"{len(group)} runs together failed ({failure.line}): in halves from here")
            for half in (left[: len(left) // 2], left[len(left) // 2 :]):
                attempt({rundir: rundir.state() for rundir in half}, stops, device, reporter)


def trial(
    states: Mapping[RunDir, State], stops: Mapping[RunDir, Stop], device: torch.device, reporter: Reporter
) -> Failure | None:
    """Train runs together; what went wrong, if anything did."""
    try:
        fit(states, stops, device, reporter)
    except Exception as error:
        reporter.end()
        return Failure.of(error)
    return None


def finished(state: State) -> int:
    """The epochs behind a state."""
    return state["epoch"] if state else 0


def fit(states: Mapping[RunDir, State], stops: Mapping[RunDir, Stop], device: torch.device, reporter: Reporter) -> None:
    """All epochs that are left, each on disk before the next begins; then the test."""
    rundirs = list(states)
    configs = [rundir.config for rundir in rundirs]
    splits = [load_split(config.data, config.seed, device, cache_dir(config.runtime.cache)) for config in configs]
    trainer = Trainer(configs, splits, device)
    for place, state in enumerate(states.values()):
        if state:
            trainer.load_state(place, state)
        else:
            report = partial(pretrained, rundirs[place], reporter if len(rundirs) == 1 else None)
            pretrain(trainer.stack.models[place], configs[place], splits[place], report)
    reporter.begin(about(trainer), trainer.images_per_epoch, configs[0].epochs, trainer.finished)
    leave(trainer, rundirs, stops)  # those that were killed between an epoch and what follows from it
    for epochs in trainer.epochs(reporter.tick):
        for place, epoch in epochs.items():
            try:
                state = None if epoch.diverged else trainer.state(place)
                keep(rundirs[place], epoch, trainer.layers.get(place, []), state, reporter.line(epoch))
            except OSError as error:
                fail(rundirs[place], Failure.of(error), reporter, alone=len(rundirs) == 1)
                trainer.drop([place])
        for epoch in epochs.values():
            reporter.epoch(epoch)
        leave(trainer, rundirs, stops)
    for place, tests in trainer.test().items():
        try:
            finish(rundirs[place], trainer.best[place], tests)
        except OSError as error:
            fail(rundirs[place], Failure.of(error), reporter, alone=len(rundirs) == 1)


def pretrained(rundir: RunDir, reporter: Reporter | None, row: Progress) -> None:
    """Keep a row of what pre-training did, and show it."""
    rundir.pretrained(row._asdict())
    rundir.log(str(row))
    if reporter:
        reporter.say(str(row))


def keep(rundir: RunDir, epoch: Epoch, layers: Sequence[LayerFigures], state: State, line: str) -> None:
    """One run's epoch, on disk."""
    rundir.save(epoch, state, layers)
    rundir.log(line)
    if epoch.diverged:
        rundir.end("diverged", f"the loss stopped being finite in epoch {epoch.epoch}")


def leave(trainer: Trainer, rundirs: Sequence[RunDir], stops: Mapping[RunDir, Stop]) -> None:
    """Prune the runs that are not to go on; one that has trained all of its epochs may as well be tested."""
    for place, rundir in enumerate(rundirs):
        done, all_epochs = len(rundir.rows), rundir.config.epochs
        if rundir in stops and rundir.status == "running" and 0 < done < all_epochs and stops[rundir](rundir.rows):
            rundir.prune(done)
            trainer.drop([place])


def finish(rundir: RunDir, best: Best | None, tests: Tests) -> None:
    """One run's end."""
    assert best is not None, "a test comes after an epoch"
    if not all(math.isfinite(loss) for loss, _ in tests.values()):
        rundir.end("diverged", "the loss on the test images is not finite")
    else:
        rundir.complete(best.weights, best.epoch, tests)


def fail(rundir: RunDir, failure: Failure, reporter: Reporter, alone: bool) -> None:
    """The record of a run that failed, if it can be written at all; a run that is not alone stops no other.

    Raises:
        OSError: it cannot, and the run is alone.
    """
    try:
        rundir.log(failure.traceback)
        rundir.end("failed", failure.line)
    except OSError as error:
        if alone:
            raise
        rundir.record["status"] = "failed"
        reporter.warn(f"{rundir.path}: {failure.line}; nor can that be recorded: {error.strerror}")


def about(trainer: Trainer) -> str:
    """Two lines on what is trained on what."""
    config, split = trainer.configs[0], trainer.splits[0]
    runs = len(trainer.configs)
    name = config.slug() if runs == 1 else f"{runs} runs as one model"
    weights = sum(parameter.numel() for parameter in trainer.stack.models[0].parameters())
    where = f"cpu, {torch.get_num_threads()} threads" if trainer.device.type == "cpu" else str(trainer.device)
    return (
        f"{name}: {weights:,} parameters{' each' * (runs > 1)} on {where}\n"
        f"{config.data.name}: {len(split.train):,} images to train, {len(split.val):,} to validate, "
        f"{len(split.test_labels):,} to test"
    )
