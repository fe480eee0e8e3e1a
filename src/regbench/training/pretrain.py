"""Initial weights that depend on training images: a second phase after `initialize`, with the images of one run."""

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

_Report = Callable[[Progress], None]


@torch.no_grad()
def pretrain(model: nn.Module, config: RunConfig, split: Split, report: _Report) -> None:
    """Change a new model on the split's device as `init=lsuv` or `init=rbm` say; do nothing for other options.

    It draws from the seed's stream PRETRAIN only and leaves norm layers as they are. Every row goes to `report`.
    """
    args = {key: value for key, value in config.init.args.items() if key != "bias"}
    if phase := PHASES.get(config.init.name):
        phase(model, split, config.seed, report, **args)


def _layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Each module without parts of a sequence of sequences, in its order, with the name of its block."""
    return ((name.partition(".")[0], module) for name, module in model.named_modules() if not [*module.children()])


def _lsuv(
    model: nn.Module, split: Split, seed: int, report: _Report, *, tol: float, max_iter: int, batch_size: int
) -> None:
    """Rescale the weights of each dense and convolutional layer until its outputs on a batch have unit variance.

    It goes from input to output, with norms by the moments of the batch, as in a first training step, and without
    dropout.
    """
    device = split.train.device
    rows = split.train[torch.randperm(len(split.train), generator=generator(seed, Stream.PRETRAIN)).to(device)]
    images, _ = split.batch(rows[:batch_size])
    features = images.to(next(model.parameters()).dtype)
    for name, module in _layers(model):
        if isinstance(module, nn.Linear | nn.Conv2d):
            for step, variance in enumerate(rescaled(module, features, tol, max_iter)):
                report(Progress(name, step, "variance", variance))
        if not isinstance(module, Dropout):
            features = deepcopy(module).train()(features)  # a copy: running statistics stay as they are


def rescaled(layer: nn.Linear | nn.Conv2d, features: Tensor, tol: float, max_iter: int) -> Iterator[float]:
    """Divide the weights by the standard deviation of all outputs, at most max_iter times.

    Yields the variance before the first division and after each: the last is 1 ± tol, unless max_iter was too small or
    all outputs are equal.
    """
    for _ in range(max_iter):
        yield (variance := layer(features).var(correction=0).item())
        if abs(variance - 1) < tol or not 0 < variance < math.inf:
            return
        layer.weight.div_(math.sqrt(variance))
    yield layer(features).var(correction=0).item()


def _rbm(
    model: nn.Module,
    split: Split,
    seed: int,
    report: _Report,
    *,
    epochs: int,
    lr: float,
    batch_size: int,
    k: int,
    momentum: float,
    weight_decay: float,
) -> None:
    """Train each hidden layer in turn as a restricted Boltzmann machine on the outputs of the layers below.

    The first machine sees pixels in [0, 1] whatever `data.scaling` is. Its weights are then changed so that they do the
    same to scaled pixels, x = scale · pixel + shift: the scaling of the data makes no difference here.
    """
    hidden = [(name, module) for name, module in _layers(model) if isinstance(module, nn.Linear)][:-1]
    for index, (name, layer) in enumerate(hidden):
        rng = generator(seed, Stream.PRETRAIN, index, split.train.device)
        machine = BoltzmannMachine(layer.weight, layer.bias, rng)
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


class BoltzmannMachine:
    """A restricted Boltzmann machine of binary units [Hinton 2006], trained by contrastive divergence [Hinton 2010]."""

    def __init__(self, weight: Tensor, hidden_bias: Tensor, rng: Generator) -> None:
        """Train weight [hidden, visible] and hidden bias [hidden] in place; the visible bias [visible] starts at 0."""
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
        """Draw states 0 or 1. Probabilities may be NaN, which `torch.bernoulli` refuses: the run then diverges."""
        uniform = torch.rand(
            probabilities.shape, generator=self.rng, dtype=probabilities.dtype, device=probabilities.device
        )
        return (uniform < probabilities).to(probabilities.dtype)

    def step(self, data: Tensor, k: int, lr: float, momentum: float, weight_decay: float) -> Tensor:
        """Take a step of CD-k on data [samples, visible] in [0, 1]; the mean square of data − reconstruction, a scalar.

        ΔW = momentum · ΔW + lr · (⟨h v⟩ of the data − ⟨h v⟩ after k Gibbs steps − weight_decay · W), and the same for
        biases without decay. Hidden states are drawn, except the last, which are probabilities as visible ones are.
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


PHASES: dict[str, Callable[..., None]] = {"lsuv": _lsuv, "rbm": _rbm}
