"""Many runs at once by `torch.func`: each step is `vmap` of `grad` over stacked weights, and one fused adam."""

import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F

from benchmarks.bare import BATCH, LR, VAL_IMAGES, network, scaled
from regbench.data import datasets

Weights = dict[str, Tensor]  # of all runs: each [K, ...]
Gradients = Callable[[Weights, Tensor, Tensor], Weights]


class Taken(NamedTuple):
    """Seconds of all runs together, and what they came to."""

    training: float  # without compiling
    whole: float  # with validation and test
    compiling: float
    accuracy: float  # on the test images, mean of the runs


def stacked(runs: int, model: str, images: int, is_compiled: bool) -> Taken:
    """Train, validate and test runs as one model.

    Raises:
        RuntimeError: torch.compile finds no compiler.
    """
    mnist = datasets.load("mnist", Path())
    x, y = scaled(mnist.train_images), mnist.train_labels
    models = [network(model) for _ in range(runs)]
    orders = torch.stack([torch.randperm(images) for _ in range(runs)])
    gradients = gradients_of(models[0])
    compiling = 0.0
    if is_compiled:
        gradients = torch.compile(gradients)
        compiling = _first_call(gradients, models, x, y)
    start = time.perf_counter()
    weights = train(models, gradients, x, y, orders)
    trained = time.perf_counter()
    accuracy(models[0], weights, x[-VAL_IMAGES:], y[-VAL_IMAGES:])
    tested = accuracy(models[0], weights, scaled(mnist.test_images), mnist.test_labels)
    return Taken(trained - start, time.perf_counter() - start, compiling, tested)


def gradients_of(model: nn.Module) -> Gradients:
    """Return the function that gives each run's gradients for its batch: images [K, B, 28, 28], labels [K, B]."""
    skeleton = deepcopy(model).to("meta")

    def loss(weights: Weights, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(skeleton, weights, (x,)), y)

    return vmap(grad(loss))


@torch.no_grad()
def train(models: Sequence[nn.Module], gradients: Gradients, x: Tensor, y: Tensor, orders: Tensor) -> Weights:
    """Train each run for an epoch in its own order [K, images]; return the weights."""
    weights = _stacked_weights(models)
    optimizer = torch.optim.Adam(list(weights.values()), lr=LR, fused=True)
    for rows in orders.split(BATCH, dim=1):
        found = gradients(weights, x[rows], y[rows])
        for name, weight in weights.items():
            weight.grad = found[name]
        optimizer.step()
    return weights


@torch.no_grad()
def accuracy(model: nn.Module, weights: Weights, x: Tensor, y: Tensor) -> float:
    """Return the share of images that are classified correctly, mean of the runs."""
    skeleton = deepcopy(model).to("meta")
    logits = vmap(lambda of_run, images: functional_call(skeleton, of_run, (images,)), in_dims=(0, None))
    parts = zip(x.split(1_000), y.split(1_000), strict=True)
    hits = sum(int((logits(weights, images).argmax(2) == labels).sum()) for images, labels in parts)
    return hits / len(y) / len(next(iter(weights.values())))


def _stacked_weights(models: Sequence[nn.Module]) -> Weights:
    return {name: weight.detach() for name, weight in stack_module_state(list(models))[0].items()}


@torch.no_grad()
def _first_call(gradients: Gradients, models: Sequence[nn.Module], x: Tensor, y: Tensor) -> float:
    """Seconds that the first call takes, which compiles."""
    rows = torch.arange(BATCH).expand(len(models), BATCH)
    start = time.perf_counter()
    gradients(_stacked_weights(models), x[rows], y[rows])
    return time.perf_counter() - start
