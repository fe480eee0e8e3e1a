"""A sweep: expand, compose and check all, leave out what is done, train the rest, compare."""

import shlex
import sys
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from regbench.errors import FAILED
from regbench.experiment import train as experiment
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.records.files import LOG, RUN
from regbench.sweep.compose import Composer
from regbench.sweep.plan import plan, show
from regbench.sweep.watch import Watch
from regbench.text import plural
from regbench.training import stacking
from regbench.training.machine import find_device


@runtime_checkable
class TakesRuns(Protocol):
    """A launcher that trains what is checked already; any other gets overrides, and composes each job again."""

    def train(self, stacks: Sequence[Sequence[Run]], watch: Watch) -> None:
        """Train the runs, those of a stack as one model. One that fails stops no other."""


def run(
    master: DictConfig,
    loader: ConfigLoader,
    launcher: Launcher,
    jobs: Sequence[Sequence[str]],
    first: int = 0,
    only_plan: bool = False,
) -> None:
    """The whole sweep, or only what it would train; `first` is the number of its first job.

    Leaves with exit code 1 if a run failed.

    Raises:
        UserError: something in one of the jobs does not fit; nothing is trained or written then.
    """
    planned = plan(Composer(master, loader), jobs, first)
    reporter = Reporter(planned.runs[0].config.runtime.progress)
    reporter.say(str(planned), "bold")
    if only_plan:
        show(planned, reporter)
        return
    with Watch(reporter, len(planned.runs)) as watch:
        hand_over(launcher, planned.runs, planned.pending, watch, first)
    compare(planned.runs, reporter)
    if failed := failures(planned.pending):
        reporter.say(f"\n{plural(len(failed), 'run')} not completed:", "bold red")
        for line in failed:
            reporter.say(f"  {line}")
        reporter.say(f"Once more, only these: {again()}")
        sys.exit(FAILED)


def hand_over(launcher: Launcher, runs: Sequence[Run], pending: Sequence[Run], watch: Watch, first: int = 0) -> None:
    """Have a launcher train the runs: its own way if it takes them, else by their overrides. Wait for other sweeps."""
    from regbench.sweep.sharing import share

    def train(some: Sequence[Run]) -> None:
        if isinstance(launcher, TakesRuns):
            groups = stacking.groups([run.config for run in some], find_device(some[0].config))
            launcher.train([[some[place] for place in group.places] for group in groups], watch)
        else:
            launcher.launch([list(run.overrides) for run in some], initial_job_idx=first)

    if isinstance(launcher, TakesRuns):  # others have each job tell of itself
        watch.add(runs, pending)
    if pending:
        share(pending, train)


def train(stacks: Sequence[Sequence[Run]], watch: Watch) -> None:
    """Train one stack after another in this process. No run stops another."""
    watch.follow(stacks)
    for stack in stacks:
        experiment.train(stack, watch.reporter(stack))


def compare(runs: Sequence[Run], reporter: Reporter) -> None:
    """The summary table of exactly these runs."""
    paths = [run.path for run in runs if (run.path / RUN).is_file()]
    if not paths or reporter.mode == "off":
        return
    from regbench.analysis import summary  # pandas takes its time, and is not needed to train
    from regbench.records.frame import load
    from regbench.tables import terminal

    reporter.say("")
    terminal.table(summary.compare(load(paths)), reporter.console)


def again() -> str:
    """The command that tries what is not done yet: the same one, but for force."""
    program, *words = sys.argv
    return f"{program} {shlex.join(word for word in words if not word.startswith('force='))}"


def failures(runs: Sequence[Run]) -> list[str]:
    """A line for each run that came to no end: its overrides, what is known of it, the log to read."""
    lines = []
    for run in runs:
        status = run.status()
        if not (status.finished or status.pruned):
            reason = status.error or status.state or "not begun"
            lines.append(f"{' '.join(run.overrides)}: {reason} ({status.path / LOG})")
    return lines
