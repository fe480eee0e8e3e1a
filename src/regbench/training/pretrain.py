"""Initial weights in which training images have a say: a second phase after `initialize`, for one run's own images."""

import math
from collections.abc import Callable, Iterator
from copy import deepcopy

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from regbench.config.run_config import RunConfig
from regbench.data.split import Split
from regbench.images import WHITE
from regbench.records.rows import Progress
from regbench.rng import Stream, generator
from regbench.techniques.dropout import Dropout

Report = Callable[[Progress], None]


@torch.no_grad()
def pretrain(model: nn.Module, config: RunConfig, split: Split, report: Report) -> None:
    """Change a newly built model on the split's device as `init=lsuv` or `init=rbm` say; nothing for other options.

    Draws from the seed's stream PRETRAIN alone, and leaves norm layers as they are. Every row goes to `report`.
    """
    args = {key: value for key, value in config.init.args.items() if key != "bias"}
    if phase := PHASES.get(config.init.name):
        phase(model, split, config.seed, report, **args)


def layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules without parts of a sequence of sequences, in its order, with the names of the blocks they are in."""
    return ((name.partition(".")[0], module) for name, module in model.named_modules() if not [*module.children()])


def lsuv(
    model: nn.Module, split: Split, seed: int, report: Report, *, tol: float, max_iter: int, batch_size: int
) -> None:
    """Rescale the weights of each dense and convolutional layer until its outputs on a batch have unit variance.

    From input to output, norms by the moments of the batch and without dropout, as a first training step has them.
    """
    device = split.train.device
    rows = split.train[torch.randperm(len(split.train), generator=generator(seed, Stream.PRETRAIN)).to(device)]
    images, _ = split.batch(rows[:batch_size])
    features = images.to(next(model.parameters()).dtype)
    for name, module in layers(model):
        if isinstance(module, nn.Linear | nn.Conv2d):
            for step, variance in enumerate(rescaled(module, features, tol, max_iter)):
                report(Progress(name, step, "variance", variance))
        if not isinstance(module, Dropout):
            features = deepcopy(module).train()(features)  # a copy: running statistics stay as they are


def rescaled(layer: nn.Linear | nn.Conv2d, features: Tensor, tol: float, max_iter: int) -> Iterator[float]:
    """Divide the weights by the standard deviation of the outputs, over all of them, at most max_iter times.

    Yields the variance before the first time and after each: the last is 1 ± tol, unless max_iter was too few or the
    outputs are all alike.
    """
    for _ in range(max_iter):
        yield (variance := layer(features).var(correction=0).item())
        if abs(variance - 1) < tol or not 0 < variance < math.inf:
            return
        layer.weight.div_(math.sqrt(variance))
    yield layer(features).var(correction=0).item()


def rbm(
    model: nn.Module,
    split: Split,
    seed: int,
    report: Report,
    *,
    epochs: int,
    lr: float,
    batch_size: int,
    k: int,
    momentum: float,
    weight_decay: float,
) -> None:
    """Train hidden layer after hidden layer as a restricted Boltzmann machine on what the layers below make of images.

    The first machine sees pixels in [0, 1] whatever `data.scaling` is. Its weights are then turned into those that do
    the same to scaled pixels, x = scale · pixel + shift, so that the scaling of the data makes no difference here.
    """
    hidden = [(name, module) for name, module in layers(model) if isinstance(module, nn.Linear)][:-1]
    for index, (name, layer) in enumerate(hidden):
        rng = generator(seed, Stream.PRETRAIN, index, split.train.device)
        machine = Machine(layer.weight, layer.bias, rng)
        for epoch in range(1, epochs + 1):
            errors = torch.zeros((), device=split.train.device)
            order = torch.randperm(len(split.train), generator=rng, device=rng.device)
            for rows in split.train[order].split(batch_size):
                visible = split.train_images.index_select(0, rows).flatten(1).to(layer.weight.dtype) / WHITE
                for _, below in hidden[:index]:
                    visible = torch.sigmoid(below(visible))
                errors += len(rows) * machine.step(visible, k, lr, momentum, weight_decay)
            report(Progress(name, epoch, "reconstruction_error", errors.item() / len(split.train)))
    for _, layer in hidden[:1]:
        layer.weight.div_(WHITE * split.scale)
        layer.bias.sub_(layer.weight.sum(1), alpha=split.shift)


class Machine:
    """A restricted Boltzmann machine of binary units [Hinton 2006], by contrastive divergence [Hinton 2010]."""

    def __init__(self, weight: Tensor, hidden_bias: Tensor, rng: Generator) -> None:
        """Trains weight [hidden, visible] and hidden bias [hidden] in place; its visible bias [visible] starts at 0."""
        self.weight, self.hidden_bias, self.rng = weight, hidden_bias, rng
        self.visible_bias = weight.new_zeros(weight.shape[1])
        self._velocities = [torch.zeros_like(tensor) for tensor in (weight, hidden_bias, self.visible_bias)]

    def hidden(self, visible: Tensor) -> Tensor:
        """The probabilities [samples, hidden] that hidden units are on."""
        return torch.sigmoid(F.linear(visible, self.weight, self.hidden_bias))

    def visible(self, hidden: Tensor) -> Tensor:
        """The probabilities [samples, visible] that visible units are on."""
        return torch.sigmoid(F.linear(hidden, self.weight.t(), self.visible_bias))

    def _drawn(self, probabilities: Tensor) -> Tensor:
        """States 0 or 1; `torch.bernoulli` would stop at probabilities that are no numbers, here training finds out."""
        uniform = torch.rand(
            probabilities.shape, generator=self.rng, dtype=probabilities.dtype, device=probabilities.device
        )
        return (uniform < probabilities).to(probabilities.dtype)

    def step(self, data: Tensor, k: int, lr: float, momentum: float, weight_decay: float) -> Tensor:
        """One step of CD-k on data [samples, visible] in [0, 1]: the mean square of data − reconstruction, a scalar.

        ΔW = momentum · ΔW + lr · (⟨h v⟩ of the data − ⟨h v⟩ after k Gibbs steps − weight_decay · W), biases alike
        without decay. Hidden states are drawn, but for the last, which like visible ones are probabilities.
        """
        first = hidden = self.hidden(data)
        chain = []
        for _ in range(k):
            chain.append(self.visible(self._drawn(hidden)))
            hidden = self.hidden(chain[-1])
        correlations = (first.t() @ data - hidden.t() @ chain[-1]) / len(data)
        slopes = (
            correlations.sub_(self.weight, alpha=weight_decay),
            (first - hidden).mean(0),
            (data - chain[-1]).mean(0),
        )
        parameters = (self.weight, self.hidden_bias, self.visible_bias)
        for parameter, velocity, slope in zip(parameters, self._velocities, slopes, strict=True):
            parameter.add_(velocity.mul_(momentum).add_(slope, alpha=lr))
        return F.mse_loss(chain[0], data)


PHASES: dict[str, Callable[..., None]] = {"lsuv": lsuv, "rbm": rbm}
