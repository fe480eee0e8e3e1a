"""`scripts/bench plan`: what it takes to plan a sweep."""

import tempfile
import time

import click
from rich.console import Console
from rich.table import Table

from benchmarks.measure import fresh, peak_memory
from regbench.config.location import config_dir

_GRID = (
    "norm=none,batch,layer,group",
    "init=xavier,kaiming,orthogonal,lecun,normal",
    "optimizer.lr=0.1,0.03,0.01,0.003,0.001",
)  # 100 combinations


@click.command()
@click.argument("jobs", type=click.IntRange(100), nargs=-1)
def plan(jobs: tuple[int, ...]) -> None:
    """Compose, check and plan a sweep of n JOBS (default: 100, 1,000 and 10,000), training nothing."""
    columns = ("jobs", "seconds", "of CPU", "ms per job", "MB more")
    table = Table(*columns, title="planning a sweep, each in a new process")
    for count in jobs or (100, 1_000, 10_000):
        seconds, of_cpu, memory = fresh(planned, count)
        per_job = f"{seconds / count * 1e3:.2f}"
        table.add_row(f"{count:,}", f"{seconds:.2f}", f"{of_cpu:.2f}", per_job, f"{memory / 1e6:,.0f}")
    Console().print(table)


def planned(jobs: int) -> tuple[float, float, int]:
    """Seconds to plan a grid, those of the processor, and bytes by which they raise the process's peak of memory."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    from regbench.sweep.compose import Composer
    from regbench.sweep.grid import expand
    from regbench.sweep.plan import plan

    with tempfile.TemporaryDirectory() as folder, initialize_config_dir(str(config_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        words = [*_GRID, f"seed=range(0,{jobs // 100})", f"runtime.dir={folder}"]
        master = loader.load_configuration("config", words, RunMode.MULTIRUN)
        before, start, start_of_cpu = peak_memory(), time.perf_counter(), time.process_time()
        found = plan(Composer(master, loader).jobs(expand(loader, {}, words)))
        seconds, of_cpu = time.perf_counter() - start, time.process_time() - start_of_cpu
    assert len(found.pending) == jobs
    return seconds, of_cpu, peak_memory() - before
