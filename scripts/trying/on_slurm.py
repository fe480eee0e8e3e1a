"""What happens to a sweep on a real Slurm: a function for each scenario, which returns what it saw."""

import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from trying.slurm import Slurm
from trying.sweeps import Sweep, until

_SEEDS = range(4)
_LONG, _LONGER = "epochs=400", "epochs=3000"  # long enough to be caught at it
_ENDLESS = "epochs=1000000"
_QUICK = 5.0  # seconds that Ctrl-C may take
# Slurm's signal comes up to 60 s before the seconds that are set: 20 to 80 s after the start.
_SHORT_JOB = ("hydra.launcher.parameters.timeout_min=3", "+hydra.launcher.parameters.slurm_signal_delay_s=100")
_FEW = "hydra.launcher.parameters.slurm_array_parallelism="

Scenario = Callable[["OnSlurm"], str]
SCENARIOS: dict[str, Scenario] = {}


def _scenario(function: Scenario) -> Scenario:
    SCENARIOS[(function.__doc__ or "").rstrip(".")] = function
    return function


class OnSlurm:
    """Sweeps in a folder, on a Slurm."""

    def __init__(self, slurm: Slurm, folder: Path) -> None:
        self.slurm, self._folder, self._number = slurm, folder, 0

    def sweep(self, *words: str, folder: Path | None = None) -> Sweep:
        """Start a sweep whose jobs are small."""
        self._number += 1
        place = folder or self._folder / str(self._number)
        small = [] if any("mem" in word for word in words) else ["+hydra.launcher.parameters.mem_gb=1"]
        words = ("hydra/launcher=submitit_slurm", *small, *words)
        return Sweep(place, *words, environment=self.slurm.environment)

    def jobs(self, *options: str) -> list[str]:
        """List the ids of the jobs that are queued or run."""
        return self.slurm.says("squeue", "-h", "-r", "-o", "%i", *options).split()

    def job(self, place: int) -> str:
        """Return the id of a job, by its place in the array."""
        return until(lambda: next((job for job in self.jobs() if job.endswith(f"_{place}")), None))

    def state_of(self, node: str) -> str:
        """Return the state of a node."""
        return self.slurm.says("sinfo", "-hNn", node, "-o", "%T")

    def submitted(self) -> int:
        """Count the arrays of jobs that were ever submitted."""
        jobs = self.slurm.says("sacct", "-X", "--noheader", "--parsable2", "--format=JobID").split()
        return len({job.partition("_")[0] for job in jobs})

    def alone(self, *words: str) -> Sweep:
        """Train the same in process."""
        sweep = Sweep(self._folder / f"alone {' '.join(words)}", *words)
        assert sweep.ended() == 0, sweep.err
        return sweep

    @cached_property
    def short(self) -> Sweep:
        """Runs of two epochs in process, to compare with."""
        return self.alone("seed=range(0,4)")

    @cached_property
    def long(self) -> Sweep:
        """Two long runs in process."""
        return self.alone("seed=0,1", _LONG)


@_scenario
def plain(on: OnSlurm) -> str:
    """A plain sweep."""
    sweep = on.sweep("seed=range(0,4)", f"{_FEW}2")
    assert sweep.ended() == 0, sweep.err
    for seed in _SEEDS:
        assert sweep.bits(seed) == on.short.bits(seed)
    return f"rc 0, 4 runs, bits equal to in-process ones; `{sweep.until_said('1 of 4 done')}`"


@_scenario
def cancelled(on: OnSlurm) -> str:
    """Scancel of a running job and five pending ones."""
    sweep = on.sweep("seed=range(0,6)", _ENDLESS, f"{_FEW}1", "hydra.launcher.runs_per_job=1")
    sweep.until_trained(0)
    submitted, job = on.submitted(), on.job(0).partition("_")[0]
    seconds = sweep.seconds_to_end_after(lambda: on.slurm.run("scancel", job))
    assert sweep.ended() == 1
    assert on.submitted() == submitted, "cancelled jobs are submitted again"
    reasons = {re.sub(r"\d+", "N", str(sweep.record(seed)["error"])) for seed in range(6)}
    return f"rc 1 after {seconds:.0f} s, none submitted again, {', '.join(reasons)}"


