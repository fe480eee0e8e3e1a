"""One checked run: what it is, and where it is kept."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regbench.config.run_config import RunConfig
from regbench.records.run_status import RunStatus, run_path

if TYPE_CHECKING:
    from regbench.records.run_dir import RunDir

Stop = Callable[[Sequence[Mapping[str, Any]]], bool]  # decides from the rows of metrics.csv so far


@dataclass(frozen=True)
class Run:
    """One checked run, and the overrides that say what it is. To look at it takes no torch.

    Attributes:
        stop: decides after each epoch whether to prune it.
        trial: the search that chose its values, and the number.
        known_digest: the digest of its data, where it was taken before.
        begin_before: a time in seconds since 1970: a sweep that reaches the run later leaves it untrained.
    """

    config: RunConfig
    overrides: Sequence[str]
    stop: Stop | None = None
    trial: tuple[str, int] | None = None
    begin_before: float | None = None
    known_digest: str | None = None

    @property
    def origin(self) -> dict[str, Any]:
        """What run.json says of where the run comes from."""
        search = {"search": dict(zip(("name", "trial"), self.trial, strict=True))} if self.trial else {}
        return {"overrides": list(self.overrides), **search}

    @property
    def is_late(self) -> bool:
        """Whether the time in which it may begin is over."""
        return self.begin_before is not None and time.time() >= self.begin_before

    @cached_property
    def data_digest(self) -> str:
        """Sha256 over the data: the same folder may hold other images tomorrow."""
        if self.known_digest:
            return self.known_digest
        from regbench.data.datasets import digest

        return digest(self.config.data.name, self.config.data.args.get("path"))

    @cached_property
    def identity(self) -> str:
        """Sha256 over everything that can change a number: the config and the data."""
        return self.config.identity(self.data_digest)

    @cached_property
    def path(self) -> Path:
        """The run's directory, which may not exist yet."""
        return run_path(self.config, self.identity)

    def status(self) -> RunStatus:
        """Look at the directory as it is now."""
        return RunStatus.read(self.path, self.identity)

    def directory(self, alone: bool = False) -> "RunDir":
        """The directory to write into, inside a `with` block; `alone`: the run is no part of a sweep."""
        from regbench.records.run_dir import RunDir
        from regbench.training.state_needs import StateNeeds

        wish = self.config.runtime.keep_state
        keeps_state = alone if wish == "auto" else wish
        return RunDir(self.config, self.identity, partial(StateNeeds, self.config), keeps_state)
