"""One job of a sweep."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import DictConfig, open_dict

from regbench.config.run_config import RunConfig
from regbench.experiment.checks import checked


@dataclass(frozen=True)
class Job:
    """The overrides of a job, and what they compose to, without Hydra's own node."""

    overrides: Sequence[str]
    composed: DictConfig

    def check(self) -> RunConfig:
        """Return the run that the job means; raise what `checked` raises."""
        return checked(self.composed)


def without_hydra(composed: DictConfig) -> DictConfig:
    """Copy a config without Hydra's own node, as a task sees it."""
    task = copy.deepcopy(composed)
    with open_dict(task):
        del task["hydra"]
    return task
