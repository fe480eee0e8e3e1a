"""K runs in lockstep as one model: tensors here have a leading run axis, which nothing in techniques/ ever sees."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from regbench.config.registry import Option
from regbench.config.run_config import RunConfig
from regbench.models.architectures import build, skeleton
from regbench.records.rows import LayerFigures
from regbench.rng import Stream, generator
from regbench.techniques.clip import clip, total_norm
from regbench.techniques.dropout import Dropout, draw
from regbench.techniques.layers import weighted_layers
from regbench.techniques.regularizer import limited, penalty, smoothing
from regbench.techniques.scheduler import Setting, setting
from regbench.training.diagnostics import Observation, diagnose
from regbench.training.network import Network, lift
from regbench.training.replay import Replayed
from regbench.training.stack_optimizer import update

# A training step of the cnn on 2 cores: 23 ms with channels last, 32 ms without (27 and 36 ms with batch norm).
MEMORY_FORMATS = {"cpu": torch.channels_last}
# Steps whose dropout masks are drawn at once: a call for each run of a stack is what a GPU would wait for.
MASKS_AHEAD = {"cuda": 8}


class Figures(NamedTuple):
    """What one step tells of each run: tensors [K] on the device."""

    loss: Tensor  # mean cross-entropy of the batch, before the step, without the penalty
    hits: Tensor  # images of the batch classified rightly, before the step
    penalty: Tensor  # what the regularizer and label smoothing add to the loss
    grad_norm: Tensor  # before clipping
    clipped: Tensor  # whether the gradient was


Batch = tuple[Tensor, Tensor]  # images [K, samples, 28, 28], labels [K, samples]


class Stack:
    """Runs whose computations have the same shape; their numbers may differ (`plan.stack_shape`)."""

    def __init__(self, configs: Sequence[RunConfig], device: torch.device) -> None:
        self.configs, self.device = configs, device
        self.config = configs[0]  # for what is the same in all
        self.dtype = torch.float64 if self.config.precision == "fp64" else torch.float32
        self.models = [self._placed(build(config)) for config in configs]
        dropouts = {
            "dropout": max(config.dropout for config in configs),
            "dropout_conv": max(config.conv_dropout for config in configs),
        }
        self.network = Network(self.models, skeleton(self.config.model_copy(update=dropouts)))
        self.update = update(configs, self.network)
        self._by_step = any(config.scheduler.args["interval"] == "step" for config in configs)
        self._settings: list[Setting] = []
        self._masks: list[Tensor] = []
        recordable = self.update.recordable and not (self._by_step and self.update.fixed_rates)
        self._whole = Replayed(told=False) if recordable else None
        self._part = Replayed()  # where the whole of a step cannot be recorded: all but the optimizers
        self._dropouts = self._dropout_layers()
        self._rngs: list[Generator] = []
        self.diagnosed = self.config.runtime.diagnostics == "on"
        self._before: dict[str, Tensor] = {}  # weights before the epoch's last step
        self._clip = self._clipping()
        self._penalty = self._penalties()
        self._smoothing = self._lifted(smoothing, [config.label_smoothing for config in configs], off=0.0)
        self._limited = self._lifted(limited, [config.max_norm for config in configs], off=None)

    def _placed(self, model: nn.Sequential) -> nn.Sequential:
        layout = MEMORY_FORMATS.get(self.device.type, torch.preserve_format)
        return model.to(self.device, self.dtype).to(memory_format=layout)

    def _per_run(self, values: Iterable[float | None]) -> Tensor:
        """A number of each run, [K]; infinity for null, which limits nothing."""
        numbers = [torch.inf if value is None else value for value in values]
        return torch.tensor(numbers, dtype=self.dtype, device=self.device)

    def _lifted(
        self, function: Callable[..., Tensor], values: Sequence[float | None], off: float | None
    ) -> Callable[..., Tensor] | None:
        """`function(*tensors, value)` with every run's own value; None where it is off in all runs."""
        if all(value == off for value in values):
            return None
        lifted, numbers = lift(function, len(self.configs)), self._per_run(values)
        return lambda *tensors: lifted(*tensors, numbers)

    def begin_epoch(self, epoch: int, steps: int = 1, losses: Sequence[Sequence[float]] | None = None) -> list[float]:
        """Set what changes from epoch to epoch, counted from 0; the learning rate of each run as it begins.

        `steps`: in an epoch; `losses`: each run's validation losses of the epochs before.
        """
        self._epoch, self._steps, self._done = epoch, steps, 0
        self._losses = losses or [[]] * len(self.configs)
        self._rngs = [generator(config.seed, Stream.DROPOUT, epoch, self.device) for config in self.configs]
        self.network.train(True)
        return self._set_rates()

    def _set_rates(self) -> list[float]:
        at = self._epoch + self._done / self._steps
        settings = [scheduled(config, at, own) for config, own in zip(self.configs, self._losses, strict=True)]
        rates, momenta = map(list, zip(*settings, strict=True))
        if settings != self._settings:
            before = self.update.fixed_rates
            self.update.set_rates(rates)
            self.update.set_momenta(momenta)
            recorded = before or self.update.fixed_rates or momenta != [None] * len(momenta)
            if self._whole and recorded:
                self._whole.forget()
        self._settings = settings
        return rates

    def step(self, images: Tensor, labels: Tensor) -> Figures:
        """One update of every run from images [K, samples, 28, 28] and labels [K, samples]."""
        if self._by_step:
            self._set_rates()
        masks = self._next_masks(labels.shape[1])
        self._done += 1
        if self._done == self._steps and self.diagnosed:
            self._before = {name: weight.clone() for name, weight in self._matrices().items()}
        if self._whole and not self._whole.given_up:
            step = partial(self._one_step, self._evaluated)
            return Figures(*self._whole(step, self._moved, images, labels, *masks))
        return self._one_step(partial(self._part, self._evaluated, self.network.tensors), images, labels, *masks)

    def _moved(self) -> list[Tensor] | None:
        """What a step changes."""
        remembered = self.update.tensors()
        return None if remembered is None else [*self.network.tensors(), *remembered]

    def _one_step(self, evaluated: Callable[..., Sequence[Tensor]], *batch: Tensor) -> Figures:
        """The update of a step: a function of the batch that changes weights and what the optimizers remember."""
        figures: list[Figures] = []

        def evaluate() -> tuple[Tensor, Sequence[Tensor]]:
            total, *rest = evaluated(*batch)
            figures.append(Figures(*rest[: len(Figures._fields)]))
            return total, rest[len(Figures._fields) :]

        self.update.step(evaluate)
        if self._limited:
            self._constrain()
        return figures[0]  # lbfgs evaluates more than once

    def _evaluated(self, images: Tensor, labels: Tensor, *masks: Tensor) -> Sequence[Tensor]:
        """The sum of the runs' losses with all that is added to them, the figures, and the gradients, clipped."""
        for (layer, _), mask in zip(self._dropouts, masks, strict=True):
            layer.mask = mask
        with self._precision():
            logits = self.network(images).to(self.dtype)
        loss, terms = self._loss(logits, labels)
        total = sum(terms, loss).sum()
        gradients, norm, clipped = self._clip(self.network.gradients(total))
        hits = (logits.detach().argmax(2) == labels).sum(1)
        extra = sum((term.detach() for term in terms), torch.zeros_like(norm))
        return [total.detach(), *Figures(loss.detach(), hits, extra, norm, clipped), *gradients]

    def _loss(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The mean cross-entropy of each run, [K], and what is added to it, each [K]."""
        added = [self._penalty(), self._smoothing(logits, labels) if self._smoothing else None]
        return cross_entropy(logits, labels).mean(1), [term for term in added if term is not None]

    def diagnose(self, images: Tensor, labels: Tensor) -> list[list[LayerFigures]]:
        """Each run's rows of layers.csv after an epoch, from a batch as in `step`; changes nothing."""
        self.network.train(True)
        for layer, _ in self._dropouts:
            layer.eval()
        with self.network.keeping_buffers():
            with self._precision():
                outputs = self.network.trace(images)
            *_, logits = outputs.values()
            loss, terms = self._loss(logits.to(self.dtype), labels)
            gradients = self.network.named(self.network.gradients(sum(terms, loss).sum()))
        features = {name: output.detach().to(self.dtype) for name, output in outputs.items()}
        seen = Observation(features, gradients, self._matrices(), self._before)
        return diagnose(self.network.template, seen, self._epoch + 1)

    @torch.no_grad()
    def _constrain(self) -> None:
        """Shorten each unit's weights to every run's max-norm."""
        assert self._limited is not None
        for weight in self._matrices().values():
            weight.copy_(self._limited(weight))

    def _matrices(self) -> dict[str, Tensor]:
        """The weights [K, ...] of dense and convolutional layers by their names in a model."""
        chosen = {id(layer) for layer in weighted_layers(self.network.template)}
        names = [f"{name}.weight" for name, layer in self.network.template.named_modules() if id(layer) in chosen]
        tensors = self.network.named_weights()
        return {name: tensors[name].detach() for name in names}

    def _precision(self) -> AbstractContextManager[Any]:
        half = self.config.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16) if half else nullcontext()

    def _dropout_layers(self) -> list[tuple[Dropout, list[float]]]:
        """Each dropout layer of the network and its rate in every run: 0 where a run's own model has none."""
        named = [dict(model.named_modules()) for model in self.models]
        layers = [(name, layer) for name, layer in self.network.template.named_modules() if isinstance(layer, Dropout)]
        return [(layer, [getattr(modules.get(name), "rate", 0.0) for modules in named]) for name, layer in layers]

    def _next_masks(self, samples: int) -> list[Tensor]:
        """The masks of the next step, each run's from its own generator; those of a few steps are drawn at once."""
        ahead = MASKS_AHEAD.get(self.device.type, 1)
        if self._done % ahead == 0:
            self._masks = [self._drawn(layer.shape, rates, ahead) for layer, rates in self._dropouts]
        return [masks[:, self._done % ahead, :samples].flatten(0, 1) for masks in self._masks]

    def _drawn(self, shape: tuple[int, ...], rates: Sequence[float], steps: int) -> Tensor:
        """Masks [K, steps, batch_size, *shape]."""
        size = (len(rates), steps, self.config.batch_size, *shape)
        masks = torch.empty(size, dtype=self.dtype, device=self.device)
        for mask, share, rng in zip(masks, rates, self._rngs, strict=True):
            draw(mask, share, rng)
        return masks

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
            "clip_norm": [config.clip_norm for config in self.configs],
            "clip_value": [config.clip_value for config in self.configs],
        }
        numbers = {name: self._per_run(values) for name, values in limits.items() if values != [None] * len(values)}

        def of_one(gradients: list[Tensor], own: dict[str, Tensor]) -> tuple[list[Tensor], Tensor, Tensor]:
            return clip(gradients, norm_type, own.get("clip_norm"), own.get("clip_value"))

        lifted = lift(of_one, len(self.configs))
        return lambda gradients: lifted(gradients, numbers)

    def evaluate(self, batches: Iterable[Batch]) -> list[tuple[float, float]]:
        """Mean cross-entropy and accuracy of each run in eval mode over all images of the batches."""
        return self.tested(batches)[0]

    @torch.no_grad()
    def tested(self, batches: Iterable[Batch]) -> tuple[list[tuple[float, float]], Tensor]:
        """As `evaluate`, and whether each run classifies each image rightly, [K, images]."""
        self.network.train(False)
        sums, rights, images = [], [], 0
        for x, labels in batches:
            with self._precision():
                logits = self.network(x).to(self.dtype)
            rights.append(logits.argmax(2) == labels)
            sums.append(torch.stack([cross_entropy(logits, labels).sum(1).double(), rights[-1].sum(1).double()]))
            images += labels.shape[1]
        losses, hits = (torch.stack(sums).sum(0) / images).tolist()
        return list(zip(losses, hits, strict=True)), torch.cat(rights, dim=1)

    def weight_norms(self) -> list[float]:
        """The 2-norm of all weights of dense and convolutional layers of each run, as one vector."""
        lifted = lift(partial(total_norm, norm_type=2.0), len(self.configs))
        norms: list[float] = lifted(list(self._matrices().values())).tolist()
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
        self._settings = []  # those of the saved epoch are set now
        if self._whole:
            self._whole.forget()


def scheduled(config: RunConfig, epoch: float, losses: Sequence[float]) -> Setting:
    """What a run trains at, at an epoch counted from 0 and a fraction within one."""
    rhythm = {key: config.scheduler.args[key] for key in ("warmup_epochs", "interval")}
    if rhythm["interval"] == "epoch":
        epoch = math.floor(epoch)
    return setting(config.scheduler, config.optimizer.args["lr"], epoch, config.epochs, losses, **rhythm)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The loss of every image: logits [K, samples, classes] and labels [K, samples] to [K, samples]."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)
