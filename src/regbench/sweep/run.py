"""A sweep: check all jobs, leave out what is done, train the rest, compare."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf

from regbench.errors import FAILED, UserError
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.records.files import LOG, RUN
from regbench.records.locks import is_locked, lock_fault
from regbench.sweep import comparison, resolution
from regbench.sweep.engines.workers import Engine, Workers
from regbench.sweep.job import Job
from regbench.sweep.plan import Plan, again, plan, show, to_json, within
from regbench.sweep.sharing import share
from regbench.sweep.watch import Watch
from regbench.text import plural
from regbench.trackers.following import following

if TYPE_CHECKING:
    from regbench.analysis.table import Against


@runtime_checkable
class _NamesEngine(Protocol):
    """A launcher of regbench, whose engine trains checked runs. Any other gets overrides and composes jobs again."""

    def engine(self) -> Engine:
        """Make the engine, once."""


def run(launcher: Launcher, jobs: Iterable[Job], max_seconds: float | None = None) -> None:
    """Run the whole sweep; after `max_seconds` no more runs begin.

    Leaves with exit code 1 if a run failed.

    Raises:
        UserError: something in one of the jobs does not fit; nothing is trained or written then.
    """
    planned = _planned(launcher, jobs, max_seconds)
    runs, reporter = planned.runs, Reporter(planned.runs[0].config.runtime.progress)
    reporter.say(str(planned), "bold")
    start = time.monotonic()
    with resumable(lambda: f"{count_ended(runs)} of {plural(len(runs), 'run')}"), Watch(reporter, len(runs)) as watch:
        train(launcher, runs, planned.pending, watch)
    seconds = time.monotonic() - start
    compare(runs, reporter)
    begun = [run for run in planned.pending if not is_left(run)]
    show_end(runs, len(begun), seconds, reporter)
    leave_if_failed(begun, "run", reporter)
    if max_seconds and (left := len(planned.pending) - len(begun)):
        say_left(left, plural(len(runs), "run"), max_seconds, reporter)


def say_left(left: int, of: str, max_seconds: float, reporter: Reporter) -> None:
    """Say how much is left as the time is over, of how much, and how to resume."""
    over = f"{left} of {of} left, as hydra.sweeper.max_seconds={max_seconds:g} are over"
    reporter.say(f"\n{over}. To resume: {_command()}", "bold")


def trained(launcher: Launcher, jobs: Iterable[Job], max_seconds: float | None) -> list[Run]:
    """Train the whole sweep as `run` does, and show nothing besides progress; return the runs that have begun.

    Raises:
        UserError: as `run`.
    """
    planned = _planned(launcher, jobs, max_seconds)
    with Watch(Reporter(planned.runs[0].config.runtime.progress), len(planned.runs)) as watch:
        train(launcher, planned.runs, planned.pending, watch)
    return [run for run in planned.runs if not run.is_late or run.path.is_dir()]


def _planned(launcher: Launcher, jobs: Iterable[Job], max_seconds: float | None) -> Plan:
    """Check everything before the first run trains; the time of `max_seconds` begins."""
    _check_engine(launcher)
    if max_seconds is None:
        return plan(jobs)
    check_limit(max_seconds, launcher)
    return within(plan(jobs), max_seconds)


def check_limit(seconds: float, launcher: Launcher) -> None:
    """Raise UserError unless the launcher can end a sweep after so many seconds."""
    if not 0 < seconds < float("inf"):
        raise UserError(f"hydra.sweeper.max_seconds={seconds:g}: must be a number above 0")
    if not isinstance(launcher, _NamesEngine):
        raise UserError(f"hydra.sweeper.max_seconds={seconds:g}: needs a launcher of regbench: local, processes, …")


def is_left(run: Run) -> bool:
    """Tell whether the sweep's time was over before the run had its turn, or while another process trains it."""
    status = run.status()
    return run.is_late and not (status.finished or status.pruned or status.state == "failed" or lock_fault(run.path))


def _check_engine(launcher: Launcher) -> None:
    """Refuse the launcher's settings before anything is trained."""
    if isinstance(launcher, _NamesEngine):
        launcher.engine()


def show_plan(launcher: Launcher, jobs: Iterable[Job], pilot: int | None, as_json: bool) -> None:
    """Show what a sweep would train, as text or JSON, and first train the seeds of a `pilot`.

    Raises:
        UserError: something in one of the jobs does not fit; nothing is trained or written then.
    """
    _check_engine(launcher)
    planned = plan(jobs, download=bool(pilot), quiet=as_json)
    reporter = Reporter("off" if as_json else planned.runs[0].config.runtime.progress)
    if pilot is not None:
        _train_pilot(launcher, planned, _checked_pilot(pilot), reporter)
        planned = again(planned)
    if as_json:
        sys.stdout.write(to_json(planned))
    else:
        reporter.say(str(planned), "bold")
        show(planned, reporter, _workers(launcher, planned))


