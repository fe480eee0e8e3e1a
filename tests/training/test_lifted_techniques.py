"""Techniques are written for one run; lifted by `torch.func.vmap` to a stack, each run computes the same as alone."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from regbench.techniques.activation import ACTIVATIONS
from regbench.techniques.dropout import Dropout
from regbench.techniques.norm import NORMS
from regbench.techniques.regularizer import REGULARIZERS, limited, smoothing

RUNS, SAMPLES = 3, 5
DENSE, MAPS = (12,), (6, 4, 5)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def randomized(layers):
    for seed, layer in enumerate(layers):
        for tensor in (*layer.parameters(), *(b for b in layer.buffers() if b.is_floating_point())):
            nn.init.uniform_(tensor, 0.5, 1.5, generator=rng(seed))
    return layers


def assert_lifted_as_alone(layers, features, training):
    """Outputs, gradients for parameters and features, and buffers afterwards."""
    layers = [layer.double().train(training) for layer in layers]
    alone = deepcopy(layers)
    parameters, buffers = stack_module_state(layers)
    skeleton = layers[0]

    def outcome(parameters, x, buffers):
        y = functional_call(skeleton, (parameters, buffers), (x,))
        return (y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).reshape(y.shape)).sum(), y

    (slopes, below), outputs = vmap(grad(outcome, argnums=(0, 1), has_aux=True))(parameters, features, buffers)
    for run, layer in enumerate(alone):
        x = features[run].clone().requires_grad_()
        y = layer(x)
        (y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).reshape(y.shape)).sum().backward()
        torch.testing.assert_close(outputs[run], y)
        torch.testing.assert_close(below[run], x.grad)
        for name, parameter in layer.named_parameters():
            torch.testing.assert_close(slopes[name][run], parameter.grad)
        for name, buffer in layer.named_buffers():
            torch.testing.assert_close(buffers[name][run], buffer)


NORM_CASES = [
    (name, shape, changes)
    for name in sorted(NORMS.keys() - {"none"})
    for shape in (DENSE, MAPS)
    if name != "none" and (name != "instance" or shape == MAPS)
    for changes in ([{}, {"track_running_stats": False}] if name == "batch" else [{}])
] + [("instance", MAPS, {"track_running_stats": True, "affine": True})]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "shape", "changes"), NORM_CASES)
def test_norms(make_option, name, shape, changes, training):
    args = make_option("norm", name, **({"groups": 3} if name == "group" else changes)).args
    layers = randomized([NORMS[name](shape, **args) for _ in range(RUNS)])
    assert_lifted_as_alone(layers, random(RUNS, SAMPLES, *shape), training)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(make_option, name):
    args = make_option("activation", name).args
    assert_lifted_as_alone([ACTIVATIONS[name](**args) for _ in range(RUNS)], random(RUNS, SAMPLES, *MAPS), True)


def test_dropout_with_a_mask_for_each_run():
    masks = torch.rand(RUNS, SAMPLES, *DENSE, generator=rng()).bernoulli(generator=rng()).double() * 2
    features = random(RUNS, SAMPLES, *DENSE)
    layer = Dropout(DENSE, 0.5)

    def masked(mask, x):
        layer.mask = mask
        return layer(x)

    torch.testing.assert_close(vmap(masked)(masks, features), features * masks)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_penalties_with_a_strength_for_each_run(make_option, name):
    terms = {k: v for k, v in make_option("regularizer", name).args.items() if k not in ("strength", "on")}
    weights, strengths = random(RUNS, 4, 6), torch.tensor([0.0, 0.1, 2.0]).double()

    def cost(weight, strength):
        return strength * REGULARIZERS[name](weight, **terms)

    found = vmap(grad(cost))(weights, strengths)
    for run in range(RUNS):
        torch.testing.assert_close(found[run], grad(cost)(weights[run], strengths[run].item()))


def test_penalties_with_terms_for_each_run():
    weights, alphas = random(RUNS, 4, 6), torch.tensor([0.0, 0.3, 1.0]).double()

    def cost(weight, alpha):
        return REGULARIZERS["elastic_net"](weight, alpha=alpha, half=False)

    torch.testing.assert_close(
        vmap(cost)(weights, alphas), torch.stack([cost(weights[run], alphas[run].item()) for run in range(RUNS)])
    )


def test_label_smoothing_with_a_share_for_each_run():
    logits, labels = random(RUNS, SAMPLES, 10), torch.arange(RUNS * SAMPLES).reshape(RUNS, SAMPLES) % 10
    shares = torch.tensor([0.0, 0.1, 0.5]).double()
    found = vmap(grad(smoothing))(logits, labels, shares)
    for run in range(RUNS):
        torch.testing.assert_close(found[run], grad(smoothing)(logits[run], labels[run], shares[run].item()))


@pytest.mark.parametrize("shape", [(4, 6), (4, 3, 2, 2)], ids=str)
def test_max_norm_with_a_limit_for_each_run(shape):
    weights, limits = random(RUNS, *shape), torch.tensor([0.5, 2.0, float("inf")]).double()
    found = vmap(limited)(weights, limits)
    for run in range(RUNS):
        torch.testing.assert_close(found[run], limited(weights[run], limits[run].item()))
    assert torch.equal(found[2], weights[2])
