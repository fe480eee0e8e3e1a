"""A sweep: expand, compose and check all, leave out what is done, train the rest, compare."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from regbench import checks, experiment
from regbench import plan as stacking
from regbench.compose import Composer
from regbench.config import NO_EFFECT_ON_NUMBERS
from regbench.errors import FAILED, plural
from regbench.experiment import Run
from regbench.progress import Reporter
from regbench.rundir import LOG, RUN, check_place
from regbench.watch import Watch


@dataclass(frozen=True)
class Plan:
    """The distinct runs of a sweep in its order, those that are to be trained, and how many came twice."""

    runs: Sequence[Run]
    pending: Sequence[Run]
    groups: Sequence[stacking.Group]  # of the pending: those that train as one model
    reasons: Sequence[str]  # why there is more than one group
    duplicates: int

    def __str__(self) -> str:
        """`12 runs: 7 done already, 5 to train in 2 stacks`."""
        total, left = len(self.runs), len(self.pending)
        done = total - left
        how = f" in {plural(len(self.groups), 'stack')}" if len(self.groups) < left else ""
        twice = f" ({plural(self.duplicates, 'duplicate')} left out)" if self.duplicates else ""
        parts = [f"{done} done already"] * bool(done) + [f"{left} to train{how}"] * bool(left)
        return f"{plural(total, 'run')}{twice}: {', '.join(parts)}"


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
    from regbench.others import share

    def train(some: Sequence[Run]) -> None:
        if isinstance(launcher, TakesRuns):
            groups = stacking.groups([run.config for run in some], checks.choose_device(some[0].config))
            launcher.train([[some[place] for place in group.places] for group in groups], watch)
        else:
            launcher.launch([list(run.overrides) for run in some], initial_job_idx=first)

    if isinstance(launcher, TakesRuns):  # others have each job tell of itself
        watch.add(runs, pending)
    if pending:
        share(pending, train)


def plan(composer: Composer, jobs: Sequence[Sequence[str]], first: int = 0) -> Plan:
    """Check every job, and find out what is left to train.

    Raises:
        UserError: something in one of the jobs does not fit.
        HydraException, OmegaConfBaseException: a job that cannot be composed.
    """
    places: dict[str, Run] = {}
    pending: dict[str, Run] = {}
    tried: set[str] = set()  # all that can be refused, once for all seeds
    for number, overrides in enumerate(jobs, first):
        config = composer.check(overrides, number)
        techniques = config.model_dump_json(exclude={"seed", *NO_EFFECT_ON_NUMBERS})
        if techniques not in tried:
            checks.check_techniques(config)
            tried.add(techniques)
        rundir = experiment.directory(config)
        place = str(rundir.path)
        if place in places:
            continue
        places[place] = Run(config, overrides)
        if config.force or not rundir.finished:
            pending[place] = places[place]
    for run in pending.values():
        device = checks.check_machine(run.config)
        check_place(run.config)
    waiting = list(pending.values())
    configs = [run.config for run in waiting]
    groups = stacking.groups(configs, device) if waiting else []
    reasons = stacking.reasons(groups, configs, device) if waiting else []
    return Plan(list(places.values()), waiting, groups, reasons, len(jobs) - len(places))


def train(stacks: Sequence[Sequence[Run]], watch: Watch) -> None:
    """Train one stack after another in this process. No run stops another."""
    watch.follow(stacks)
    for stack in stacks:
        experiment.train(stack, watch.reporter(stack))


def show(planned: Plan, reporter: Reporter) -> None:
    """What trains together: a line for the stacks of each shape. And why it is not all one stack."""
    if reporter.mode == "off":
        return
    from rich.table import Table
    from rich.text import Text

    table = Table("stacks", "runs", "what", box=None, header_style="bold")
    shared = set.intersection(*(set(run.overrides) for run in planned.runs))
    shapes: dict[str, list[stacking.Group]] = {}
    for group in planned.groups:
        shapes.setdefault(str(group.shape), []).append(group)
    for groups in shapes.values():
        runs = [planned.pending[place].overrides for group in groups for place in group.places]
        table.add_row(str(len(groups)), str(len(runs)), Text(stacking.telling(runs, shared)))
    if planned.groups:
        reporter.console.print(table)
    for reason in planned.reasons:
        reporter.say(reason)


def compare(runs: Sequence[Run], reporter: Reporter) -> None:
    """The summary table of exactly these runs."""
    paths = [path for run in runs if ((path := experiment.directory(run.config).path) / RUN).is_file()]
    if not paths or reporter.mode == "off":
        return
    from regbench import render, summary  # pandas takes its time, and is not needed to train
    from regbench.runs import load

    reporter.say("")
    render.table(summary.compare(load(paths)), reporter.console)


def again() -> str:
    """The command that tries what is not done yet: the same one, but for force."""
    program, *words = sys.argv
    return f"{program} {shlex.join(word for word in words if not word.startswith('force='))}"


def failures(runs: Sequence[Run]) -> list[str]:
    """A line for each run that came to no end: its overrides, what is known of it, the log to read."""
    lines = []
    for run in runs:
        rundir = experiment.directory(run.config)
        record: dict[str, Any] = rundir.record
        if not (rundir.finished or rundir.pruned):
            reason = record.get("error") or record.get("status", "not begun")
            lines.append(f"{' '.join(run.overrides)}: {reason} ({rundir.path / LOG})")
    return lines
