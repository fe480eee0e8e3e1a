"""How things are timed: in fresh processes and in turn, the best of some rounds."""

import multiprocessing
import resource
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from omegaconf import OmegaConf

from regbench.config.location import config_dir
from regbench.config.run_config import RunConfig
from regbench.experiment.checks import check
from regbench.experiment.resolving import resolved

T = TypeVar("T")


def fresh(function: Callable[..., T], *arguments: Any) -> T:
    """What a function returns in a new process."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as process:
        return process.submit(function, *arguments).result()


def best_of(rounds: int, contenders: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """The fewest seconds of each contender. They take turns, so that a slow moment of the machine meets all."""
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, contender in contenders.items():
            best[name] = min(best[name], contender())
    return best


def config_of(overrides: list[str]) -> RunConfig:
    """The run that the overrides mean."""
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        task = OmegaConf.masked_copy(compose("config", overrides), list(RunConfig.model_fields))
    return check(resolved(task))


def peak_memory() -> int:
    """Bytes that this process has held in main memory at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
