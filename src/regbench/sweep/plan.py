"""What a sweep would train, in which stacks, and why."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from regbench.config.run_config import NO_EFFECT_ON_NUMBERS
from regbench.experiment.checks import check_machine, check_techniques
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.records.run_dir import check_place
from regbench.sweep.compose import Composer
from regbench.text import plural
from regbench.training import stacking


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


def plan(composer: Composer, jobs: Sequence[Sequence[str]], first: int = 0) -> Plan:
    """Check every job, and find out what is left to train.

    Raises:
        UserError: something in one of the jobs does not fit.
        HydraException, OmegaConfBaseException: a job that cannot be composed.
    """
    places: dict[Path, Run] = {}
    pending: dict[Path, Run] = {}
    tried: set[str] = set()  # all that can be refused, once for all seeds
    for number, overrides in enumerate(jobs, first):
        config = composer.check(overrides, number)
        techniques = config.model_dump_json(exclude={"seed", *NO_EFFECT_ON_NUMBERS})
        if techniques not in tried:
            check_techniques(config)
            tried.add(techniques)
        run = Run(config, overrides)
        if run.path in places:
            continue
        places[run.path] = run
        if config.force or not run.status().finished:
            pending[run.path] = run
    for run in pending.values():
        device = check_machine(run.config)
        check_place(run.config)
    waiting = list(pending.values())
    configs = [run.config for run in waiting]
    groups = stacking.groups(configs, device) if waiting else []
    reasons = stacking.reasons(groups, configs, device) if waiting else []
    return Plan(list(places.values()), waiting, groups, reasons, len(jobs) - len(places))


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
        table.add_row(str(len(groups)), str(len(runs)), Text(telling(runs, shared)))
    if planned.groups:
        reporter.console.print(table)
    for reason in planned.reasons:
        reporter.say(reason)


SHOWN_VALUES = 6


def words(overrides: Sequence[Sequence[str]]) -> str:
    """The overrides of several runs as one line: `norm=batch seed=0,1,2`."""
    values: dict[str, list[str]] = {}
    for key, _, value in (word.partition("=") for own in overrides for word in own):
        values.setdefault(key, []).append(value)
    return " ".join(f"{key}={_listed(list(dict.fromkeys(found)))}" for key, found in values.items())


def telling(overrides: Sequence[Sequence[str]], shared: Container[str]) -> str:
    """The same without the overrides that all runs of a sweep have; all of them if no other is left."""
    own = [[word for word in each if word not in shared] for each in overrides]
    return words(own if any(own) else overrides)


def _listed(values: Sequence[str]) -> str:
    return ",".join(values if len(values) <= SHOWN_VALUES else [*values[:2], "…", values[-1]])
