import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from regbench.config.registry import Option
    from regbench.config.run_config import RunConfig
    from support import Ended, Train

# Before torch is imported: threads gain nothing on small tensors, and wait for each other on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No example has to be quick: the machine may be busy.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """Keep the garbage collector off the modules that are imported by now.

    A collection visits every object of torch and pandas, 0.35 s each (AMD Zen 3), and statsmodels asks for one with
    every correction of p-values.
    """
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _power_stays_on() -> Iterator[None]:
    """Wait for no disk: 6 ms for each file written (AMD Zen 3), some twenty for each run.

    Processes that the tests start do wait.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave the user's cache alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def _own_files_read_once() -> Iterator[None]:
    """Have Hydra parse its own files and conf/ once; files of the user's are read each time."""
    from support import files_read_once

    with files_read_once():
        yield


@pytest.fixture(scope="session")
def make_config() -> "Callable[..., RunConfig]":
    """`make_config("norm=batch", "seed=1")`; the same overrides are composed once."""
    from support import composed

    return composed


@pytest.fixture(scope="session")
def make_option() -> "Callable[..., Option]":
    """`make_option("optimizer", "sgd", momentum=0.9)`; quicker than a whole config."""
    from support import option_of

    return option_of


@pytest.fixture
def own_process(monkeypatch, tmp_path, _own_files_read_once) -> Iterator[None]:
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
def train(own_process, capfd) -> "Train":
    """`train("norm=batch")`: `regbench train norm=batch`, in this process."""
    from regbench.cli import train as cli
    from support import Ended

    def call(*arguments: str) -> "Ended":
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.train(arguments)
        output = capfd.readouterr()
        return Ended(ended.value.code or 0, output.out, output.err)

    return call
