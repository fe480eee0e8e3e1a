"""A training step on CUDA as one graph: Python launches it once, where it would launch some hundred kernels."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Function = Callable[..., Sequence[Tensor]]
Replay = Callable[..., Sequence[Tensor]]

WARM_UP = 3  # ordinary calls before the first recording: they make what is made once, such as an optimizer's state
CLOSE = 1e-4  # relative: a replayed step must come as near to the ordinary one, kernels being free to round otherwise


class Replayed:
    """Runs a function that reads its inputs and moves some tensors: recorded as a CUDA graph, replayed from then on.

    A first recording is held against the function itself. One that fails or differs is given up for good, with a
    warning, and the function goes on as it is. What it runs is not kept: it would hold the memory of a stack.
    """

    def __init__(self) -> None:
        self._calls = 0
        self._shapes: list[torch.Size] = []
        self._replay: Replay | None = None
        self._state = "new"  # or good, or bad

    def forget(self) -> None:
        """Record anew: something other than the inputs has changed that the function reads."""
        self._replay = None

    def __call__(self, function: Function, moved: Callable[[], Sequence[Tensor]], *inputs: Tensor) -> Sequence[Tensor]:
        """What the function returns, which is not written to again; `moved` gives the tensors that it changes."""
        shapes = [tensor.shape for tensor in inputs]
        self._shapes = self._shapes or shapes
        if self._state == "bad" or shapes != self._shapes or self._calls < WARM_UP:
            self._calls += 1
            return function(*inputs)
        if self._state == "new":
            return self._first(function, moved, inputs)
        self._replay = self._replay or record(function, inputs)
        return self._replay(*inputs)

    def _first(
        self, function: Function, moved: Callable[[], Sequence[Tensor]], inputs: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """The first call by replay, held against an ordinary one from the same state."""
        before = [tensor.clone() for tensor in moved()]
        try:
            replay = record(function, inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            put(before, moved())
            return self._give_up(str(error.__context__ or error).splitlines()[0], function(*inputs))
        expected = [*function(*inputs)]
        ordinary = [tensor.clone() for tensor in moved()]
        put(before, moved())
        found = [*replay(*inputs)]
        if all(map(near, [*found, *moved()], [*expected, *ordinary])):
            self._state, self._replay = "good", replay
            return found
        put(ordinary, moved())
        return self._give_up("it comes to other numbers", expected)

    def _give_up(self, reason: str, outputs: Sequence[Tensor]) -> Sequence[Tensor]:
        warnings.warn(f"the training step is not run as a CUDA graph: {reason}", stacklevel=2)
        self._state = "bad"
        return outputs


def record(function: Function, inputs: Sequence[Tensor]) -> Replay:
    """Record a call, which moves nothing yet: a function of inputs of the same shapes that replays it.

    Raises:
        RuntimeError: something in it cannot be recorded.
    """
    own = [tensor.clone() for tensor in inputs]
    graph: Any = torch.cuda.CUDAGraph()
    stream = torch.cuda.current_stream()
    try:
        with torch.cuda.graph(graph):
            outputs = function(*own)
    finally:
        torch.cuda.set_stream(stream)  # a recording that failed may leave its own

    def replay(*given: Tensor) -> Sequence[Tensor]:
        put(given, own)
        graph.replay()
        return [tensor.clone() for tensor in outputs]

    return replay


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