@_scenario
def one_cancelled(on: OnSlurm) -> str:
    """Scancel of one pending job of two."""
    sweep = on.sweep("seed=0,1", _LONG, f"{_FEW}1", "hydra.launcher.runs_per_job=1")
    sweep.until_trained(0)
    on.slurm.run("scancel", on.job(1))
    assert sweep.ended() == 1
    assert sweep.states([0, 1]) == ["completed", "failed"]
    assert sweep.bits(0) == on.long.bits(0)
    return f"rc 1, the other completed, bits equal; {sweep.record(1)['error']}"


@_scenario
def out_of_time(on: OnSlurm) -> str:
    """Time limit of a running job, again and again."""
    sweep = on.sweep("seed=0,1", _LONGER, *_SHORT_JOB, "hydra.launcher.max_num_timeout=50")
    assert sweep.ended() == 0, sweep.out + sweep.err
    times = len(re.findall("resuming", sweep.log(0)))
    assert times, "it ended within the time limit"
    reference = on.alone("seed=0,1", _LONGER)
    assert [sweep.bits(seed) for seed in (0, 1)] == [reference.bits(seed) for seed in (0, 1)]
    return f"queued again by Slurm, resumed {times} times from its checkpoint, rc 0, bits equal"


@_scenario
def too_late(on: OnSlurm) -> str:
    """Time limit of a job of three runs, max_num_timeout=0."""
    before = on.submitted()
    one = ("hydra.launcher.runs_per_job=3", "hydra.launcher.max_num_timeout=0")
    sweep = on.sweep("seed=range(0,3)", _ENDLESS, *_SHORT_JOB, *one)
    sweep.until_trained(0)
    assert sweep.ended() == 1
    assert on.submitted() == before + 1, "it is submitted again"
    return f"rc 1, {sweep.record(0)['status']}: {sweep.record(0)['error']}"


@_scenario
def node_killed(on: OnSlurm) -> str:
    """A node dies (kill -9 of slurmd and its jobs)."""
    sweep = on.sweep("seed=0,1", _LONG, "hydra.launcher.runs_per_job=1", f"{_FEW}1")
    sweep.until_trained(0)
    node = on.slurm.says("squeue", "-h", "-t", "running", "-o", "%N")
    on.slurm.kill_node(node)
    until(lambda: "down" in on.state_of(node))
    assert sweep.ended() == 0, sweep.out + sweep.err
    on.slurm.start_node(node)
    until(lambda: on.state_of(node) == "idle")
    assert [sweep.bits(seed) for seed in (0, 1)] == [on.long.bits(seed) for seed in (0, 1)]
    return "its run resumed in a new job on the other node, rc 0, bits equal"


@_scenario
def node_down(on: OnSlurm) -> str:
    """A node is set down (scontrol update state=down)."""
    sweep = on.sweep("seed=0,1", _LONG, "hydra.launcher.runs_per_job=1")
    sweep.until_trained(0)
    node = on.slurm.says("squeue", "-h", "-t", "running", "-o", "%N").splitlines()[0]
    on.slurm.run("scontrol", "update", f"nodename={node}", "state=down", "reason=trying")
    code = sweep.ended()
    on.slurm.run("scontrol", "update", f"nodename={node}", "state=resume")
    assert code == 0, sweep.out + sweep.err
    assert [sweep.bits(seed) for seed in (0, 1)] == [on.long.bits(seed) for seed in (0, 1)]
    return "rc 0, bits equal"


@_scenario
def out_of_memory(on: OnSlurm) -> str:
    """Memory limit of a job."""
    sweep = on.sweep("seed=0", "+hydra.launcher.parameters.slurm_mem=60MB", "hydra.launcher.max_failures=1")
    assert sweep.ended() == 1
    return f"rc 1, {sweep.record(0)['error']}"


