"""Train thousands of short runs in one sweep, and print whether memory, threads and open files grow.

`scripts/soak --runs 2000` in this process, `--launcher processes` in workers. A line for every hundred runs.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import click
import psutil

_TINY = ("model.hidden=[8]", "data.train_size=200", "data.val_size=100", "epochs=1", "runtime.threads=1")
_HEAD = f"{'runs':>6} {'seconds':>8} {'MB':>7} {'threads':>8} {'files':>6}"


def _measured(process: psutil.Process) -> tuple[float, int, int]:
    """Return the memory in MB, threads and open files of the process and its workers."""
    family = [process, *process.children(recursive=True)]
    memory = sum(one.memory_info().rss for one in family) / 1e6
    return memory, sum(one.num_threads() for one in family), sum(one.num_fds() for one in family)


def _start(words: list[str], folder: str) -> int:
    """Start the sweep in a process of its own; return its id."""
    child = os.fork()
    if child == 0:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.chdir(folder)
        os.execv(sys.executable, [sys.executable, "-m", "regbench", "train", "-m", *words])
    return child


@click.command()
@click.option("--runs", default=2000, show_default=True, help="How many.")
@click.option("--each", default=100, show_default=True, help="Runs to a line.")
@click.option("--launcher", default="local", show_default=True, type=click.Choice(["local", "processes"]))
@click.argument("words", nargs=-1)
def main(runs: int, each: int, launcher: str, words: tuple[str, ...]) -> None:
    """Train runs that differ in their seed; WORDS are more overrides, as runtime.stack=1."""
    tiny = [word for word in _TINY if not any(given.startswith(f"{word.partition('=')[0]}=") for given in words)]
    with tempfile.TemporaryDirectory() as folder:
        child = _start([f"seed=range(0,{runs})", f"hydra/launcher={launcher}", *tiny, *words], folder)
        process, start, last = psutil.Process(child), time.monotonic(), 0
        print(_HEAD, flush=True)
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            done = sum(1 for _ in Path(folder).glob("runs/*/*/model.safetensors"))
            if done // each > last // each:
                memory, threads, files = _measured(process)
                print(f"{done:>6} {time.monotonic() - start:>8.1f} {memory:>7.0f} {threads:>8} {files:>6}", flush=True)
                last = done
            time.sleep(0.25)


if __name__ == "__main__":
    main()
