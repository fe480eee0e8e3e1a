"""One job of a sweep."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, open_dict

from regbench.config.run_config import RunConfig, flat
from regbench.experiment.checks import checked
from regbench.experiment.resolving import Composed, resolved


@dataclass(frozen=True)
class Job:
    """The overrides of a job, and what they compose to, without Hydra's own node."""

    overrides: Sequence[str]
    composed: Composed
    error: Exception | None = None  # why the overrides cannot be composed: `composed` holds them all the same

    def check(self) -> RunConfig:
        """Return the run that the job means; raise what `checked` raises, or why it cannot be composed."""
        if self.error:
            raise self.error
        return checked(self.composed)

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
