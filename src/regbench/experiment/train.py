"""The page to read first: configs become data, a stack of models, epochs of training, and directories with figures."""

import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch

from regbench.config.run_config import RunConfig
from regbench.data.datasets import cache_dir
from regbench.data.split import Split, load_split
from regbench.errors import UserError
from regbench.experiment.checks import check_machine, check_techniques, warnings
from regbench.experiment.provenance import facts
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run, Stop, directory
from regbench.records.correct_images import encoded, fingerprint
from regbench.records.files import Status
from regbench.records.rows import Epoch, Progress
from regbench.records.run_dir import RunDir
from regbench.training import lanes
from regbench.training.lanes import Lanes
from regbench.training.machine import Machine, shared, whole
from regbench.training.trainer import Tests, Trainer

AT_ONCE = 8  # runs whose files are written

Item = TypeVar("Item")
State = dict[str, Any] | None  # after a run's last saved epoch; None before the first


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
        machine = whole(check_machine(one.config))
        with rundir:
            record([one], [rundir], machine, reporter)
    reporter.result(rundir)
    return rundir.status


def train(runs: Sequence[Run], reporter: Reporter) -> None:
    """Train runs of the same shape together; each leaves its directory as if alone. None stops another.

    Raises:
        KeyboardInterrupt: what is not finished is left interrupted; the same runs go on from there, in any company.
    """
    device = check_machine(runs[0].config)
    machine = whole(device) if runs[0].config.runtime.stack == 1 else shared(device)
    with ExitStack() as held:
        mine, rundirs = [], []
        for one in runs:
            try:
                rundirs.append(held.enter_context(directory(one.config)))
                mine.append(one)
            except UserError as error:  # another process has it
                reporter.warn(str(error))
        record(mine, rundirs, machine, reporter)


@dataclass(frozen=True, slots=True)
class Crew:
    """What runs that are recorded together share."""

    machine: Machine
    reporter: Reporter
    stops: Mapping[RunDir, Stop]
    alone: bool  # whether there is one run only


def record(runs: Sequence[Run], rundirs: Sequence[RunDir], machine: Machine, reporter: Reporter) -> None:
    """Train into open directories what is not finished there. Whatever happens, each run.json says so."""
    both = zip(runs, rundirs, strict=True)
    pairs = [(one, rundir) for one, rundir in both if one.config.force or not rundir.finished]
    known = {**facts(machine.device, machine.threads), "stack": len(pairs)}
    stops = {rundir: one.stop for one, rundir in pairs if one.stop}
    crew = Crew(machine, reporter, stops, alone=len(pairs) == 1)
    states: dict[RunDir, State] = {}
    try:
        for one, rundir in pairs:
            try:
                states[rundir] = begin(one, rundir, known, reporter)
            except OSError as error:  # no space for it
                if crew.alone:
                    raise
                rundir.record = {"status": "failed", "error": str(error)}
                reporter.warn(f"{rundir.path}: {error}")
        attempt(states, crew)
    except (KeyboardInterrupt, SystemExit):  # the latter from a console whose reader has gone
        for rundir in states:
            if rundir.status == "running":
                with suppress(OSError):  # of this run's files: the others have theirs to write
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


