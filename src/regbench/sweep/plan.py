"""What a sweep would train, in which stacks, and why."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regbench.config.run_config import NO_EFFECT_ON_NUMBERS, RunConfig
from regbench.errors import UserError
from regbench.experiment.checked_before import CheckedBefore
from regbench.experiment.loading import load_torch
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.records.place import check_place
from regbench.sweep.job import Job
from regbench.sweep.refusals import Passed, Refusals
from regbench.sweep.resolution import resolution
from regbench.sweep.wording import distinguishing
from regbench.tables import as_json
from regbench.text import plural

if TYPE_CHECKING:
    import torch

    from regbench.sweep.forecast import Forecast
    from regbench.training.stacking import Group


@dataclass(frozen=True)
class Plan:
    """The distinct runs of a sweep in its order, those that are left to train, and how many came twice."""

    runs: Sequence[Run]
    pending: Sequence[Run]
    groups: "Sequence[Group]"  # of the pending runs: those that train as one model
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


def plan(jobs: Iterable[Job], download: bool = True, quiet: bool = False) -> Plan:
    """Check every job, and find out what is left to train; without `download` absent data stay away.

    `quiet`: no line says that torch is loaded meanwhile.

    Raises:
        UserError: something in one of the jobs does not fit; a RefusedRunsError if it is in some of them only.
        HydraException, OmegaConfBaseException: all jobs cannot be composed, or one chooses an option that there is not.
    """
    runs, duplicates = _distinct(jobs, quiet)
    is_pending = [run.config.force or not run.status().finished for run in runs]
    _check_places(runs, is_pending, download)
    pending = [run for run, left in zip(runs, is_pending, strict=True) if left]
    groups, reasons = _grouped([run.config for run in pending])
    return Plan(runs, pending, groups, reasons, duplicates)


def within(plan: Plan, seconds: float) -> Plan:
    """Let no run begin later than n seconds from now."""
    limit = time.time() + seconds  # on whichever machine it begins
    timed = {run.path: replace(run, begin_before=limit) for run in plan.runs}
    return replace(plan, runs=list(timed.values()), pending=[timed[run.path] for run in plan.pending])


def again(plan: Plan) -> Plan:
    """Find out what is left to train, after some of it was trained."""
    pending = [run for run in plan.pending if not run.status().finished]
    groups, reasons = _grouped([run.config for run in pending])
    return replace(plan, pending=pending, groups=groups, reasons=reasons)


def stacks(runs: Sequence[Run]) -> list[list[Run]]:
    """Divide the runs into those that train as one model."""
    groups, _ = _grouped([run.config for run in runs])
    return [[runs[place] for place in group.places] for group in groups]


def shapes(runs: Sequence[Run], elsewhere: str | None = None) -> list[list[Run]]:
    """Divide the runs into those that could train as one model if it may be large; `elsewhere`: see `find_device`."""
    from regbench.training import stacking

    configs, places_on = [run.config for run in runs], _by_device([run.config for run in runs], elsewhere)
    return [
        [runs[places[place]] for place in group.places]
        for device, places in places_on.items()
        for group in stacking.groups([configs[place] for place in places], device, whole=True)
    ]


def _distinct(jobs: Iterable[Job], quiet: bool) -> tuple[list[Run], int]:
    """Check the jobs; return their runs, each once, and how many came again."""
    runs: dict[Path, Run] = {}
    duplicates = 0
    refusals, techniques, before = Refusals(), _Techniques(), CheckedBefore()
    for job in jobs:  # one by one: the number of a job counts while it is checked
        with refusals.of(job):
            run = before.finished(job.resolved, job.overrides) or _checked(job, techniques, before, quiet)
            duplicates += run.path in runs
            runs.setdefault(run.path, run)
            refusals.passed(run)
    refusals.raise_first()
    return list(runs.values()), duplicates


def _checked(job: Job, techniques: "_Techniques", before: CheckedBefore, quiet: bool) -> Run:
    load_torch(values=None if quiet else job.resolved)
    run = Run(job.check(), job.overrides)
    techniques.check(run.config)
    before.keep(job.resolved, run)
    return run


class _Techniques:
    """Checks what can be refused in a config, once for all seeds."""

    def __init__(self) -> None:
        self._refused: dict[str, UserError | None] = {}

    def check(self, config: RunConfig) -> None:
        key = config.model_dump_json(exclude={"seed", *NO_EFFECT_ON_NUMBERS})
        if key not in self._refused:
            self._refused[key] = _refusal(config)
        if refusal := self._refused[key]:
            raise refusal


def _refusal(config: RunConfig) -> UserError | None:
    from regbench.experiment.checks import check_techniques  # with torch

    try:
        check_techniques(config)
    except UserError as error:
        return error
    return None


def _check_places(runs: Sequence[Run], is_pending: Sequence[bool], download: bool) -> None:
    """Check the data and the machine of the pending runs, and where they are kept."""
    if not any(is_pending):
        return
    from regbench.experiment.checks import check_machine  # with torch

    refusals = Refusals()
    for run, left in zip(runs, is_pending, strict=True):
        with refusals.of(Passed(run)):
            if left:
                check_machine(run.config, download)
                check_place(run.config, run.path)
    refusals.raise_first()


def _by_device(configs: Sequence[RunConfig], elsewhere: str | None = None) -> "dict[torch.device, list[int]]":
    from regbench.training.machine import find_device

    places_on: dict[torch.device, list[int]] = {}
    for place, config in enumerate(configs):
        places_on.setdefault(find_device(config, elsewhere), []).append(place)
    return places_on


def _grouped(configs: Sequence[RunConfig]) -> "tuple[list[Group], list[str]]":
    """Group the runs by device, then those that train as one model; say why there is more than one group."""
    if not configs:
        return [], []
    from regbench.training import stacking

    places_on = _by_device(configs)
    groups: list[stacking.Group] = []
    reasons = [f"runtime.device differs: {', '.join(map(str, places_on))}"] * (len(places_on) > 1)
    for device, places in places_on.items():
        on_device = [configs[place] for place in places]
        stacked = stacking.groups(on_device, device)
        reasons += stacking.reasons(stacked, on_device, device)
        groups += [stacking.Group([places[place] for place in group.places], group.shape) for group in stacked]
    return groups, list(dict.fromkeys(reasons))


def show(plan: Plan, reporter: Reporter, workers: str = "") -> None:
    """Show what trains together, a line for the stacks of each shape, and why it is not all one stack.

    `workers` says which workers would train it, and in which parts.
    """
    if reporter.mode == "off":
        return
    from rich.table import Table
    from rich.text import Text

    table = Table("stacks", "runs", "what", box=None, header_style="bold")
    shared = set.intersection(*(set(run.overrides) for run in plan.runs))
    groups_of: dict[str, list[Group]] = {}
    for group in plan.groups:
        groups_of.setdefault(str(group.shape), []).append(group)
    for groups in groups_of.values():
        overrides = [plan.pending[place].overrides for group in groups for place in group.places]
        table.add_row(str(len(groups)), str(len(overrides)), Text(distinguishing(overrides, shared)))
    if plan.groups:
        reporter.console.print(table)
    for line in [*_why_several(plan), *[workers] * bool(workers)]:
        reporter.say(line)
    if takes := _forecast(plan):
        for line in takes.lines():
            reporter.say(line)
    if plan.pending and (shows := resolution(plan.runs)):
        reporter.say(shows.line())


def _forecast(plan: Plan) -> "Forecast | None":
    """Estimate what the runs will take; None if there is none to train."""
    if not plan.pending:
        return None
    from regbench.sweep.forecast import forecast  # with torch

    return forecast(plan.pending, plan.groups)


def to_json(plan: Plan) -> str:
    """Write the runs with the stacks that they train in, the forecast, and what the seeds can show."""
    stack_of = {plan.pending[place].path: number for number, group in enumerate(plan.groups) for place in group.places}
    takes, shows = _forecast(plan), resolution(plan.runs)
    content = {
        "total": len(plan.runs),
        "to_train": len(plan.pending),
        "duplicates": plan.duplicates,
        "stacks": len(plan.groups),
        "reasons": plan.reasons,
        "forecast": takes and asdict(takes),
        "smallest_difference": shows and asdict(shows),
        "runs": [_entry(run, stack_of.get(run.path)) for run in plan.runs],
    }
    return as_json.document("plan", content)


def _entry(run: Run, stack: int | None) -> dict[str, Any]:
    """Describe a run; `stack` is None if it is done."""
    return {"path": str(run.path), "overrides": list(run.overrides), "status": run.status().state, "stack": stack}


def _why_several(plan: Plan) -> list[str]:
    """Say why there are several stacks."""
    if not plan.reasons:
        return []
    why = "because only seed, init, rates and the like may differ within one"
    return [f"{plural(len(plan.groups), 'stack')}, {why}:", *(f"  {reason}" for reason in plan.reasons)]
