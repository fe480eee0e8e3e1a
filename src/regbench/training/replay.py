"""A training step that is recorded and then replayed, without what Python and autograd do in between."""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from regbench.training import replay_cpu, replay_cuda
from regbench.training.replay_cpu import Replay

Function = Callable[..., Sequence[Tensor]]
Moved = Callable[[], Sequence[Tensor] | None]

WARM_UP = 3  # ordinary calls before the first recording: they make what is made once, such as an optimizer's state
CLOSE = 1e-4  # relative: a replayed step must come as near to the ordinary one, kernels being free to round otherwise


class Replayed:
    """Runs a function that reads its inputs and moves some tensors: recorded once, replayed from then on.

    A first recording is held against the function itself. One that fails or differs is given up for good, and the
    function goes on as it is. What it runs is not kept: it would hold the memory of a stack.
    """

    def __init__(self, told: bool = True) -> None:
        """`told`: whether a recording that fails is worth a warning; one that differs is, in any case."""
        self.given_up = False
        self._told, self._calls, self._held = told, 0, False
        self._shapes: list[torch.Size] = []
        self._replay: Replay | None = None

    def forget(self) -> None:
        """Record anew: something other than the inputs has changed that the function reads."""
        self._replay = None

    def __call__(self, function: Function, moved: Moved, *inputs: Tensor) -> Sequence[Tensor]:
        """What the function returns, which is not written to again.

        `moved` gives the tensors that it changes, or None if it changes other things as well: it is not recorded then.
        """
        shapes = [tensor.shape for tensor in inputs]
        self._shapes = self._shapes or shapes
        if self.given_up or shapes != self._shapes or self._calls < WARM_UP:
            self._calls += 1
            return function(*inputs)
        if not self._held:
            tensors = moved()
            return self._give_up(function, inputs) if tensors is None else self._first(function, tensors, inputs)
        if self._replay:
            return self._replay(*inputs)
        self._replay, outputs = record(function, inputs)
        return outputs

    def _first(self, function: Function, moved: Sequence[Tensor], inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """The first call by replay, held against an ordinary one from the same state."""
        before = [tensor.clone() for tensor in moved]
        try:
            replay, _ = record(function, inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            put(before, moved)
            reason = str(error.__context__ or error).splitlines()[0]
            return self._give_up(function, inputs, reason if self._told else None)
        put(before, moved)
        expected = [*function(*inputs)]
        ordinary = [tensor.clone() for tensor in moved]
        put(before, moved)
        found = [*replay(*inputs)]
        if all(map(near, [*found, *moved], [*expected, *ordinary])):
            self._held, self._replay = True, replay
            return found
        put(before, moved)
        return self._give_up(function, inputs, "it comes to other numbers")

    def _give_up(self, function: Function, inputs: Sequence[Tensor], reason: str | None = None) -> Sequence[Tensor]:
        if reason:
            warnings.warn(f"the training step is not recorded: {reason}", stacklevel=2)
        self.given_up = True
        return function(*inputs)


def record(function: Function, inputs: Sequence[Tensor]) -> tuple[Replay, Sequence[Tensor]]:
    """Call a function: what replays the call with other inputs, and the outputs; by the inputs' device.

    Raises:
        RuntimeError: something in it cannot be recorded.
    """
    return replay_cuda.record(function, inputs) if inputs[0].is_cuda else replay_cpu.record(function, inputs)


@torch.no_grad()
def put(values: Sequence[Tensor], tensors: Sequence[Tensor]) -> None:
    """Copy each value into its tensor."""
    for value, tensor in zip(values, tensors, strict=True):
        tensor.copy_(value)


def near(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors are equal but for rounding, as measured by the largest of their elements."""
    found, expected = found.detach().double(), expected.detach().double()
    size = expected.abs().nan_to_num(0.0, 0.0, 0.0).max().item()
    return torch.allclose(found, expected, rtol=CLOSE, atol=CLOSE * size, equal_nan=True)
