"""What a GPU would be asked to do in a step of a stack: seen on the CPU, where the same operations are carried out."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from regbench.training import network
from regbench.training.stack import Stack
from support import CPU, SMALL, SMALL_CNN, batch, composed

RUNS = 3
MOST = 40  # launches of a step of the stacked mlp with adam; 35 with torch 2.14
FREE = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view"}  # no kernel
# Operations that wait for the GPU, or copy a number of Python to it, which a recording of CUDA refuses.
WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "lift_fresh", "_unique2", "item"}


class Launches(TorchDispatchMode):
    """Counts the operations that start a kernel: all that write new or old memory, so no views and no allocations."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, operation: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        name = operation._schema.name.removeprefix("aten::")
        assert name not in WAITS, f"{name} waits for the device"
        result = operation(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            assert result.device == CPU
        view = all(value.alias_info and not value.alias_info.is_write for value in operation._schema.returns)
        if name not in FREE and (operation._schema.is_mutable or not view):
            self.names[name] += 1
        return result


def launches(monkeypatch: pytest.MonkeyPatch, *overrides: str) -> Counter[str]:
    """The operations of a whole step, by name, as a GPU gets them: with the layers of all runs at once."""
    monkeypatch.setattr(network, "RUN_BY_RUN", set())
    stack = Stack([composed(*overrides, f"seed={seed}") for seed in range(RUNS)], CPU)
    stack.begin_epoch(0)
    images, labels = batch(RUNS)
    stack.step(images, labels)  # makes what the optimizer remembers
    with Launches() as counted:
        stack.step(images, labels)
    return counted.names


def test_a_step_of_the_stacked_mlp_has_few_launches(monkeypatch):
    names = launches(monkeypatch, *SMALL)
    assert names["_fused_adam_"] == 1, "one for all weights of all runs"
    assert names.total() <= MOST, names


@pytest.mark.parametrize(
    "overrides",
    [
        SMALL_CNN,
        (*SMALL, "norm=batch"),
        (*SMALL, "norm=layer", "regularizer=elastic_net"),
        (*SMALL, "clip_norm=1", "clip_value=0.1", "max_norm=2", "label_smoothing=0.1"),
        (*SMALL, "optimizer=sgd", "optimizer.momentum=0.9"),
        (*SMALL, "precision=bf16"),
    ],
    ids=" ".join,
)
def test_nothing_in_a_step_waits_for_the_device(monkeypatch, overrides):
    assert launches(monkeypatch, *overrides).total() > 0


def test_an_operation_that_waits_is_seen():
    with pytest.raises(AssertionError, match="_local_scalar_dense waits"), Launches():
        torch.ones(1).sum().item()
