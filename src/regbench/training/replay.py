"""A training step that is recorded once and then replayed, without the work of Python and autograd."""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from regbench.training import replay_cpu, replay_cuda
from regbench.training.replay_cpu import Replay

_Function = Callable[..., Sequence[Tensor]]
_Moved = Callable[[], Sequence[Tensor] | None]

WARM_UP = 3  # ordinary calls before the first recording: they make what is made once, such as an optimizer's state
_CLOSE = 1e-4  # relative difference that a replayed step may have from an ordinary one: kernels may round otherwise


class Replayed:
    """Calls a function that reads its inputs and changes some tensors: records it once and replays it from then on.

    The first recording is compared with an ordinary call. If it fails or differs, all calls from then on are ordinary.
    The function is not kept, because it would hold the memory of a stack.
    """

    def __init__(self, warn: bool = True) -> None:
        """`warn`: whether to warn if the recording fails; if its replay differs, there is always a warning."""
        self.given_up = False
        self._warn, self._calls, self._compared = warn, 0, False
        self._shapes: list[torch.Size] = []
        self._replay: Replay | None = None

    def forget(self) -> None:
        """Record again at the next call, because the function reads something else that has changed."""
        self._replay = None

    def __call__(self, function: _Function, moved: _Moved, *inputs: Tensor) -> Sequence[Tensor]:
        """Return what the function returns; later calls do not write to it, nor may the caller.

        `moved` gives the tensors that the function changes. It gives None if the function changes anything else as
        well: then it is not recorded.
        """
        shapes = [tensor.shape for tensor in inputs]
        self._shapes = self._shapes or shapes
        if self.given_up or shapes != self._shapes or self._calls < WARM_UP:
            self._calls += 1
            return function(*inputs)
        if not self._compared:
            tensors = moved()
            return self._give_up(function, inputs) if tensors is None else self._first(function, tensors, inputs)
        if self._replay:
            return self._replay(*inputs)
        self._replay, outputs = record(function, inputs)
        return outputs

    def _first(self, function: _Function, moved: Sequence[Tensor], inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """Make the first recording and compare it with an ordinary call from the same state."""
        before = [tensor.clone() for tensor in moved]
        try:
            replay, _ = record(function, inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            _put(before, moved)
            reason = str(error.__context__ or error).splitlines()[0]
            return self._give_up(function, inputs, reason if self._warn else None)
        _put(before, moved)
        expected = [*function(*inputs)]
        ordinary = [tensor.clone() for tensor in moved]
        _put(before, moved)
        outputs = [*replay(*inputs)]
        if all(map(_near, [*outputs, *moved], [*expected, *ordinary])):
            self._compared, self._replay = True, replay
            return outputs
        _put(before, moved)
        return self._give_up(function, inputs, "its replay gives other numbers")

    def _give_up(self, function: _Function, inputs: Sequence[Tensor], reason: str | None = None) -> Sequence[Tensor]:
        if reason:
            warnings.warn(f"the training step is not recorded: {reason}", stacklevel=2)
        self.given_up = True
        return function(*inputs)


def record(function: _Function, inputs: Sequence[Tensor]) -> tuple[Replay, Sequence[Tensor]]:
    """Call a function; return what replays the call with other inputs, and the outputs. The inputs' device decides how.

    Raises:
        RuntimeError: Something in the function cannot be recorded.
    """
    return replay_cuda.record(function, inputs) if inputs[0].is_cuda else replay_cpu.record(function, inputs)


@torch.no_grad()
def _put(values: Sequence[Tensor], tensors: Sequence[Tensor]) -> None:
    """Copy each value into its tensor."""
    for value, tensor in zip(values, tensors, strict=True):
        tensor.copy_(value)


def _near(replayed: Tensor, ordinary: Tensor) -> bool:
    """Whether two tensors are equal except for rounding, relative to the largest element of the ordinary one."""
    replayed, ordinary = replayed.detach().double(), ordinary.detach().double()
    size = ordinary.abs().nan_to_num(0.0, 0.0, 0.0).max().item()
    return torch.allclose(replayed, ordinary, rtol=_CLOSE, atol=_CLOSE * size, equal_nan=True)
