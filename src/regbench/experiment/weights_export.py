"""Write the network of a run in the formats of other programs; its scaling of pixels is a part of it."""

import io
import logging
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec

import torch

from regbench.errors import not_installed
from regbench.experiment.trained import Trained
from regbench.images import SIDE

_OPSET = 20  # of ONNX: what runtimes of the last years know


def encode(model: Trained, kind: str) -> bytes:
    """Make the content of a file.

    Args:
        model: the network.
        kind: onnx, torchscript or safetensors.

    Raises:
        UserError: a package that the format needs is not installed.
    """
    return _FORMATS[kind](model)


def _example() -> torch.Tensor:
    return torch.zeros(2, SIDE, SIDE)  # torch takes a size of 1 for a constant


def _onnx(model: Trained) -> bytes:
    """Input `images` float32 [n, 28, 28], 0 to 255; output `logits` [n, classes]; n is free."""
    if find_spec("onnx") is None or find_spec("onnxscript") is None:
        raise not_installed("ONNX", "onnx")
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")  # of torch's own deprecated parts
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            model,
            (_example(),),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("n")},),
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


def _torchscript(model: Trained) -> bytes:
    """For `torch.jit.load` and C++: the same input and output."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(model, _example()), buffer)
    return buffer.getvalue()


def _safetensors(model: Trained) -> bytes:
    """The tensors by the names of the network's layers; scale, shift and classes in the header, as text."""
    from safetensors.torch import save

    header = {"scale": repr(model.scale), "shift": repr(model.shift), "classes": "\n".join(model.classes)}
    return save(dict(model.network.state_dict()), metadata=header)


_FORMATS: dict[str, Callable[[Trained], bytes]] = {
    "onnx": _onnx,
    "torchscript": _torchscript,
    "safetensors": _safetensors,
}
