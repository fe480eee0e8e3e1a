"""How the values of each layer are spread after an epoch: features, weights and gradients in 64 bins."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from regbench.records.rows import BINS, Histogram, Quantity
from regbench.training.diagnostics import Observation, observed

_REACH = 5.0  # standard deviations: a few far values would otherwise put all others into one bin


def histograms(model: nn.Sequential, observation: Observation, epoch: int) -> list[list[Histogram]]:
    """Count each run's values, from input to output; all runs at once. Waits for the device twice.

    A run with a value that is not finite has no histogram of it.
    """
    names, values = zip(*_values(model, observation), strict=True)
    ends = torch.stack([_ends(x) for x in values], dim=1)  # [K, histograms, 2]
    counts = torch.stack([_counts(x, ends[:, place]) for place, x in enumerate(values)], dim=1).cpu().numpy()
    return [
        [
            Histogram(epoch, layer, quantity, low, high, of_run[place])
            for place, ((layer, quantity), (low, high)) in enumerate(zip(names, of_ends, strict=True))
            if low <= high  # not NaN
        ]
        for of_ends, of_run in zip(ends.tolist(), counts, strict=True)
    ]


def _values(model: nn.Sequential, observation: Observation) -> Iterator[tuple[tuple[str, Quantity], Tensor]]:
    """Name the tensors [K, values] to count."""
    for name, block in model.named_children():
        if list(block.parameters()):
            layer = observed(name, block, observation)
            yield (name, "before"), layer["features"].flatten(1)
            if "norm" in layer:
                yield (name, "after"), layer["norm"].flatten(1)
            yield (name, "weight"), layer["weight"].flatten(1)
            yield (name, "gradient"), layer["gradient"].flatten(1)


def _ends(values: Tensor) -> Tensor:
    """The ends [K, 2] of the bins, in double precision."""
    deviation, mean = (part.double() for part in torch.std_mean(values, dim=1, correction=0))
    least, greatest = (part.double() for part in torch.aminmax(values, dim=1))
    low, high = torch.maximum(least, mean - _REACH * deviation), torch.minimum(greatest, mean + _REACH * deviation)
    return torch.stack([low, torch.maximum(low, high)], dim=1)  # rounding of the mean may put it beyond equal values


def _counts(values: Tensor, ends: Tensor) -> Tensor:
    """Count values [K, n] in BINS bins between the ends [K, 2] of each run: int64 [K, BINS]."""
    runs = len(values)
    low, high = ends.to(values.dtype).unsqueeze(2).unbind(1)
    width = torch.where(high > low, (high - low) / BINS, 1)
    bins = torch.sub(values, low).div_(width).nan_to_num_(0.0).clamp_(0, BINS - 1).int()
    bins += BINS * torch.arange(runs, device=values.device, dtype=torch.int32).unsqueeze(1)
    return bins.flatten().bincount(minlength=runs * BINS).view(runs, BINS)
