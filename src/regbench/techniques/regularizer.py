"""Penalties added to the loss; and two regularizers without a penalty: label smoothing and the max-norm constraint."""

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor, nn
from torch.nn import functional as F

from regbench.config.registry import Option, Registry, Share
from regbench.techniques.layers import weighted_layers

REGULARIZERS: Registry[Callable[..., Tensor]] = Registry("regularizer")


@REGULARIZERS.register
def none(weight: Tensor) -> Tensor:
    """No penalty.

    Use it as the control, and where another technique regularizes already.
    """
    return weight.new_zeros(())


@REGULARIZERS.register
def l1(weight: Tensor) -> Tensor:
    """λ Σ|w|, λ the strength [Tibshirani 1996].

    Use it to push weights to zero, so that few remain: to find out which inputs count.
    """
    return weight.abs().sum()


@REGULARIZERS.register
def l2(weight: Tensor, *, half: bool) -> Tensor:
    """λ Σ w², λ the strength, or half of it [Krogh & Hertz 1991]; to plain SGD that half is `weight_decay`=λ.

    Use it where the network fits its training images much better than other images, above all with few images.
    """
    return weight.square().sum() * (0.5 if half else 1.0)


@REGULARIZERS.register
def elastic_net(weight: Tensor, *, alpha: Share, half: bool) -> Tensor:
    """λ (α Σ|w| + (1 − α) Σ w²), λ the strength, the squares halved on request [Zou & Hastie 2005].

    Use it to keep few weights, as l1 does, where inputs are so similar that l1 alone keeps one of them by chance.
    """
    return alpha * l1(weight) + (1 - alpha) * l2(weight, half=half)


@REGULARIZERS.shared
def penalty(model: nn.Module, option: Option, *, strength: NonNegativeFloat, on: Literal["weights", "all"]) -> Tensor:
    """Strength λ times the option's sum over a model's weights, or over all parameters: a scalar.

    Weights are the matrices and filters of dense and convolutional layers: no biases, no norm parameters.
    """
    chosen = model.parameters() if on == "all" else (layer.weight for layer in weighted_layers(model))
    terms = {key: value for key, value in option.args.items() if key not in ("strength", "on")}
    return strength * torch.stack([REGULARIZERS[option.name](weight, **terms) for weight in chosen]).sum()


def smoothing(logits: Tensor, labels: Tensor, share: float | Tensor) -> Tensor:
    """Added to the mean cross-entropy: share · (mean of −log p over all classes − that of labels).

    Logits [samples, classes] and labels [samples] to a scalar. With it the loss is that of
    `torch.nn.CrossEntropyLoss(label_smoothing)`: the label's target is 1 − share + share / classes, that of each other
    class share / classes [Szegedy 2016]. It counts as `penalty`, so that the training loss stays comparable with that
    of validation, which is never smoothed.

    Use it where a network becomes too sure of itself: its probabilities should say how often it is right.
    """
    costs = -F.log_softmax(logits, dim=1)
    right = costs.gather(1, labels.unsqueeze(1)).squeeze(1)
    return share * (costs.mean(1) - right).mean()


def limited(weight: Tensor, limit: float | Tensor) -> Tensor:
    """Max-norm: each unit's incoming weights, w · min(1, limit / ‖w‖₂), after every step [Srivastava 2014].

    A unit's incoming weights are its row or filter of the weight [out, ...], in the output layer too; biases are free.
    An infinite limit changes nothing.

    Use it together with dropout and a high learning rate: weights can move far and stay bounded.
    """
    norms = torch.linalg.vector_norm(weight, dim=tuple(range(1, weight.ndim)), keepdim=True)
    shortened: Tensor = weight * (limit / norms).clamp(max=1)
    return shortened
