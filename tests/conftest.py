import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from regbench import app
from regbench.app import config_dir
from regbench.config import RunConfig, check, registries
from regbench.techniques.registry import Option

# Before torch is imported: threads gain nothing on small tensors, and wait for one another on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@cache
def composed(*overrides: str) -> RunConfig:
    """The run that `regbench train OVERRIDES` would train: composed by Hydra from conf/, then checked."""
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        values: Any = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
    return check(values)


def option_of(axis: str, name: str, **changes: Any) -> Option:
    """An option with the values of its YAML file, some of them changed, checked."""
    values: Any = OmegaConf.to_container(OmegaConf.load(config_dir() / axis / f"{name}.yaml"))
    return registries()[axis].check(values | changes)


@pytest.fixture(scope="session")
def make_config() -> Callable[..., RunConfig]:
    """`make_config("norm=batch", "seed=1")`; the same overrides are composed once."""
    return composed


@pytest.fixture(scope="session")
def make_option() -> Callable[..., Option]:
    """`make_option("optimizer", "sgd", momentum=0.9)`; quicker than a whole config."""
    return option_of


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Train = Callable[..., Ended]


@pytest.fixture
def own_process(monkeypatch, tmp_path) -> Iterator[None]:
    """What the command changes in its process, put back; an empty current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    import torch

    threads, handlers, level = torch.get_num_threads(), logging.root.handlers[:], logging.root.level
    yield
    torch.set_num_threads(threads)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def train(own_process, capfd) -> Train:
    """`train("norm=batch")`: `regbench train norm=batch`, in this process."""

    def call(*arguments: str) -> Ended:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            app.train(arguments)
        output = capfd.readouterr()
        return Ended(ended.value.code or 0, output.out, output.err)

    return call