def attempt(states: Mapping[RunDir, State], crew: Crew) -> None:
    """Train runs together; if that fails, in halves, each run from its last saved epoch: memory may be short of it."""
    for epoch in sorted({finished(state) for state in states.values()}):
        group = {rundir: state for rundir, state in states.items() if finished(state) == epoch}
        failure = trial(group, crew)
        left = [rundir for rundir in group if rundir.status == "running"]
        if failure and len(left) == 1:
            fail(left[0], failure, crew)
        elif failure and left:
            crew.reporter.warn(f"{len(group)} runs together failed ({failure.line}): in halves from here")
            for half in (left[: len(left) // 2], left[len(left) // 2 :]):
                attempt({rundir: rundir.state() for rundir in half}, crew)


def trial(states: Mapping[RunDir, State], crew: Crew) -> Failure | None:
    """Train runs together; what went wrong, if anything did."""
    try:
        fit(states, crew)
    except Exception as error:
        crew.reporter.end()
        return Failure.of(error)
    return None


def finished(state: State) -> int:
    """The epochs behind a state."""
    return state["epoch"] if state else 0


def fit(states: Mapping[RunDir, State], crew: Crew) -> None:
    """All epochs that are left, each on disk before the next begins; then the test."""
    rundirs, reporter = list(states), crew.reporter
    configs = [rundir.config for rundir in rundirs]
    splits = [split_of(config, crew.machine.device) for config in configs]
    trainer = lanes.trainer(configs, splits, crew.machine)
    for place, state in enumerate(states.values()):
        if state:
            trainer.load_state(place, state)
    new = [place for place, state in enumerate(states.values()) if not state]
    trainer.pretrain(new, partial(pretrained, rundirs, reporter))
    reporter.begin(about(trainer, crew.machine), trainer.images_per_epoch, configs[0].epochs, trainer.finished)
    leave(trainer, rundirs, crew)  # those that were killed between an epoch and what follows from it
    for epochs in trainer.epochs(reporter.tick):
        trainer.drop(side_by_side(partial(keep, rundirs, trainer, reporter), epochs, rundirs, crew))
        for epoch in epochs.values():
            reporter.epoch(epoch)
        leave(trainer, rundirs, crew)
    tests = trainer.test()
    test_set = fingerprint(splits[0].test_images.cpu().numpy(), splits[0].test_labels.cpu().numpy())
    side_by_side(partial(finish, rundirs, trainer, test_set), tests, rundirs, crew)


def split_of(config: RunConfig, device: torch.device) -> Split:
    """A run's data on the device."""
    return load_split(config.data, config.seed, device, cache_dir(config.runtime.cache))


def side_by_side(
    work: Callable[[int, Item], None], items: Mapping[int, Item], rundirs: Sequence[RunDir], crew: Crew
) -> list[int]:
    """Work on the files of several runs at once, since most of it is waiting for the disk; the runs that failed.

    Interrupted, it finishes what it has begun with all of them.
    """

    def well(place: int, item: Item) -> bool:
        try:
            work(place, item)
        except OSError as error:
            fail(rundirs[place], Failure.of(error), crew)
            return False
        return True

    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {place: pool.submit(well, place, item) for place, item in items.items()}
        wait(futures.values())  # here, as leaving the block lets all come to their end
    return [place for place, future in futures.items() if not future.result()]


def pretrained(rundirs: Sequence[RunDir], reporter: Reporter, place: int, row: Progress) -> None:
    """Keep a row of what pre-training did, and show it."""
    rundirs[place].pretrained(row._asdict())
    rundirs[place].log(str(row))
    if len(rundirs) == 1:
        reporter.say(str(row))


def keep(rundirs: Sequence[RunDir], trainer: Trainer | Lanes, reporter: Reporter, place: int, epoch: Epoch) -> None:
    """One run's epoch, on disk."""
    rundir = rundirs[place]
    rundir.save(epoch, None if epoch.diverged else trainer.state(place), trainer.layers.get(place, []))
    rundir.log(reporter.line(epoch))
    if epoch.diverged:
        rundir.end("diverged", f"the loss stopped being finite in epoch {epoch.epoch}")


def leave(trainer: Trainer | Lanes, rundirs: Sequence[RunDir], crew: Crew) -> None:
    """Prune the runs that are not to go on; one that has trained all of its epochs may as well be tested."""
    gone = []
    for place, rundir in enumerate(rundirs):
        done, stop = len(rundir.rows), crew.stops.get(rundir)
        if stop and rundir.status == "running" and 0 < done < rundir.config.epochs and stop(rundir.rows):
            rundir.prune(done)
            gone.append(place)
    trainer.drop(gone)


def finish(rundirs: Sequence[RunDir], trainer: Trainer | Lanes, test_set: str, place: int, tests: Tests) -> None:
    """One run's end, on disk."""
    rundir, best = rundirs[place], trainer.best[place]
    assert best is not None, "a test comes after an epoch"
    if not all(math.isfinite(loss) for loss, _ in tests.values()):
        rundir.end("diverged", "the loss on the test images is not finite")
    else:
        rundir.complete(best.weights, best.epoch, tests, encoded(trainer.rights[place], test_set))


def fail(rundir: RunDir, failure: Failure, crew: Crew) -> None:
    """The record of a run that failed, if it can be written at all; a run that is not alone stops no other.

    Raises:
        OSError: it cannot, and the run is alone.
    """
    try:
        rundir.log(failure.traceback)
        rundir.end("failed", failure.line)
    except OSError as error:
        if crew.alone:
            raise
        rundir.record["status"] = "failed"
        crew.reporter.warn(f"{rundir.path}: {failure.line}; nor can that be recorded: {error.strerror}")


def about(trainer: Trainer | Lanes, machine: Machine) -> str:
    """Two lines on what is trained on what."""
    config, split = trainer.configs[0], trainer.splits[0]
    runs = len(trainer.configs)
    name = config.slug() if runs == 1 else f"{runs} runs together"
    each = f"{machine.threads} threads" if machine.lanes == 1 else f"{machine.lanes} × {machine.threads} threads"
    where = f"cpu, {each}" if machine.device.type == "cpu" else str(machine.device)
    return (
        f"{name}: {trainer.weight_count():,} parameters{' each' * (runs > 1)} on {where}\n"
        f"{config.data.name}: {len(split.train):,} images to train, {len(split.val):,} to validate, "
        f"{len(split.test_labels):,} to test"
    )
