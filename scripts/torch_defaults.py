"""The defaults of options that are not those of the torch class, each with the reason: a part of docs/techniques.md."""

import inspect
import math
import re
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, NamedTuple

import torch
import torchvision

from regbench.config.defaults import of_option
from regbench.experiment.checks import registries
from regbench.text import shown

RENAMED = {"T_max": "t_max", "T_0": "t_0", "T_mult": "t_mult", "elementwise_affine": "affine", "val": "value"}
RENAMED |= {"num_groups": "groups", "base_lr": "base_factor"}
_LIBRARIES = {"torch": torch, "torchvision": torchvision}
_NAMES_LAYERS = ("init", "default")  # whose start it is, not what it does


def _torch_classes() -> Iterator[tuple[tuple[str, str], Callable[..., object]]]:
    """Find the class or function of torch that an option's docstring names first, as in `torch.nn.ReLU`."""
    for axis, registry in registries().items():
        for option, function in registry.items():
            named = re.search(r"`(torch(?:vision)?)\.([\w.]+)`", function.__doc__ or "")
            if named and axis not in ("model", "data") and (axis, option) != _NAMES_LAYERS:
                yield (axis, option), attrgetter(named[2])(_LIBRARIES[named[1]])


TORCH = dict(_torch_classes())

REASONS = {
    "optimizer.sgd.lr": "plain SGD hardly learns in 5 epochs at torch's rate",
    "optimizer.rmsprop.lr": "the rate of Hinton's lecture, and of adam, to which it is compared",
    "optimizer.lbfgs.history_size": "the book of Nocedal and Wright recommends 3 to 20",
    "optimizer.lbfgs.line_search_fn": "without a line search it often diverges",
    "optimizer.muon.adjust_lr_fn": "steps as long as adamw's, which trains the other weights at the same rate",
    "scheduler.constant.factor": "constant from the first epoch on",
    "scheduler.constant.total_iters": "constant from the first epoch on",
    "scheduler.step.gamma": "after 2 and 4 of 5 epochs torch's would leave a hundredth of the rate",
    "scheduler.linear.start_factor": "a fall to 0; torch's is a rise, which warmup_epochs does",
    "scheduler.linear.end_factor": "a fall to 0; torch's is a rise, which warmup_epochs does",
    "scheduler.linear.total_iters": "all epochs, however many there are",
    "scheduler.polynomial.total_iters": "all epochs, however many there are",
    "scheduler.polynomial.power": "torch's is scheduler=linear",
    "scheduler.one_cycle.cycle_momentum": "the same, except that an optimizer without momentum is not refused",
    "scheduler.cyclic.cycle_momentum": "the same, except that an optimizer without momentum is not refused",
    "scheduler.cyclic.step_size_up": "in epochs; torch counts steps",
    "scheduler.reduce_on_plateau.patience": "10 epochs without a better loss are more than the 5 of a run",
    "norm.rms.eps": "that of the other norms; torch's is the precision of the numbers",
    "init.uniform.a": "torch's weights are all positive",
    "init.uniform.b": "torch's weights are all positive",
    "init.small_normal.std": "the option's purpose; init=normal has torch's",
    "init.truncated_normal.std": "as init=small_normal, cut off at two standard deviations as torch's",
    "init.truncated_normal.a": "two standard deviations, as torch's",
    "init.truncated_normal.b": "two standard deviations, as torch's",
    "init.sparse.std": "a tenth of the weights is left: with torch's, features fade from layer to layer",
    "augment.affine.translate": "an option that does something; torch has it off",
    "augment.affine.scale": "an option that does something; torch has it off",
    "augment.affine.shear": "off, in both",
    "augment.random_resized_crop.scale": "a crop of 8 % of a digit shows no digit",
}
HEAD = """\
## Defaults that are not torch's

Every other default is that of the class or function of PyTorch that the option names. Biases start at 0, as in the
papers; torch's layers draw theirs (`init.bias=null`). The gain of `init=kaiming` follows the activation, as the paper's
and torch's do. Batches have 100 images, a `DataLoader`'s 1.

| argument | here | torch | reason |
|---|---|---|---|
"""


class Difference(NamedTuple):
    """A default that is not torch's."""

    axis: str
    option: str
    key: str
    here: Any
    torch: Any


def differences() -> Iterator[Difference]:
    """Find every argument whose default in the YAML file is not that of the torch class's argument of its name."""
    for (axis, option), kind in TORCH.items():
        values = of_option(axis, option)
        for name, parameter in inspect.signature(kind).parameters.items():
            key, theirs = RENAMED.get(name, name), parameter.default
            if key in values and theirs is not parameter.empty and not _equal(values[key], theirs):
                yield Difference(axis, option, key, values[key], theirs)


def _equal(here: Any, theirs: Any) -> bool:
    """Compare values; numbers to 4 digits, as a YAML file has no 4/3."""
    if isinstance(theirs, tuple | list):
        return isinstance(here, tuple) and len(here) == len(theirs) and all(map(_equal, here, theirs))
    numbers = all(isinstance(value, int | float) for value in (here, theirs))
    return math.isclose(here, theirs, rel_tol=1e-4) if numbers else here == theirs


def section() -> str:
    """The part of docs/techniques.md.

    Raises:
        KeyError: A difference has no reason.
    """
    rows = (
        f"| `{name}` | `{_cell(found.here)}` | `{_cell(found.torch)}` | {REASONS[name]} |"
        for found in differences()
        for name in [f"{found.axis}.{found.option}.{found.key}"]
    )
    return HEAD + "\n".join(rows) + "\n"


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else shown(value)
