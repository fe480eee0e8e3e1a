"""K models of one structure as one network: functions of one run, lifted over a leading run axis."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from regbench.models.dense import Linear, stacked
from regbench.techniques.layers import weighted_layers

_Layer = Callable[[Tensor], Tensor]

# Devices where layers with parameters, except dense ones, are evaluated run by run: the same computation as alone.
# A step of 16 mlps, on one thread of a machine with 2 cores, took by vmap 1.9 times as long with batch norm, 1.08 times
# with layer norm.
RUN_BY_RUN = {"cpu"}


def lift(function: Callable[..., Any], runs: int) -> Callable[..., Any]:
    """Make of a function of one run's tensors one of K runs' tensors; arguments and results get a leading run axis.

    For a single run the axis is taken off and put back, which costs less than `torch.func.vmap`.
    """
    if runs > 1:
        return vmap(function)

    def alone(*arguments: Any) -> Any:
        return _changed(function(*_changed(arguments, _without_runs)), _with_runs)

    return alone


def _changed(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Change every tensor in lists, tuples and dicts."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, dict):
        return {key: _changed(value, change) for key, value in tree.items()}
    return type(tree)([_changed(value, change) for value in tree])


def _without_runs(tensor: Tensor) -> Tensor:
    return tensor[0]


def _with_runs(tensor: Tensor) -> Tensor:
    return tensor[None]


class _Applied(nn.Module):
    """A function of a model, as a module: `torch.func.functional_call` can replace its parameters."""

    def __init__(self, model: nn.Module, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.model, self.function = model, function

    def forward(self, *arguments: Any) -> Tensor:
        """Call the function with the model and the arguments."""
        return self.function(self.model, *arguments)


class Network:
    """The models of K runs, evaluated and differentiated together.

    The parameters and buffers of the models are views of tensors [K, ...]: a model's `state_dict` reads and writes its
    part of the network. For a single run the network is its model.
    """

    def __init__(
        self, models: Sequence[nn.Sequential], template: nn.Sequential | None = None, half: bool = False
    ) -> None:
        """`template` has the layers of all models where some lack dropout; `half`: compute products in bfloat16."""
        self.models, self.runs = models, len(models)
        self.template = template if template and self.runs > 1 else models[0]
        self._names = [name for name, _ in self.template.named_parameters()]
        self._tensors: dict[str, Tensor] = {}
        self.leaves: list[Tensor] = list(self.template.parameters())  # of all runs [K, ...]; a single run's own
        if self.runs > 1:
            self._merge()
            self.leaves = [self._tensors[name].requires_grad_() for name in self._names]
        self.dtype, device = self.leaves[0].dtype, self.leaves[0].device
        self._precision: Callable[[], AbstractContextManager[Any]] = nullcontext
        if half:
            self._precision = partial(torch.autocast, device.type, torch.bfloat16)
        self.parameters = [[dict(model.named_parameters())[name] for name in self._names] for model in models]
        self._by_run: set[str] = set()  # parameters of layers that are evaluated run by run
        self._layers = self._lifted()

    def _merge(self) -> None:
        states = [{**dict(model.named_parameters()), **dict(model.named_buffers())} for model in self.models]
        for name in states[0]:
            merged = torch.stack([state[name].detach() for state in states])
            self._tensors[name] = merged
            for state, part in zip(states, merged.unbind(), strict=True):
                state[name].data = part

    def __call__(self, features: Tensor) -> Tensor:
        """Turn features [K, samples, ...] into logits [K, samples, classes], in the precision of the weights."""
        with self._precision():
            return self._logits(features).to(self.dtype)

    def _logits(self, features: Tensor) -> Tensor:
        if self.runs == 1:
            logits: Tensor = self.template(features[0])
            return logits[None]
        for layer in self._layers.values():
            features = layer(features)
        return features

    def trace(self, features: Tensor) -> dict[str, Tensor]:
        """The output of every layer for features [K, samples, ...], by its name in a model; the last are the logits."""
        outputs = {}
        with self._precision():
            for name, layer in self._layers.items():
                features = layer(features)
                outputs[name] = features.to(self.dtype)
        return outputs

    @contextmanager
    def keeping_buffers(self) -> Iterator[None]:
        """Give running statistics back the values that they had before the block."""
        buffers = [self._tensors.get(name, buffer) for name, buffer in self.template.named_buffers()]
        kept = [buffer.clone() for buffer in buffers]
        try:
            yield
        finally:
            for buffer, value in zip(buffers, kept, strict=True):
                buffer.copy_(value)

    def train(self, mode: bool) -> None:
        """Put the layers into training or evaluation mode."""
        for model in (self.template, *self.models):
            model.train(mode)

    def tensors(self) -> list[Tensor]:
        """All parameters and running statistics."""
        return [*self._tensors.values()] or [*self.template.state_dict().values()]

    def matrices(self) -> dict[str, Tensor]:
        """The weights [K, ...] of dense and convolutional layers by their names in a model, without a graph."""
        weighted = {id(layer) for layer in weighted_layers(self.template)}
        names = [f"{name}.weight" for name, layer in self.template.named_modules() if id(layer) in weighted]
        weights = self.named_weights()
        return {name: weights[name].detach() for name in names}

    def named_weights(self) -> dict[str, Tensor]:
        """Each parameter of all runs [K, ...] by its name in a model, as parts of the graph."""
        if self.runs == 1:
            return self.named([leaf[None] for leaf in self.leaves])
        pairs = zip(self._roots(), self.leaves, strict=True)
        return self.named([leaf if root[0] is leaf else torch.stack(list(root)) for root, leaf in pairs])

    def _roots(self) -> list[Sequence[Tensor]]:
        """What is differentiated: for each parameter the tensor of all runs, or the parts of each run."""
        if self.runs == 1:
            return [[leaf] for leaf in self.leaves]
        parts = zip(*self.parameters, strict=True)
        named = zip(self._names, self.leaves, parts, strict=True)
        return [of_runs if name in self._by_run else [leaf] for name, leaf, of_runs in named]

    def named(self, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
        """Name tensors that are in the order of the parameters, such as their gradients."""
        return dict(zip(self._names, tensors, strict=True))

    def gradients(self, loss: Tensor) -> list[Tensor]:
        """The gradient of each parameter [K, ...] for the sum of the runs' losses, a scalar."""
        roots = self._roots()
        of_roots = iter(torch.autograd.grad(loss, [tensor for root in roots for tensor in root]))
        gradients = []
        for root, leaf in zip(roots, self.leaves, strict=True):
            parts = list(islice(of_roots, len(root)))
            gradients.append(_laid_out_as(leaf, parts[0] if root[0] is leaf else torch.stack(parts)))
        return gradients if self.runs > 1 else [gradient[None] for gradient in gradients]

    def of_model(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Make of `function(model, *tensors)`, of one run, a function of tensors [K, ...] with a gradient."""
        module = _Applied(self.template, function)

        def call(parameters: dict[str, Tensor], *arguments: Tensor) -> Tensor:
            named = {f"model.{name}": tensor for name, tensor in parameters.items()}
            result: Tensor = functional_call(module, named, arguments)
            return result

        lifted = lift(call, self.runs)
        return lambda *arguments: lifted(self.named_weights(), *arguments)

    def _lifted(self) -> dict[str, _Layer]:
        return {name: self._lifted_layer(name, layer) for name, layer in _chain(self.template)}

    def _lifted_layer(self, name: str, layer: nn.Module) -> _Layer:
        """A layer of all runs: dense by a batched product, without state sample by sample, any other by device."""
        if self.runs == 1:
            return lift(layer, 1)
        state = {key: self._tensors[f"{name}.{key}"] for key in layer.state_dict()}
        if isinstance(layer, Linear):
            return lambda features: stacked(features, state["weight"], state["bias"])
        if isinstance(layer, nn.Flatten):
            return lambda features: features.flatten(2)  # a view, also of test images, which all runs share
        if not state:
            return lambda features: folded(layer, features)
        if self.leaves[0].device.type in RUN_BY_RUN:
            self._by_run |= {f"{name}.{key}" for key, _ in layer.named_parameters()}
            return _run_by_run([model.get_submodule(name) for model in self.models])
        call = vmap(lambda state, features: functional_call(layer, state, (features,)))
        if "running_mean" in state:  # vmap needs features in its precision
            return lambda features: call(state, features.to(state["running_mean"].dtype))
        return lambda features: call(state, features)


def _chain(model: nn.Sequential) -> Iterator[tuple[str, nn.Module]]:
    """The layers of a model with their names, each of which takes what the one before it gives.

    Raises:
        TypeError: a part has layers and is no `nn.Sequential`: what its own `forward` does with them would be lost.
    """
    for name, layer in model.named_modules():
        if not list(layer.children()):
            yield name, layer
        elif type(layer) is not nn.Sequential:
            raise TypeError(
                f"{name}: {type(layer).__name__} has layers of its own. Write it as one layer or Sequential"
            )


def _run_by_run(layers: Sequence[nn.Module]) -> _Layer:
    """Apply each run's layer to its part of the features [K, samples, ...]."""

    def call(features: Tensor) -> Tensor:
        return torch.stack([layer(part) for layer, part in zip(layers, features.unbind(), strict=True)])

    return call


def _laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient in the parameter's memory format, which torch's fused optimizers rely on."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter, requires_grad=False).copy_(gradient)


def folded(layer: nn.Module, features: Tensor) -> Tensor:
    """Apply a layer that treats each sample by itself to the samples of all runs [K, samples, ...] at once."""
    result: Tensor = layer(features.flatten(0, 1)).unflatten(0, features.shape[:2])
    return result
