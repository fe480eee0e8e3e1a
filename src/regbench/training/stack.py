"""K runs in lockstep as one model: tensors here have a leading run axis, which nothing in techniques/ ever sees."""

import math
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from regbench.config.run_config import RunConfig
from regbench.models.architectures import build, skeleton
from regbench.techniques.clip import total_norm
from regbench.techniques.optimizer import has_momentum
from regbench.techniques.scheduler import Setting, setting
from regbench.training.diagnostics import Observation
from regbench.training.masks import Masks
from regbench.training.network import Network, lift
from regbench.training.recorded_step import Figures, RecordedStep
from regbench.training.stack_optimizer import update
from regbench.training.terms import Terms, cross_entropy

# On 2 cores, a training step of the cnn takes 23 ms with channels last, 32 ms without (27 and 36 ms with batch norm).
_MEMORY_FORMATS = {"cpu": torch.channels_last}

Batch = tuple[Tensor, Tensor]  # images [K, samples, 28, 28], labels [K, samples]


class Score(NamedTuple):
    """What one run makes of images that it does not train on."""

    loss: float  # mean cross-entropy
    acc: float  # share of images that are classified correctly


class _Evaluation(NamedTuple):
    """What all runs make of images that they do not train on."""

    scores: list[Score]  # of each run
    classes: Tensor  # that each run gives to each image, int16 [K, images]


class Stack:
    """Runs whose computations have the same shape; their numbers may differ (`regbench.training.stacking`)."""

    def __init__(self, configs: Sequence[RunConfig], device: torch.device) -> None:
        self.configs, self.device = configs, device
        config = configs[0]  # for what is equal in all
        self.dtype = torch.float64 if config.precision == "fp64" else torch.float32
        self.models = [self._placed(build(config)) for config in configs]
        self.network = Network(self.models, _template(configs), half=config.precision == "bf16")
        self.update = update(configs, self.network)
        self._by_step = any(config.scheduler.args["interval"] == "step" for config in configs)
        self._settings: list[Setting] = []
        self._terms, self._masks = Terms(configs, self.network), Masks(configs, self.network)
        self._recorded_step = RecordedStep(self.network, self._terms, self._masks, self.update, self._by_step)
        self.diagnosed = config.runtime.diagnostics == "on"
        self._before: dict[str, Tensor] = {}  # weights before the epoch's last step

    def _placed(self, model: nn.Sequential) -> nn.Sequential:
        layout = _MEMORY_FORMATS.get(self.device.type, torch.preserve_format)
        return model.to(self.device, self.dtype).to(memory_format=layout)

    def begin_epoch(self, epoch: int, steps: int = 1, losses: Sequence[Sequence[float]] | None = None) -> list[float]:
        """Set what changes from epoch to epoch, counted from 0; return each run's learning rate at its start.

        `steps`: in an epoch; `losses`: each run's losses of the epochs before, for schedules.
        """
        self._epoch, self._steps, self._done = epoch, steps, 0
        self._losses = losses or [[]] * len(self.configs)
        self._masks.begin_epoch(epoch)
        self.network.train(True)
        return self._set_rates()

    def _set_rates(self) -> list[float]:
        at = self._epoch + self._done / self._steps
        pairs = zip(self.configs, self._losses, strict=True)
        settings = [_scheduled(config, at, losses) for config, losses in pairs]
        rates, momenta = [setting.lr for setting in settings], [setting.momentum for setting in settings]
        if settings != self._settings:
            before = self.update.fixed_rates
            self.update.set_rates(rates)
            self.update.set_momenta(momenta)
            if before or self.update.fixed_rates or any(momentum is not None for momentum in momenta):
                self._recorded_step.forget()
        self._settings = settings
        return rates

    def step(self, images: Tensor, labels: Tensor) -> Figures:
        """Update every run once from images [K, samples, 28, 28] and labels [K, samples]."""
        if self._by_step:
            self._set_rates()
        masks = self._masks.next(labels.shape[1])
        self._done += 1
        if self._done == self._steps and self.diagnosed:
            self._before = {name: weight.clone() for name, weight in self.network.matrices().items()}
        return self._recorded_step(images, labels, masks)

    def observe(self, images: Tensor, labels: Tensor) -> Observation:
        """What is known of the runs' layers after an epoch, from a batch as in `step`; changes nothing."""
        self.network.train(True)
        self._masks.drop_nothing()
        with self.network.keeping_buffers():
            outputs = self.network.trace(images)
            *_, logits = outputs.values()
            gradients = self.network.gradients(self._terms.loss(logits, labels).total())
        return Observation(
            outputs={name: output.detach() for name, output in outputs.items()},
            gradients=self.network.named(gradients),
            weights=self.network.matrices(),
            before=self._before,
        )

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Batch]) -> _Evaluation:
        """Evaluate each run in eval mode over all images of the batches."""
        self.network.train(False)
        sums, classes, images = [], [], 0
        for x, labels in batches:
            logits = self.network(x)
            best = logits.argmax(2)
            classes.append(best.to(torch.int16))  # one byte does not hold the classes of every image folder
            hits = (best == labels).sum(1).double()
            sums.append(torch.stack([cross_entropy(logits, labels).sum(1).double(), hits]))
            images += labels.shape[1]
        losses, shares = (torch.stack(sums).sum(0) / images).tolist()
        return _Evaluation(list(map(Score, losses, shares)), torch.cat(classes, dim=1))

    def weight_norms(self) -> list[float]:
        """The 2-norm of all weights of dense and convolutional layers of each run, as one vector."""
        of_all = lift(partial(total_norm, norm_type=2.0), len(self.configs))
        norms: list[float] = of_all(list(self.network.matrices().values())).tolist()
        return norms

    def weights(self, run: int) -> dict[str, Tensor]:
        """Copy one run's parameters and running statistics as they are now."""
        tensors = self.models[run].state_dict()
        return {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}

    def state(self, run: int) -> dict[str, Any]:
        """Everything that one run needs to resume, alone or in another stack: tensors and plain values only."""
        return {"weights": self.weights(run), "optimizer": self.update.state(run)}

    def load_state(self, run: int, state: Mapping[str, Any]) -> None:
        """Let one run resume from a saved state."""
        self.models[run].load_state_dict(state["weights"])
        self.update.load_state(run, state["optimizer"])
        self._settings = []  # those of the saved epoch are set now
        self._recorded_step.forget()


def _template(configs: Sequence[RunConfig]) -> nn.Sequential | None:
    """The layers of all models of a stack, with each dropout layer that any of them has; a single model has its own."""
    if len(configs) == 1:
        return None
    rates = {
        "dropout": max(config.dropout for config in configs),
        "dropout_conv": max(config.conv_dropout for config in configs),
    }
    return deepcopy(skeleton(configs[0].model_copy(update=rates)))


def _scheduled(config: RunConfig, epoch: float, losses: Sequence[float]) -> Setting:
    """What a run trains at, at an epoch counted from 0 and a fraction within one."""
    rhythm = {key: config.scheduler.args[key] for key in ("warmup_epochs", "interval")}
    if rhythm["interval"] == "epoch":
        epoch = math.floor(epoch)
    wanted = setting(config.scheduler, config.optimizer.args["lr"], epoch, config.epochs, losses, **rhythm)
    return wanted if has_momentum(config.optimizer) else wanted._replace(momentum=None)
