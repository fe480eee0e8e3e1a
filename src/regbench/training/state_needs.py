"""What a run's saved state must hold: tensor by tensor, before anything of it reaches the model or the optimizer.

An optimizer whose state has another shape than its parameter writes past the end of it (torch's fused ones do), so a
state that does not fit exactly is not used at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field, Strict, TypeAdapter, ValidationError
from torch import Tensor, nn
from typing_extensions import TypedDict  # which pydantic wants before Python 3.12

from regbench.config.run_config import RunConfig
from regbench.models.architectures import build, weight_count
from regbench.training.network import Network
from regbench.training.stack_optimizer import update

_ROWS = 4096  # bytes at most of what an epoch leaves in the tables, for each layer and once more
_SPARE = 2**20  # bytes: what an archive holds beside its tensors
_HISTORY = "history_size"  # of lbfgs: so many directions and differences of gradients, each as long as all weights


class _Best(TypedDict):
    epoch: Annotated[int, Strict(), Field(ge=1)]
    val_loss: Annotated[float, Strict()]
    weights: dict[str, Any]


class _Kept(TypedDict):
    """The parts of a state that the trainer adds to those of its stack."""

    epoch: Annotated[int, Strict(), Field(ge=1)]
    best: _Best
    val_losses: list[Annotated[float, Strict()]]
    weights: dict[str, Any]
    optimizer: dict[str, Any]


_KEPT = TypeAdapter(_Kept)


class StateNeeds:
    """Holds a saved state of one run against a model of its own, whose optimizer has taken a step."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        model = build(config).to(torch.float64 if config.precision == "fp64" else torch.float32)
        self._state = {"weights": model.state_dict(), "optimizer": _after_a_step(config, model)}
        self._size = weight_count(model)
        self.most_bytes = self._most_bytes()

    def _most_bytes(self) -> int:
        """Bound the file: its tensors, the chosen epoch's weights, the rows of the tables."""
        weights: int = sum(tensor.nbytes for tensor in self._state["weights"].values())
        tensors: int = 2 * weights + sum(tensor.nbytes for tensor in _tensors(self._state["optimizer"]["state"]))
        history = 2 * self._config.optimizer.args.get(_HISTORY, 0) * weights
        rows = self._config.epochs * (1 + len(self._state["weights"])) * _ROWS
        most: int = 2 * (tensors + history) + rows + _SPARE
        return most

    def fault(self, state: Mapping[str, Any]) -> str | None:
        """Say in one line why the run cannot resume from the state; None where it can."""
        try:
            kept = _KEPT.validate_python(state)
        except ValidationError as error:
            first = error.errors()[0]
            return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        epoch = kept["epoch"]
        if epoch > self._config.epochs or kept["best"]["epoch"] > epoch or len(kept["val_losses"]) != epoch:
            return f"epoch: {epoch} does not fit its losses, its chosen epoch or the run's {self._config.epochs} epochs"
        pairs = {"weights": kept["weights"], "best.weights": kept["best"]["weights"]}
        faults = (_unlike(name, weights, self._state["weights"]) for name, weights in pairs.items())
        return next(filter(None, faults), None) or self._fault_of_optimizer(kept["optimizer"])

    def _fault_of_optimizer(self, optimizer: Mapping[str, Any]) -> str | None:
        """Compare what it remembers of each parameter; its settings are not taken from the file."""
        known: Mapping[int, Any] = self._state["optimizer"]["state"]
        given = optimizer.get("state")
        if not isinstance(given, dict):
            return "optimizer: remembers nothing by parameter"
        if _HISTORY in self._config.optimizer.args:
            return _unlike_history(given, self._size)
        if given.keys() != known.keys():
            return "optimizer: remembers other parameters"
        faults = (_unlike(f"optimizer.{place}", given[place], memory) for place, memory in known.items())
        return next(filter(None, faults), None)


def _after_a_step(config: RunConfig, model: nn.Sequential) -> dict[str, Any]:
    """Return what the run's optimizer remembers once it has moved the weights."""
    network = Network([model])
    optimizer = update([config], network)
    gradients = [torch.ones_like(leaf)[None] for leaf in network.leaves]
    optimizer.step(lambda: (torch.zeros(()), gradients))
    return optimizer.state(0)


def _tensors(tree: Any) -> Iterator[Tensor]:
    """Find the tensors in dicts and lists."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, dict | list):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from _tensors(part)


def _unlike(name: str, given: Any, known: Mapping[str, Any]) -> str | None:
    """Say what differs between values by name: another key, shape, type of numbers or layout."""
    if not isinstance(given, dict) or given.keys() != known.keys():
        return f"{name}: has other parts"
    for key, value in known.items():
        if _kind(given[key]) != _kind(value):
            return f"{name}.{key}: is {_described(given[key])}, must be {_described(value)}"
    return None


def _kind(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return type(value)
    return tuple(value.shape), value.dtype, value.layout, value.device.type, value.is_quantized


def _described(value: Any) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"


def _unlike_history(given: Mapping[int, Any], weights: int) -> str | None:
    """Check what lbfgs remembers, which grows: numbers, and vectors as long as all weights."""
    for place, memory in given.items():
        if place != 0 or not isinstance(memory, dict):  # torch keeps all of it with the first parameter
            return "optimizer: remembers other parameters"
        for key, value in memory.items():
            items: Sequence[Any] = value if isinstance(value, list) else [value]
            if not all(_fits_history(item, weights) for item in items):
                return f"optimizer.{key}: holds what is neither a number nor a vector of {weights} weights"
    return None


def _fits_history(value: Any, weights: int) -> bool:
    if isinstance(value, Tensor):
        return value.layout == torch.strided and tuple(value.shape) in ((), (weights,)) and value.is_floating_point()
    return type(value) in (int, float, type(None))
