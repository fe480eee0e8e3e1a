"""A run's state on disk: reading one executes nothing in it. The only module of records that needs torch."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    Weights = Mapping[str, Tensor]


def encode(state: Mapping[str, Any]) -> bytes:
    """Turn a state of tensors and plain values into the content of checkpoint.pt."""
    import torch

    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    return buffer.getvalue()


def read(path: Path, identity: str) -> dict[str, Any] | None:
    """The saved state of the run with this identity; None without one, or where it is damaged or another run's."""
    import torch

    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception:  # whatever a damaged file makes torch raise
        return None
    whole = isinstance(state, dict) and state.keys() >= {"identity", "rows", "layers", "epoch"}
    return state if whole and state["identity"] == identity else None


def encode_weights(weights: "Weights") -> bytes:
    """Turn parameters and running statistics into the content of model.safetensors."""
    from safetensors.torch import save

    return save(dict(weights))
