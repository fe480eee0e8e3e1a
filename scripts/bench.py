"""Timings, as ratios on one machine: `scripts/bench epoch`. Nothing here is asserted: machines are noisy."""

import click

from benchmarks.epoch import epoch
from benchmarks.launchers import launchers
from benchmarks.memory import memory
from benchmarks.peers import peers
from benchmarks.plan import plan
from benchmarks.scale import scale
from benchmarks.stack import stack
from benchmarks.startup import startup
from benchmarks.summary import summary
from benchmarks.sweep import sweep
from benchmarks.timings import timings


@click.group()
def main() -> None:
    """Compare regbench with what people would write instead."""


for command in (epoch, launchers, memory, peers, plan, scale, stack, startup, summary, sweep, timings):
    main.add_command(command)


if __name__ == "__main__":
    main()