def _workers(launcher: Launcher, planned: Plan) -> str:
    """Say what the launcher's workers get; nothing without workers."""
    engine = launcher.engine() if isinstance(launcher, _NamesEngine) else None
    return engine.planned(planned.pending) if isinstance(engine, Workers) and planned.pending else ""


def _train_pilot(launcher: Launcher, planned: Plan, seeds: int, reporter: Reporter) -> None:
    chosen = resolution.pilot(planned.runs, seeds)
    pending = [run for run in chosen if run in planned.pending]
    reporter.say(f"Pilot: {plural(len(chosen), 'run')} of the sweep, {len(pending)} to train", "bold")
    with resumable(lambda: f"{count_ended(chosen)} of {len(chosen)}"), Watch(reporter, len(chosen)) as watch:
        train(launcher, chosen, pending, watch)


def _checked_pilot(seeds: int) -> int:
    if seeds < resolution.FEWEST:
        raise UserError(f"--pilot {seeds}: must be at least {resolution.FEWEST}: fewer seeds tell little of a spread")
    return seeds


def train(launcher: Launcher, runs: Sequence[Run], pending: Sequence[Run], watch: Watch) -> None:
    """Train the pending ones of the runs; wait for those that another process trains."""
    if not runs:  # a search whose values meet no condition asks for none
        return
    if isinstance(launcher, _NamesEngine):
        watch.add(runs, pending)
        with following(runs[0].config.runtime.tracker, sorted({run.path.parent for run in pending})):
            share(pending, lambda some: launcher.engine().train(some, watch))
    else:  # each of its jobs tells of itself
        share(pending, lambda some: launcher.launch([list(run.overrides) for run in some], initial_job_idx=0))


def compare(runs: Sequence[Run], reporter: Reporter, by: Sequence[str] = (), against: "Against | None" = None) -> None:
    """Print the summary table of exactly these runs."""
    paths = [run.path for run in runs if (run.path / RUN).is_file()]
    if not paths or reporter.mode == "off":
        return
    from regbench.analysis import summary  # pandas takes its time, and is not needed to train
    from regbench.records.frame import load
    from regbench.tables import terminal

    reporter.say("")
    terminal.table(summary.compare(load(paths), by, against=against), reporter.console)


@contextmanager
def resumable(done: Callable[[], str]) -> Iterator[None]:
    """Say after Ctrl-C what is `done`, and how to resume.

    Raises:
        KeyboardInterrupt: with these words.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Interrupted: {done()} done. To resume: {_command()}") from None


def count_ended(runs: Iterable[Run]) -> int:
    """Count the runs that are not trained again."""
    statuses = [run.status() for run in runs]
    return sum(status.finished or status.pruned for status in statuses)


def show_end(
    runs: Sequence[Run], trained: int, seconds: float, reporter: Reporter, options: Sequence[str] | None = None
) -> None:
    """Say where the runs are, how long they took, and how to compare them: with `options` of summary, if given."""
    took = f", {trained} trained in {timedelta(seconds=round(seconds))}" if trained else ""
    where = f"\n{plural(len(runs), 'run')} in {', '.join(comparison.places(runs))}{took}."
    if not any(run.status().finished for run in runs):
        reporter.say(where)
        return
    reporter.say(f"{where} To compare them:")
    reporter.say(f"  {comparison.command(runs, options)}")


def leave_if_failed(runs: Sequence[Run], noun: str, reporter: Reporter) -> None:
    """If there are runs that did not end well, list them and leave with exit code 1; `noun` is what they are called."""
    if lines := _failures(runs):
        reporter.say(f"\n{plural(len(lines), noun)} not completed:", "bold red")
        for line in lines:
            reporter.say(f"  {line}")
        reporter.say(f"To retry just these: {_command()}")
        sys.exit(FAILED)


def _failures(runs: Sequence[Run]) -> list[str]:
    """Write a line for each run without a proper end: its overrides, what is known of it, the log to read."""
    lines = []
    for run in runs:
        status, fault = run.status(), lock_fault(run.path)
        if not (status.finished or status.pruned) or (fault and run.config.force):  # which is finished from before
            reason = fault or status.error or _state(run) or "not begun"
            lines.append(f"{' '.join(run.overrides) or 'default'}: {reason} ({status.path / LOG})")
    return lines


def _state(run: Run) -> str | None:
    """Return the state that a run was left in; one that no process trains has ended, and could not record how."""
    state = run.status().state
    return "its end could not be recorded" if state == "running" and not is_locked(run.path) else state


def _command() -> str:
    """Return the command that trains what is not done yet: the one that was typed, without force."""
    return str(OmegaConf.create({"typed": "${regbench_command:}"}).typed)
