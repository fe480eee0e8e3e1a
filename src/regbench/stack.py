"""K runs in lockstep as one model: tensors here have a leading run axis, which nothing in techniques/ ever sees."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from regbench.config import RunConfig
from regbench.lift import Network, lift
from regbench.models import build
from regbench.rng import Stream, generator
from regbench.techniques.clip import clip, total_norm
from regbench.techniques.dropout import Dropout, draw
from regbench.techniques.layers import weighted_layers
from regbench.techniques.registry import Option
from regbench.techniques.regularizer import penalty
from regbench.techniques.scheduler import SCHEDULERS
from regbench.update import update

# A training step of the cnn on 2 cores: 23 ms with channels last, 32 ms without (27 and 36 ms with batch norm).
MEMORY_FORMATS = {"cpu": torch.channels_last}


class Figures(NamedTuple):
    """What one step tells of each run: tensors [K] on the device."""

    loss: Tensor  # mean cross-entropy of the batch, before the step, without the penalty
    hits: Tensor  # images of the batch classified rightly, before the step
    penalty: Tensor
    grad_norm: Tensor  # before clipping
    clipped: Tensor  # whether the gradient was


Batch = tuple[Tensor, Tensor]  # images [K, samples, 28, 28], labels [K, samples]


class Stack:
    """Runs whose computations have the same shape; their numbers may differ (`plan.shape`)."""

    def __init__(self, configs: Sequence[RunConfig], device: torch.device) -> None:
        self.configs, self.device = configs, device
        self.config = configs[0]  # for what is the same in all
        self.dtype = torch.float64 if self.config.precision == "fp64" else torch.float32
        self.models = [self._placed(build(config)) for config in configs]
        self.network = Network(self.models)
        self.update = update(configs, self.network)
        self._dropouts = self._dropout_layers()
        self._rngs: list[Generator] = []
        self._clip = self._clipping()
        self._penalty = self._penalties()

    def _placed(self, model: nn.Sequential) -> nn.Sequential:
        layout = MEMORY_FORMATS.get(self.device.type, torch.preserve_format)
        return model.to(self.device, self.dtype).to(memory_format=layout)

    def _per_run(self, values: Iterable[float | None]) -> Tensor:
        """A number of each run, [K]; infinity for null, which limits nothing."""
        numbers = [torch.inf if value is None else value for value in values]
        return torch.tensor(numbers, dtype=self.dtype, device=self.device)

    def begin_epoch(self, epoch: int) -> list[float]:
        """Set what changes from epoch to epoch, counted from 0; the learning rate of each run."""
        rates = [learning_rate(config, epoch) for config in self.configs]
        self.update.set_rates(rates)
        self._rngs = [generator(config.seed, Stream.DROPOUT, epoch, self.device) for config in self.configs]
        self.network.train(True)
        return rates

    def step(self, images: Tensor, labels: Tensor) -> Figures:
        """One update of every run from images [K, samples, 28, 28] and labels [K, samples]."""
        self._draw_masks(labels.shape[1])
        with self._precision():
            logits = self.network(images)
        loss = cross_entropy(logits, labels).mean(1)
        added = self._penalty()
        total = (loss if added is None else loss + added).sum()
        gradients, norm, clipped = self._clip(self.network.gradients(total))
        self.update.step(gradients)
        hits = (logits.detach().argmax(2) == labels).sum(1)
        return Figures(loss.detach(), hits, torch.zeros_like(norm) if added is None else added.detach(), norm, clipped)

    def _precision(self) -> AbstractContextManager[Any]:
        half = self.config.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16) if half else nullcontext()

    def _dropout_layers(self) -> list[tuple[Dropout, list[float]]]:
        """Each dropout layer of the network and its rate in every run: 0 where a run's own model has none."""
        named = [dict(model.named_modules()) for model in self.models]
        layers = [(name, layer) for name, layer in self.network.template.named_modules() if isinstance(layer, Dropout)]
        return [(layer, [getattr(modules.get(name), "rate", 0.0) for modules in named]) for name, layer in layers]

    def _draw_masks(self, samples: int) -> None:
        """Each run's masks from its own generator, in the order of the layers."""
        for layer, rates in self._dropouts:
            masks = torch.empty(len(rates), samples, *layer.shape, dtype=self.dtype, device=self.device)
            for mask, rate, rng in zip(masks, rates, self._rngs, strict=True):
                draw(mask, rate, rng)
            layer.mask = masks.flatten(0, 1)

    def _penalties(self) -> Callable[[], Tensor | None]:
        """A function that gives the penalty of every run, [K], or None where the option has none."""
        option = self.config.regularizer
        if option.name == "none":
            return lambda: None
        names = [key for key in ("strength", "alpha") if key in option.args]
        numbers = [self._per_run(config.regularizer.args[name] for config in self.configs) for name in names]

        def of_one(model: nn.Module, *own: Tensor) -> Tensor:
            args = option.args | dict(zip(names, own, strict=True))
            return penalty(model, Option(option.name, args), strength=args["strength"], on=args["on"])

        lifted = self.network.of_model(of_one)
        return lambda: lifted(*numbers)

    def _clipping(self) -> Callable[[list[Tensor]], tuple[list[Tensor], Tensor, Tensor]]:
        """A function that clips the gradients of every run, with the limits that any of them has."""
        norm_type = self.config.clip_norm_type
        limits = {
            "max_norm": [config.clip_norm for config in self.configs],
            "max_value": [config.clip_value for config in self.configs],
        }
        numbers = {name: self._per_run(values) for name, values in limits.items() if values != [None] * len(values)}

        def of_one(gradients: list[Tensor], own: dict[str, Tensor]) -> tuple[list[Tensor], Tensor, Tensor]:
            return clip(gradients, norm_type, own.get("max_norm"), own.get("max_value"))

        lifted = lift(of_one, len(self.configs))
        return lambda gradients: lifted(gradients, numbers)

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Batch]) -> list[tuple[float, float]]:
        """Mean cross-entropy and accuracy of each run in eval mode over all images of the batches."""
        self.network.train(False)
        sums, images = [], 0
        for x, labels in batches:
            with self._precision():
                logits = self.network(x)
            hits = (logits.argmax(2) == labels).sum(1)
            sums.append(torch.stack([cross_entropy(logits, labels).sum(1).double(), hits.double()]))
            images += labels.shape[1]
        losses, hits = (torch.stack(sums).sum(0) / images).tolist()
        return list(zip(losses, hits, strict=True))

    def weight_norms(self) -> list[float]:
        """The 2-norm of all weights of dense and convolutional layers of each run, as one vector."""
        tensors = [[layer.weight.detach() for layer in weighted_layers(model)] for model in self.models]
        merged = [torch.stack(tensors) for tensors in zip(*tensors, strict=True)]
        norms: list[float] = lift(partial(total_norm, norm_type=2.0), len(self.configs))(merged).tolist()
        return norms

    def weights(self, run: int) -> dict[str, Tensor]:
        """A copy of one run's parameters and running statistics as they are now."""
        tensors = self.models[run].state_dict()
        return {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}

    def state(self, run: int) -> dict[str, Any]:
        """All that one run needs to go on, alone or in another stack: tensors and plain values only."""
        return {"weights": self.weights(run), "optimizer": self.update.state(run)}

    def load_state(self, run: int, state: Mapping[str, Any]) -> None:
        """Have one run go on from a saved state."""
        self.models[run].load_state_dict(state["weights"])
        self.update.load_state(run, state["optimizer"])


def learning_rate(config: RunConfig, epoch: int) -> float:
    """The rate at which a run trains an epoch, counted from 0."""
    schedule = SCHEDULERS[config.scheduler.name]
    return schedule(config.optimizer.args["lr"], epoch, config.epochs, **config.scheduler.args)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The loss of every image: logits [K, samples, classes] and labels [K, samples] to [K, samples]."""
    flat = logits.flatten(0, 1)
    precise = flat if flat.dtype == torch.float64 else flat.float()
    return F.cross_entropy(precise, labels.flatten(), reduction="none").view(labels.shape)
