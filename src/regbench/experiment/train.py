"""The page to read first: configs become data, a stack of models, epochs of training, and directories with figures."""

import time
from collections.abc import Sequence
from contextlib import ExitStack

import torch

from regbench.config.location import cache_dir
from regbench.config.run_config import RunConfig
from regbench.data.split import Split, load_split
from regbench.errors import UserError
from regbench.experiment.checks import check_machine, check_techniques
from regbench.experiment.failure import Failure
from regbench.experiment.provenance import facts
from regbench.experiment.recording import Recording, State
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.experiment.short_waits import short_waits_when_busy
from regbench.records.predictions import answers
from regbench.records.run_dir import RunDir
from regbench.records.run_status import RunStatus
from regbench.text import plural
from regbench.trackers.following import following
from regbench.training import lanes
from regbench.training.machine import Machine, set_up, shared, whole
from regbench.training.trainer import TrainsRuns

_STOPPED = "stopped by the user"


def run(run: Run, reporter: Reporter) -> RunStatus:
    """Train one run, unless it is trained already, and return what its directory says in the end.

    Raises:
        UserError: something in the config does not fit, or another process trains this run; nothing has been written.
        KeyboardInterrupt: the run is left interrupted; run the same command to resume.
    """
    check_techniques(run.config)
    if run.status().finished and not run.config.force:
        return reporter.trained_already(run.status())
    machine = whole(run.config, check_machine(run.config))
    with following(run.config.runtime.tracker, [run.path]), run.directory(alone=True) as directory:
        record([run], [directory], machine, reporter)
    status = run.status()
    reporter.result(status)
    return status


def train(runs: Sequence[Run], reporter: Reporter) -> None:
    """Train runs of the same shape together; each leaves its directory as if alone. None stops another.

    Late runs are left as they are.

    Raises:
        KeyboardInterrupt: what is not finished is left interrupted; the same runs resume from there, in any company.
    """
    if any(run.is_late for run in runs):
        return
    config = runs[0].config
    machine = (whole if config.runtime.stack == 1 else shared)(config, check_machine(config))
    with ExitStack() as locks:
        free: list[Run] = []
        directories: list[RunDir] = []
        for run in runs:
            try:
                directories.append(locks.enter_context(run.directory()))
                free.append(run)
            except UserError as error:  # another process has it
                reporter.warn(str(error))
        record(free, directories, machine, reporter)


def record(runs: Sequence[Run], directories: Sequence[RunDir], machine: Machine, reporter: Reporter) -> None:
    """Train into open directories what is not finished there. Whatever happens, each run.json says so."""
    places = [place for place, run in enumerate(runs) if run.config.force or not directories[place].status.finished]
    recording = Recording(runs, directories, reporter, alone=len(places) == 1).part(places)
    try:
        states = recording.begin({**facts(machine.device, machine.threads), "stack": len(places)})
        with recording.library_warnings(), short_waits_when_busy(machine.threads):
            _train_in_halves(recording, states, machine)
    except KeyboardInterrupt:
        recording.interrupt(_STOPPED)
        raise
    except SystemExit as leaving:  # from a console whose reader has gone, or from an engine, which says why
        recording.interrupt(leaving.code if isinstance(leaving.code, str) else _STOPPED)
        raise
    finally:
        reporter.end()


def _train_in_halves(recording: Recording, states: Sequence[State], machine: Machine) -> None:
    """Train runs together; if that fails, in halves, each run from its last saved epoch: memory may be too small."""
    for epoch in sorted({_finished(states[place]) for place in recording.running}):
        places = [place for place in recording.running if _finished(states[place]) == epoch]
        part = recording.part(places)
        failure = _failure(part, [states[place] for place in places], machine)
        left = part.running
        if failure and len(left) == 1:
            part.fail(left[0], failure)
        elif failure and left:
            recording.reporter.warn(f"{len(places)} runs together failed ({failure.line}): in halves from here")
            for half in (left[: len(left) // 2], left[len(left) // 2 :]):
                rest = part.part(half)
                _train_in_halves(rest, [directory.state() for directory in rest.directories], machine)


def _finished(state: State) -> int:
    """Count the epochs behind a state."""
    return state["epoch"] if state else 0


def _failure(recording: Recording, states: Sequence[State], machine: Machine) -> Failure | None:
    """Train runs together; return what went wrong, if anything did."""
    try:
        _fit(recording, states, machine)
    except Exception as error:
        recording.reporter.end()
        return Failure.of(error)
    return None


def _fit(recording: Recording, states: Sequence[State], machine: Machine) -> None:
    """Train all epochs that are left, each on disk before the next begins; then test."""
    configs, reporter, begun = [run.config for run in recording.runs], recording.reporter, time.process_time()
    set_up(configs[0], machine.device)
    splits = [_split_of(config, machine.device) for config in configs]
    trainer = lanes.trainer(configs, splits, machine)
    for place, state in enumerate(states):
        if state:
            trainer.load_state(place, state)
    trainer.pretrain([place for place, state in enumerate(states) if not state], recording.pretrained)
    recording.announce(_about(trainer, machine), trainer.images_per_epoch, configs[0].epochs, trainer.finished)
    recording.prune(trainer)  # runs that were killed between an epoch and its consequences
    for epochs in trainer.epochs(reporter.tick):
        recording.save(trainer, epochs)
        recording.prune(trainer)
    tests = trainer.test()
    known = answers(splits[0].test_images.cpu().numpy(), splits[0].test_labels.cpu().numpy())
    whole = not any(states)  # of a run that was resumed a part of the time is lost
    cpu_seconds = (time.process_time() - begun) / len(configs) if whole else None
    recording.complete(trainer, tests, known, cpu_seconds)


def _split_of(config: RunConfig, device: torch.device) -> Split:
    return load_split(config.data, config.seed, device, cache_dir(config.runtime.cache))


def _about(trainer: TrainsRuns, machine: Machine) -> str:
    """Say in two lines what is trained on what."""
    config, split = trainer.configs[0], trainer.splits[0]
    runs = len(trainer.configs)
    name = config.slug() if runs == 1 else f"{runs} runs together"
    threads = plural(machine.threads, "thread")
    each = threads if machine.lanes == 1 else f"{machine.lanes} × {threads}"
    where = f"cpu, {each}" if machine.device.type == "cpu" else str(machine.device)
    return (
        f"{name}: {trainer.weight_count():,} parameters{' each' * (runs > 1)} on {where}\n"
        f"{config.data.name}: {len(split.train):,} images to train, {len(split.val):,} to validate, "
        f"{len(split.test_labels):,} to test"
    )