def _wrong(name: str, word: str) -> None:
    def scenario(on: OnSlurm) -> str:
        before = on.submitted()
        sweep = on.sweep("seed=0,1", word)
        assert sweep.ended() == 2, sweep.err
        assert sweep.err.count("\n") == 1, sweep.err
        assert not on.jobs()
        assert on.submitted() == before
        assert not (sweep.folder / "runs").exists()
        return f"rc 2, nothing submitted; `{sweep.err.strip()}`"

    SCENARIOS[f"Bad {name}"] = scenario


_PARAMETER = "+hydra.launcher.parameters."
for _name, _word in (
    ("partition", f"{_PARAMETER}slurm_partition=nope"),
    ("gres", f"{_PARAMETER}slurm_gres=nope:1"),
    ("GPU that no node has", f"{_PARAMETER}slurm_gres=gpu:1"),
    ("mem", f"{_PARAMETER}slurm_mem=abc"),
    ("mem that no node has", f"{_PARAMETER}mem_gb=9999"),
    ("time", f"{_PARAMETER}slurm_time=abc"),
    ("timeout_min", "hydra.launcher.parameters.timeout_min=abc"),
    ("timeout_min, too short to save", "hydra.launcher.parameters.timeout_min=1"),
    ("name of a parameter", f"{_PARAMETER}slurm_nope=1"),
):
    _wrong(_name, _word)


def _endless(name: str, word: str) -> None:
    def scenario(on: OnSlurm) -> str:
        sweep = on.sweep("seed=0,1", word)
        line = sweep.until_said("pending")
        seconds = sweep.seconds_to_end_after(sweep.interrupt)
        assert not on.jobs()
        assert seconds < _QUICK, f"{seconds} s"
        return f"`{line}`; Ctrl-C: rc {sweep.ended()} after {seconds:.1f} s"

    SCENARIOS[f"{name} (Slurm lets them wait for ever), then Ctrl-C"] = scenario


_endless("More time than the partition has", "hydra.launcher.parameters.timeout_min=100000")
_endless("CPUs that no node has", f"{_PARAMETER}cpus_per_task=64")


@_scenario
def listed(on: OnSlurm) -> str:
    """Ls of queued runs, while the sweep trains and when it was killed."""
    sweep = on.sweep("seed=range(0,4)", _ENDLESS, f"{_FEW}1", "hydra.launcher.runs_per_job=1")
    sweep.until_trained(0)
    alive = sweep.listed()
    sweep.kill()
    gone = sweep.listed()
    on.slurm.run("scancel", "--me")
    assert "1 run: 1 running\n3 runs queued by the sweep on " in alive, alive
    assert "3 runs not begun: the sweep on " in gone, gone
    return f"`{alive.splitlines()[-1]}`; `{gone.splitlines()[-1]}`"


@_scenario
def interrupted(on: OnSlurm) -> str:
    """Ctrl-C with a running and pending jobs."""
    sweep = on.sweep("seed=range(0,4)", _ENDLESS, f"{_FEW}1", "hydra.launcher.runs_per_job=1")
    sweep.until_trained(0)
    seconds = sweep.seconds_to_end_after(sweep.interrupt)
    left = on.jobs()
    assert seconds < _QUICK, f"{seconds} s"
    until(lambda: not on.jobs())
    assert sweep.ended() == 130
    return f"rc 130 after {seconds:.1f} s, {len(left)} jobs left then, the run is {sweep.states([0])[0]}"


@_scenario
def two(on: OnSlurm) -> str:
    """Two starts of a sweep at once."""
    first = on.sweep("seed=range(0,4)", f"{_FEW}2")
    second = on.sweep("seed=range(0,4)", f"{_FEW}2", folder=first.folder)
    codes = [first.ended(), second.ended()]
    assert codes == [0, 0], first.err + second.err
    assert all("4 runs, all completed" in sweep.out for sweep in (first, second))
    assert [first.begun(seed) for seed in _SEEDS] == [1] * 4, "a run is trained twice"
    assert [first.bits(seed) for seed in _SEEDS] == [on.short.bits(seed) for seed in _SEEDS]
    return "rc 0 and 0, each with the whole table, each run trained once, bits equal"
