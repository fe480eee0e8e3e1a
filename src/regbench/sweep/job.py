"""One job of a sweep."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from omegaconf import DictConfig, open_dict

from regbench.config.run_config import RunConfig, flat
from regbench.experiment.resolving import Composed, resolved


@dataclass(frozen=True)
class Job:
    """The overrides of a job, and what they compose to, without Hydra's own node."""

    overrides: Sequence[str]
    composed: Composed
    error: Exception | None = None  # why the overrides cannot be composed: `composed` holds them all the same

    @cached_property
    def resolved(self) -> dict[str, Any]:
        """What was composed, as plain values; without them the reason is raised.

        Raises:
            HydraException, OmegaConfBaseException: the overrides cannot be composed; an interpolation leads nowhere.
            UserError: a value reads the environment.
        """
        if self.error:
            raise self.error
        return resolved(self.composed)

    def check(self) -> RunConfig:
        """Return the run that the job means; raise what `checks.check` raises, or why there are no values."""
        from regbench.experiment.checks import check  # with torch

        return check(self.resolved)

    def values(self) -> dict[str, Any]:
        """Return the values of the config by their keys, as conditions use them: `{"norm": "batch", "norm.eps": …}`.

        Raises:
            OmegaConfBaseException: an interpolation leads nowhere.
        """
        return dict(flat(resolved(self.composed, complete=False)))


def without_hydra(composed: DictConfig) -> DictConfig:
    """Copy a config without Hydra's own node, as a task sees it."""
    task = copy.deepcopy(composed)
    with open_dict(task):
        del task["hydra"]
    return task
