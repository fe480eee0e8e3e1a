"""K models of one structure as one: what is written for one run, lifted over a leading run axis."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from regbench.models.dense import Linear, stacked

Layer = Callable[[Tensor], Tensor]

# Devices on which layers with parameters are evaluated run by run, but for dense ones: the same computation as alone.
# A step of 16 mlps on one thread took by vmap 1.9 times as long with batch norm, 1.08 times with layer norm.
RUN_BY_RUN = {"cpu"}


def lift(function: Callable[..., Any], runs: int) -> Callable[..., Any]:
    """A function of one run's tensors as one of K runs' tensors, each with a leading run axis, results too.

    A single run is not worth a `torch.func.vmap`: its axis is taken off and put back.
    """
    if runs > 1:
        return vmap(function)

    def alone(*arguments: Any) -> Any:
        return changed(function(*changed(arguments, _without_runs)), _with_runs)

    return alone


def changed(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Tensors in lists, tuples and dicts, each of them changed."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, dict):
        return {key: changed(value, change) for key, value in tree.items()}
    return type(tree)([changed(value, change) for value in tree])


def _without_runs(tensor: Tensor) -> Tensor:
    return tensor[0]


def _with_runs(tensor: Tensor) -> Tensor:
    return tensor[None]


class Applied(nn.Module):
    """A function of a model as a module, whose parameters `torch.func.functional_call` can replace."""

    def __init__(self, model: nn.Module, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.model, self.function = model, function

    def forward(self, *arguments: Any) -> Tensor:
        """The function of the model and the arguments."""
        return self.function(self.model, *arguments)


class Network:
    """The models of K runs, evaluated and differentiated together.

    The parameters and buffers of each model stay its own, as views of tensors [K, ...]: a model's `state_dict` reads
    and writes its part of the network. For a single run the network is its model.
    """

    def __init__(self, models: Sequence[nn.Sequential], template: nn.Sequential | None = None) -> None:
        """`template` has the layers of all models together where some lack dropout; it needs no memory."""
        self.models, self.runs = models, len(models)
        self.template = template if template and self.runs > 1 else models[0]
        self._names = [name for name, _ in self.template.named_parameters()]
        self._tensors: dict[str, Tensor] = {}
        self.leaves: list[Tensor] = list(self.template.parameters())  # of all runs [K, ...]; of a single run its own
        if self.runs > 1:
            self._merge()
            self.leaves = [self._tensors[name].requires_grad_() for name in self._names]
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
        """Features [K, samples, ...] to logits [K, samples, classes]."""
        if self.runs == 1:
            logits: Tensor = self.template(features[0])
            return logits[None]
        for layer in self._layers.values():
            features = layer(features)
        return features

    def trace(self, features: Tensor) -> dict[str, Tensor]:
        """What every layer makes of features [K, samples, ...], by its name in a model; last the logits."""
        outputs = {}
        for name, layer in self._layers.items():
            outputs[name] = features = layer(features)
        return outputs

    @contextmanager
    def keeping_buffers(self) -> Iterator[None]:
        """Running statistics are after the block what they were before it."""
        buffers = [self._tensors.get(name, own) for name, own in self.template.named_buffers()]
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

    def named_weights(self) -> dict[str, Tensor]:
        """Each parameter of all runs [K, ...] under its name in a model, as parts of the graph."""
        if self.runs == 1:
            return self.named([leaf[None] for leaf in self.leaves])
        pairs = zip(self._roots(), self.leaves, strict=True)
        return self.named([leaf if root[0] is leaf else torch.stack(list(root)) for root, leaf in pairs])

    def _roots(self) -> list[Sequence[Tensor]]:
        """What is differentiated: of each parameter the tensor of all runs, or every run's own."""
        if self.runs == 1:
            return [[leaf] for leaf in self.leaves]
        owns = zip(*self.parameters, strict=True)
        named = zip(self._names, self.leaves, owns, strict=True)
        return [own if name in self._by_run else [leaf] for name, leaf, own in named]

    def named(self, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
        """Tensors in the order of the parameters, such as their gradients, by the names of these."""
        return dict(zip(self._names, tensors, strict=True))

    def gradients(self, loss: Tensor) -> list[Tensor]:
        """The gradient of each parameter [K, ...] for the sum of the runs' losses, a scalar."""
        roots = self._roots()
        found = iter(torch.autograd.grad(loss, [tensor for root in roots for tensor in root]))
        gradients = []
        for root, leaf in zip(roots, self.leaves, strict=True):
            own = list(islice(found, len(root)))
            gradients.append(laid_out_as(leaf, own[0] if root[0] is leaf else torch.stack(own)))
        return gradients if self.runs > 1 else [gradient[None] for gradient in gradients]

    def of_model(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """`function(model, *tensors)`, of one run, as a function of tensors [K, ...]; it may be differentiated."""
        module = Applied(self.template, function)

        def call(parameters: dict[str, Tensor], *arguments: Tensor) -> Tensor:
            named = {f"model.{name}": tensor for name, tensor in parameters.items()}
            result: Tensor = functional_call(module, named, arguments)
            return result

        lifted = lift(call, self.runs)
        return lambda *arguments: lifted(self.named_weights(), *arguments)

    def _lifted(self) -> dict[str, Layer]:
        leaves = [(name, layer) for name, layer in self.template.named_modules() if not list(layer.children())]
        return {name: self._lifted_layer(name, layer) for name, layer in leaves}

    def _lifted_layer(self, name: str, layer: nn.Module) -> Layer:
        """Dense layers have a product of their own, one without state sees sample by sample; others by device."""
        if self.runs == 1:
            return lift(layer, 1)
        own = {key: self._tensors[f"{name}.{key}"] for key in layer.state_dict()}
        if isinstance(layer, Linear):
            return lambda features: stacked(features, own["weight"], own["bias"])
        if isinstance(layer, nn.Flatten):
            return lambda features: features.flatten(2)  # a view, also of test images, which all runs share
        if not own:
            return lambda features: folded(layer, features)
        if self.leaves[0].device.type in RUN_BY_RUN:
            self._by_run |= {f"{name}.{key}" for key, _ in layer.named_parameters()}
            layers = [model.get_submodule(name) for model in self.models]
            return lambda features: torch.stack([one(own) for one, own in zip(layers, features.unbind(), strict=True)])
        call = vmap(lambda state, features: functional_call(layer, state, (features,)))
        if "running_mean" in own:  # which under vmap wants features of its own precision
            return lambda features: call(own, features.to(own["running_mean"].dtype))
        return lambda features: call(own, features)


def laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient in the parameter's memory format: torch's fused optimizers take it for granted."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter, requires_grad=False).copy_(gradient)


def folded(layer: nn.Module, features: Tensor) -> Tensor:
    """A layer that treats each sample by itself, applied to the samples of all runs [K, samples, ...] at once."""
    result: Tensor = layer(features.flatten(0, 1)).unflatten(0, features.shape[:2])
    return result
