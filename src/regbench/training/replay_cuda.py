"""A function of tensors on CUDA as one graph: Python launches it once instead of launching some hundred kernels."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from regbench.training.replay_cpu import Replay


def record(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]) -> tuple[Replay, Sequence[Tensor]]:
    """Record a call and replay it; return what replays it with inputs of the same shapes, and the outputs.

    Raises:
        RuntimeError: Something in the function cannot be recorded.
    """
    copies = [tensor.clone() for tensor in inputs]
    graph: Any = torch.cuda.CUDAGraph()
    stream = torch.cuda.current_stream()
    try:
        with torch.cuda.graph(graph):
            outputs = function(*copies)
    finally:
        torch.cuda.set_stream(stream)  # a recording that fails may leave its own stream as the current one

    @torch.no_grad()
    def replay(*given: Tensor) -> Sequence[Tensor]:
        for value, tensor in zip(given, copies, strict=True):
            tensor.copy_(value)
        graph.replay()
        return [tensor.clone() for tensor in outputs]

    return replay, replay(*inputs)
