"""What several axes need to know of a model."""

from torch import nn


def weighted_layers(model: nn.Module) -> list[nn.Linear | nn.Conv2d]:
    """The dense and convolutional layers, from input to output."""
    return [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
