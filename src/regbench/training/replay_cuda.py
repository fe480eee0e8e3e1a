"""A function of tensors on CUDA as one graph: Python launches it once, where it would launch some hundred kernels."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from regbench.training.replay_cpu import Replay


def record(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]) -> tuple[Replay, Sequence[Tensor]]:
    """Record a call and replay it: a function of inputs of the same shapes that replays it again, and the outputs.

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

    @torch.no_grad()
    def replay(*given: Tensor) -> Sequence[Tensor]:
        for value, tensor in zip(given, own, strict=True):
            tensor.copy_(value)
        graph.replay()
        return [tensor.clone() for tensor in outputs]

    return replay, replay(*inputs)
