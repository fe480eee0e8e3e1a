"""A run's state on disk: whole, or not used. Reading one executes nothing in it. The only module that needs torch."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import Field, Strict, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # which pydantic wants before Python 3.12

from regbench.guarded import ODD, read_bounded
from regbench.records.rows import Epoch, LayerFigures

if TYPE_CHECKING:
    from torch import Tensor

    Weights = Mapping[str, Tensor]

_MOST_BYTES = 2**30  # of a checkpoint where nobody says how large a run's may be


class Needs(Protocol):
    """What a run needs of a saved state to resume from it."""

    most_bytes: int  # of its file

    def fault(self, state: Mapping[str, Any]) -> str | None:
        """Say in one line why the run cannot resume from the state; None where it can."""


class DamagedError(Exception):
    """The text says in one line why a checkpoint is not used."""


_Strict = Annotated[int, Strict(), Field(ge=1)]


class _Kept(TypedDict):
    """The parts of a state that hold no tensors."""

    identity: Annotated[str, Strict()]
    epoch: _Strict
    rows: list[Epoch]
    layers: list[LayerFigures]


_KEPT = TypeAdapter(_Kept)
_FIELDS = {"rows": set(Epoch.__dataclass_fields__), "layers": set(LayerFigures.__dataclass_fields__)}


def encode(state: Mapping[str, Any]) -> bytes:
    """Turn a state of tensors and plain values into the content of checkpoint.pt."""
    import torch

    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    return buffer.getvalue()


def read(path: Path, identity: str, needs: Needs | None = None) -> dict[str, Any]:
    """Read the saved state of the run with this identity, which must be whole and fit what the run needs.

    Raises:
        OSError: there is none, or it cannot be read now.
        DamagedError: it is damaged, another run's, or does not fit.
    """
    try:
        content = read_bounded(path, needs.most_bytes if needs else _MOST_BYTES)
    except OSError as error:
        if error.errno not in ODD:
            raise
        raise DamagedError(str(error.strerror)) from None
    _check_archive(content)
    state = _loaded(content)
    if reason := _fault(state, identity) or (needs.fault(state) if needs else None):
        raise DamagedError(reason)
    return state


def _check_archive(content: bytes) -> None:
    """Raise DamagedError unless the sums in the archive hold, and it is not packed: torch packs nothing."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            packed = any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist())
            odd = None if packed else archive.testzip()
    except Exception as error:  # whatever a damaged archive makes zipfile raise
        raise DamagedError(f"no whole archive ({type(error).__name__})") from None
    if packed or odd:
        raise DamagedError("compressed, as regbench writes none" if packed else f"the checksum of {odd} is wrong")


def _loaded(content: bytes) -> dict[str, Any]:
    import torch

    try:
        state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:  # whatever a damaged file makes torch raise
        raise DamagedError(f"cannot be read ({type(error).__name__})") from None
    if not isinstance(state, dict):
        raise DamagedError("holds no state")
    return state


def _fault(state: Mapping[str, Any], identity: str) -> str | None:
    """Say what is wrong with the parts that hold no tensors."""
    try:
        kept = _KEPT.validate_python({key: state[key] for key in _Kept.__annotations__ if key in state})
    except (ValidationError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": "nested too deeply"}
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if kept["identity"] != identity:
        return "belongs to another run"
    for name, fields in _FIELDS.items():
        if any(not isinstance(row, dict) or set(row) != fields or not _plain(row) for row in state[name]):
            return f"{name}: has other columns, or no numbers in them"
    epochs = list(range(1, kept["epoch"] + 1))
    if len(kept["rows"]) != kept["epoch"] or [row.epoch for row in kept["rows"]] != epochs:
        return f"rows: must be those of epochs 1 to {kept['epoch']}"
    if not {row.epoch for row in kept["layers"]} <= set(epochs):
        return f"layers: must be of epochs 1 to {kept['epoch']}"
    return None


def _plain(row: Mapping[str, Any]) -> bool:
    """Tell whether a row of a table holds numbers, beside the name of a layer; text would be written as it is."""
    return all(type(value) in (int, float, type(None)) for key, value in row.items() if key != "layer")


def encode_weights(weights: "Weights") -> bytes:
    """Turn parameters and running statistics into the content of model.safetensors."""
    from safetensors.torch import save

    return save(dict(weights))
