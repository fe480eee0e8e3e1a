"""The peers of `scripts/bench peers` train what they say: the same as a plain loop does."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.bare import BATCH, LR, network
from benchmarks.peers_torch import accuracy, gradients_of, train

IMAGES = 500


@pytest.mark.parametrize("model", ["mlp", pytest.param("cnn", marks=pytest.mark.slow)])
def test_stacked_runs_train_as_each_would_alone(model):
    torch.manual_seed(0)
    x, y = torch.randn(IMAGES, 28, 28), torch.randint(10, (IMAGES,))
    models = [network(model) for _ in range(2)]
    orders = torch.stack([torch.randperm(IMAGES) for _ in models])
    alone = [trained_alone(deepcopy(one), x, y, order) for one, order in zip(models, orders, strict=True)]
    weights = train(models, gradients_of(models[0]), x, y, orders)
    for place, (before, after) in enumerate(zip(models, alone, strict=True)):
        together = deepcopy(before)
        together.load_state_dict({name: weight[place] for name, weight in weights.items()})
        losses = [F.cross_entropy(one(x), y).item() for one in (before, after, together)]
        assert losses[1] < losses[0] - 0.01, "it learns"
        assert losses[2] == pytest.approx(losses[1], abs=1e-3)
    shares = [(one(x).argmax(1) == y).float().mean().item() for one in alone]
    assert accuracy(models[0], weights, x, y) == pytest.approx(sum(shares) / 2, abs=0.01)


def trained_alone(model: nn.Module, x: torch.Tensor, y: torch.Tensor, order: torch.Tensor) -> nn.Module:
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    for rows in order.split(BATCH):
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
    return model
