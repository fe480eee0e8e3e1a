import pytest
import torch
from torch import nn
from torch.nn import functional as F

from regbench.models.architectures import build
from regbench.training.network import Network, folded, lift

TINY = ("model.hidden=[8,6]", "dropout=0.5")
FLOAT64 = {"dtype": torch.float64}


def models_of(make_config, runs, *overrides):
    return [build(make_config(*TINY, *overrides, f"seed={seed}")).double() for seed in range(runs)]


def features(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), **FLOAT64)


def without_dropout(models):
    """Set masks that drop nothing, so that every forward pass in training mode gives the same."""
    for model in models:
        for layer in model.modules():
            if hasattr(layer, "mask"):
                layer.mask = torch.ones((), **FLOAT64)
    return models


# functions


@pytest.mark.parametrize("runs", [1, 2, 5])
def test_a_lifted_function_is_the_function_run_by_run(runs):
    def of_one(tensors, named):
        return [tensors[0] * named["factor"], tensors[1].sum()], tensors[0].max()

    tensors, factor = [features(runs, 3), features(runs, 4, 2)], features(runs)
    (products, sums), largest = lift(of_one, runs)(tensors, {"factor": factor})
    assert (products.shape, sums.shape, largest.shape) == ((runs, 3), (runs,), (runs,))
    for run in range(runs):
        (product, total), most = of_one([tensor[run] for tensor in tensors], {"factor": factor[run]})
        assert torch.equal(products[run], product)
        torch.testing.assert_close(sums[run], total)
        assert torch.equal(largest[run], most)


def test_a_layer_without_state_sees_the_samples_of_all_runs():
    x = features(3, 5, 2, 4, 4)
    found = folded(nn.MaxPool2d(2), x)
    assert torch.equal(found, torch.stack([F.max_pool2d(own, 2) for own in x]))


# networks


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
@pytest.mark.parametrize("runs", [1, 2, 4])
@pytest.mark.parametrize("training", [True, False])
def test_a_network_gives_the_logits_of_its_models(make_config, norm, runs, training):
    models, same = (without_dropout(models_of(make_config, runs, f"norm={norm}")) for _ in range(2))
    network, x = Network(models), features(runs, 7, 28, 28)
    network.train(training)
    found = network(x)
    assert found.shape == (runs, 7, 10)
    for run, model in enumerate(same):
        torch.testing.assert_close(found[run], model.train(training)(x[run]), rtol=1e-12, atol=1e-12)
    for own, model in zip(models, same, strict=True):  # running statistics too
        for name, tensor in model.state_dict().items():
            torch.testing.assert_close(own.state_dict()[name], tensor, rtol=1e-12, atol=1e-12, msg=name)


@pytest.mark.parametrize("runs", [1, 3])
def test_gradients_are_those_of_each_model_s_loss(make_config, runs):
    models, same = (without_dropout(models_of(make_config, runs, "norm=layer")) for _ in range(2))
    network, x = Network(models), features(runs, 7, 28, 28)
    scale = torch.arange(1.0, runs + 1, **FLOAT64)
    gradients = network.gradients((network(x).square().mean((1, 2)) * scale).sum())
    names = list(network.named_weights())
    assert len(gradients) == len(names) == len(network.parameters[0])
    for run, model in enumerate(same):
        (model(x[run]).square().mean() * scale[run]).backward()
        for name, gradient in zip(names, gradients, strict=True):
            expected = model.get_parameter(name).grad
            torch.testing.assert_close(gradient[run], expected, rtol=1e-10, atol=1e-14, msg=name)


@pytest.mark.parametrize("runs", [1, 3])
def test_a_function_of_a_model_becomes_one_of_the_network(make_config, runs):
    def of_one(model, factor):
        return factor * model.output.weight.square().sum() + sum(p.abs().sum() for p in model.parameters())

    models, same = (models_of(make_config, runs) for _ in range(2))
    network, factors = Network(models), features(runs)
    found = network.of_model(of_one)(factors)
    gradients = dict(zip(network.named_weights(), network.gradients(found.sum()), strict=True))
    for run, model in enumerate(same):
        expected = of_one(model, factors[run])
        torch.testing.assert_close(found[run], expected)
        expected.backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(gradients[name][run], parameter.grad, msg=name)


@pytest.mark.parametrize("runs", [1, 3])
def test_a_model_reads_and_writes_its_part_of_the_network(make_config, runs):
    models = without_dropout(models_of(make_config, runs, "norm=batch"))
    network, x = Network(models), features(runs, 4, 28, 28)
    before = network(x).detach()
    other = build(make_config(*TINY, "norm=batch", "seed=99")).double()
    models[-1].load_state_dict(other.state_dict())
    without_dropout([other])
    after = network(x).detach()
    assert torch.equal(after[:-1], before[:-1])
    torch.testing.assert_close(after[-1], other(x[-1]), rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        for parameters in network.parameters:
            parameters[0].zero_()
        for leaf in network.leaves[1:]:
            leaf.fill_(2.0)
    for model in models:
        first, *rest = model.parameters()
        assert (first == 0).all()
        assert all((parameter == 2).all() for parameter in rest)


def test_a_single_model_is_used_as_it_is(make_config):
    (model,) = models_of(make_config, 1)
    network = Network([model])
    assert network.template is model
    assert all(leaf is own for leaf, own in zip(network.leaves, model.parameters(), strict=True))


def test_modes_reach_every_layer(make_config):
    models = models_of(make_config, 2, "norm=batch")
    network = Network(models)
    for mode in (False, True):
        network.train(mode)
        assert all(layer.training is mode for layer in network.template.modules())


class Residual(nn.Module):
    """A layer whose input is added to its output."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layer(x)


@pytest.mark.parametrize("runs", [1, 2])
def test_a_part_that_is_no_chain_is_refused_before_its_forward_is_lost(runs):
    models = [nn.Sequential(nn.Flatten(), Residual(nn.Linear(4, 4))) for _ in range(runs)]
    with pytest.raises(TypeError, match=r"^1: Residual has layers of its own\. "):
        Network(models)
