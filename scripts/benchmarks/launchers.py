"""`scripts/bench launchers`: what a launcher adds to a run, by sweeps whose runs take next to no time."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

import click
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.measure import best_of
from regbench.sweep.engines.units import cores

_TINY = ("model.hidden=[8]", "data.train_size=200", "data.val_size=100", "epochs=1", "runtime.threads=1")
_NODES = 2
_ALONE = "in process"
_CLUSTER = "Ray, a cluster of two nodes"


@click.command()
@click.option("--runs", default=200, show_default=True)
@click.option("--rounds", default=1, show_default=True, help="The best of n is shown.")
@click.option("--only", multiple=True, metavar="WORD", help="Only ways whose name has the word; may be repeated.")
def launchers(runs: int, rounds: int, only: tuple[str, ...]) -> None:
    """Tiny runs by each launcher with two workers, as whole commands from start to table.

    Slurm takes part where sbatch finds one: see `scripts/try_slurm up`.
    """
    ways = {name: words for name, words in _ways().items() if not only or any(word in name for word in only)}
    with _ray_of_two_nodes() if _CLUSTER in ways else nullcontext("") as address:
        ways = {name: [word.format(address=address) for word in words] for name, words in ways.items()}
        seconds = best_of(rounds, {name: partial(_seconds, words, runs) for name, words in ways.items()})
    _show(seconds, runs)


def _ways() -> dict[str, list[str]]:
    """What each way adds to the command."""
    two = f"hydra.launcher.n_jobs={_NODES}"
    ways = {
        _ALONE: [],
        "processes": ["hydra/launcher=processes", two],
        "Ray, started here": ["hydra/launcher=ray", f"+hydra.launcher.init.num_cpus={_NODES}"],
        _CLUSTER: ["hydra/launcher=ray", "hydra.launcher.address={address}"],
    }
    if os.environ.get("SLURM_CONF"):
        array = f"hydra.launcher.parameters.slurm_array_parallelism={_NODES}"
        ways["Slurm"] = ["hydra/launcher=submitit_slurm", array, "+hydra.launcher.parameters.mem_gb=1"]
    return ways


def _seconds(words: Sequence[str], runs: int) -> float:
    """Seconds of one way's command."""
    command = [sys.executable, "-m", "regbench", "train", "-m", f"seed=range(0,{runs})", *_TINY, *words]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


@contextmanager
def _ray_of_two_nodes() -> Iterator[str]:
    """Start a Ray cluster of two nodes on this machine; yield its address."""
    with tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True) as folder:  # short: of Ray's sockets
        os.environ |= {"RAY_worker_niceness": "0", "RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": folder}
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        try:
            cluster.add_node(num_cpus=_NODES - 1)
            yield str(cluster.address)
        finally:
            cluster.shutdown()


def _show(seconds: Mapping[str, float], runs: int) -> None:
    """A row for each way."""
    title = f"{runs} tiny runs, {cores()} cores, torch {torch.__version__}"
    table = Table("", "seconds", "ms a run", "more than in process", title=title)
    for name, value in seconds.items():
        more = f"{(value - seconds[_ALONE]) / runs * 1000:+.0f} ms a run" if _ALONE in seconds else ""
        table.add_row(name, f"{value:.1f}", f"{value / runs * 1000:.0f}", more)
    Console().print(table)
