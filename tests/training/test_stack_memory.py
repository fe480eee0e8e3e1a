"""What a stack holds at most is what planning counts on."""

import weakref
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from regbench.training.replay import WARM_UP
from regbench.training.stack import Stack
from regbench.training.stacking import MEMORY_SHARE, run_memory
from support import CPU, composed


class Memory(TorchDispatchMode):
    """Counts the bytes of all tensors that operations make, and the most that there are at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.most = 0
        self.known: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, operation: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self.add(tensor.untyped_storage())
        return result

    def add(self, storage: torch.UntypedStorage) -> None:
        place, size = storage._cdata, storage.nbytes()
        if place in self.known or storage.device.type == "meta":
            return
        self.known.add(place)
        self.bytes += size
        self.most = max(self.most, self.bytes)
        weakref.finalize(storage, self.remove, place, size)

    def remove(self, place: int, size: int) -> None:
        self.known.discard(place)
        self.bytes -= size


def most_held(runs: int, *overrides: str) -> int:
    """Bytes that a stack holds at most in its first steps; the recording is compared with an ordinary step there."""
    images, labels = torch.rand(runs, 100, 28, 28), torch.randint(10, (runs, 100))
    with Memory() as memory:
        stack = Stack([composed(*overrides, f"seed={seed}") for seed in range(runs)], CPU)
        stack.begin_epoch(0)
        for _ in range(WARM_UP + 3):
            stack.step(images, labels)
    return memory.most


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param(("model.hidden=[256,256]",), marks=pytest.mark.slow),
        ("model.hidden=[64]", "norm=batch"),
        pytest.param(("model=cnn", "model.channels=[4,8]"), marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_a_run_of_a_stack_takes_at_most_what_planning_counts_on(overrides):
    a_run = (most_held(5, *overrides) - most_held(2, *overrides)) / 3
    counted = run_memory(composed(*overrides)) / MEMORY_SHARE
    assert counted / 4 < a_run < counted, f"{a_run / 1e6:.1f} MB of {counted / 1e6:.1f} MB"
