"""One checked run, and its directory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from regbench.config.run_config import RunConfig
from regbench.data.datasets import digest
from regbench.records.run_dir import RunDir

Stop = Callable[[Sequence[Mapping[str, Any]]], bool]  # asked with the rows of metrics.csv, so far


@dataclass(frozen=True, slots=True)
class Run:
    """One checked run, and the overrides that say what it is; `stop` decides after each epoch whether it is pruned."""

    config: RunConfig
    overrides: Sequence[str]
    stop: Stop | None = None


def directory(config: RunConfig) -> RunDir:
    """The run's directory, with what is known of the run already; makes nothing."""
    return RunDir(config, config.identity(digest(config.data.name, config.data.args.get("path"))))
