"""A sweep: expand, compose and check all, leave out what is done, train the rest, compare."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from regbench import checks, experiment
from regbench import plan as stacking
from regbench.compose import Composer
from regbench.errors import FAILED, UserError, plural
from regbench.experiment import Run
from regbench.progress import Reporter
from regbench.rundir import FINAL, LOG, RUN, check_place


@dataclass(frozen=True)
class Plan:
    """The distinct runs of a sweep in its order, those that are to be trained by stacks, and how many came twice."""

    runs: Sequence[Run]
    stacks: Sequence[Sequence[Run]]
    groups: Sequence[stacking.Group]  # what the runs of each stack have in common
    reasons: Sequence[str]  # why there is more than one stack
    duplicates: int

    @property
    def pending(self) -> list[Run]:
        """The runs that are to be trained, in the order in which they will be."""
        return [run for stack in self.stacks for run in stack]

    def __str__(self) -> str:
        """`12 runs: 7 done already, 5 to train in 2 stacks`."""
        total, left = len(self.runs), len(self.pending)
        done = total - left
        how = f" in {plural(len(self.stacks), 'stack')}" if len(self.stacks) < left else ""
        twice = f" ({plural(self.duplicates, 'duplicate')} left out)" if self.duplicates else ""
        parts = [f"{done} done already"] * bool(done) + [f"{left} to train{how}"] * bool(left)
        return f"{plural(total, 'run')}{twice}: {', '.join(parts)}"


@runtime_checkable
class TakesRuns(Protocol):
    """A launcher that trains what is checked already; any other gets overrides, and composes each job again."""

    def train(self, stacks: Sequence[Sequence[Run]]) -> None:
        """Train the runs, those of a stack as one model. One that fails stops no other."""


def expand(
    loader: ConfigLoader, params: Mapping[str, str], arguments: Sequence[str], each: Mapping[str, str] | None = None
) -> list[list[str]]:
    """The overrides of each job: every combination of the values, the last argument's varying fastest.

    Values in `each` are combined with all the others, but not with one another: one change at a time. An argument
    takes the place of a parameter for the same key.

    Raises:
        UserError: there is no combination.
        HydraException: an override that cannot be read.
    """
    parser = OverridesParser.create(config_loader=loader)
    given = {override.key_or_group for override in parser.parse_overrides(list(arguments))}
    words = [*(f"{key}={value}" for key, value in params.items() if key not in given), *arguments]
    jobs = []
    for change in [[f"{key}={value}"] for key, value in (each or {}).items() if key not in given] or [[]]:
        (found,) = BasicSweeper.split_arguments(parser.parse_overrides(change + words), max_batch_size=None)
        jobs += found
    if not jobs:
        raise UserError(f"{' '.join(words)}: no runs, as a choice, range or glob in it has no value")
    return jobs


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
    if isinstance(launcher, TakesRuns):
        launcher.train(planned.stacks)
    else:
        launcher.launch([list(run.overrides) for run in planned.pending], initial_job_idx=first)
    compare(planned.runs, reporter)
    if failed := failures(planned.pending):
        reporter.say(f"\n{plural(len(failed), 'run')} not completed:", "bold red")
        for line in failed:
            reporter.say(f"  {line}")
        sys.exit(FAILED)


def plan(composer: Composer, jobs: Sequence[Sequence[str]], first: int = 0) -> Plan:
    """Check every job, and find out what is left to train.

    Raises:
        UserError: something in one of the jobs does not fit.
        HydraException, OmegaConfBaseException: a job that cannot be composed.
    """
    places: dict[str, Run] = {}
    pending: dict[str, Run] = {}
    for number, overrides in enumerate(jobs, first):
        config = composer.check(overrides, number)
        checks.check_techniques(config)
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
    stacks = [[waiting[place] for place in group.places] for group in groups]
    return Plan(list(places.values()), stacks, groups, reasons, len(jobs) - len(places))


def train(stacks: Sequence[Sequence[Run]]) -> None:
    """Train one stack after another in this process. No run stops another."""
    for number, stack in enumerate(stacks, 1):
        title = f"#{number} of {len(stacks)}  {stacking.title([run.overrides for run in stack])}"
        experiment.train(stack, Reporter(stack[0].config.runtime.progress, title=title))


def show(planned: Plan, reporter: Reporter) -> None:
    """What trains together: a line for the stacks of each shape. And why it is not all one stack."""
    from rich.table import Table
    from rich.text import Text

    table = Table("stacks", "runs", "what", box=None, header_style="bold")
    shapes: dict[str, list[Sequence[Run]]] = {}
    for stack, group in zip(planned.stacks, planned.groups, strict=True):
        shapes.setdefault(str(group.shape), []).append(stack)
    for stacks in shapes.values():
        runs = [run.overrides for stack in stacks for run in stack]
        table.add_row(str(len(stacks)), str(len(runs)), Text(stacking.words(runs)))
    if planned.stacks:
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


def failures(runs: Sequence[Run]) -> list[str]:
    """A line for each run that came to no end: its overrides, what is known of it, the log to read."""
    lines = []
    for run in runs:
        rundir = experiment.directory(run.config)
        record: dict[str, Any] = rundir.record
        if record.get("status") not in FINAL:
            reason = record.get("error") or record.get("status", "not begun")
            lines.append(f"{' '.join(run.overrides)}: {reason} ({rundir.path / LOG})")
    return lines
