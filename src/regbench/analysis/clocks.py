"""Clocks: which runs were timed while others used the same machine, so that their seconds compare nothing."""

import math
from collections.abc import Iterator

import pandas as pd

from regbench.analysis.groups import column
from regbench.records.metrics import Metric

_CLOCKS = ("seconds", "cpu_seconds")


def is_clock(metric: Metric) -> bool:
    """Tell whether a figure depends on what else the machine did."""
    return metric.name in _CLOCKS


def shared(frame: pd.DataFrame) -> set[str]:
    """Return the paths of the runs that did not have the machine alone, as far as the runs of the frame tell.

    They trained in a stack, beside another run on the same host, or their files do not say.
    """
    paths = column(frame, "path")
    stacked = {path for path, stack in zip(paths, column(frame, "stack"), strict=True) if stack != 1}
    return stacked | set(_beside_others(frame))


def _beside_others(frame: pd.DataFrame) -> Iterator[str]:
    """Name the runs whose time overlaps that of another run on the same host."""
    times = zip(*(column(frame, name) for name in ("host", "started", "finished", "path")), strict=True)
    hosts: dict[str, list[tuple[float, float, str]]] = {}
    for host, started, finished, path in times:
        if started is not math.nan and finished is not math.nan and not (pd.isna(started) or pd.isna(finished)):
            hosts.setdefault(str(host), []).append((started.timestamp(), finished.timestamp(), path))
    for runs in hosts.values():
        latest = (-math.inf, "")  # of the runs that began before, the one that ended last
        for started, finished, path in sorted(runs):
            if started < latest[0]:
                yield from (path, latest[1])
            latest = max(latest, (finished, path))
