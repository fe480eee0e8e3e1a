"""A device is found without setting anything; what torch keeps for the whole process is set in one place."""

import os

import pytest
import torch

from regbench.errors import UserError
from regbench.experiment.checks import check_machine
from regbench.training.machine import find_device, set_up
from support import CPU


@pytest.fixture
def settings(monkeypatch):
    """What torch is told, by name. What it keeps for the process is put back."""
    told = {}
    monkeypatch.setattr(torch, "set_num_threads", lambda number: told.update(threads=number))
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: told.update(device=number))
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda on, **more: told.update(deterministic=on))
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    products, convolutions, filling = torch.backends.cuda.matmul, torch.backends.cudnn, torch.utils.deterministic
    before = products.allow_tf32, convolutions.allow_tf32, filling.fill_uninitialized_memory
    yield told
    products.allow_tf32, convolutions.allow_tf32, filling.fill_uninitialized_memory = before


@pytest.fixture
def gpus(monkeypatch):
    """A machine with two GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize("name", ["auto", "cuda", "cuda:1", "cpu"])
def test_finding_a_device_sets_nothing(make_config, settings, gpus, name):
    config = make_config(f"runtime.device={name}", "runtime.threads=3")
    expected = torch.device("cuda" if name == "auto" else name)
    assert find_device(config) == check_machine(config) == expected
    assert settings == {}
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


def test_a_device_that_is_not_there_is_refused(make_config, gpus):
    with pytest.raises(
        UserError, match=r"^runtime\.device=cuda:2: this machine has no such device\. Allowed here: auto"
    ):
        find_device(make_config("runtime.device=cuda:2"))


@pytest.mark.parametrize(("threads", "expected"), [("3", {"threads": 3}), ("auto", {})])
def test_a_cpu_gets_its_threads(make_config, settings, threads, expected):
    set_up(make_config(f"runtime.threads={threads}"), CPU)
    assert settings == expected


@pytest.mark.parametrize("precision", ["fp32", "tf32"])
def test_a_gpu_repeats_exactly_in_the_precision_that_is_asked_for(make_config, settings, precision):
    set_up(make_config(f"precision={precision}"), torch.device("cuda:1"))
    assert settings == {"device": 1, "deterministic": True}
    assert torch.backends.cuda.matmul.allow_tf32 == torch.backends.cudnn.allow_tf32 == (precision == "tf32")
    assert not torch.utils.deterministic.fill_uninitialized_memory
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"]
