"""What axes, legends and captions say: recorded names in words, with units."""

from collections.abc import Iterable, Mapping, Sequence

from regbench.analysis.intervals import LEVEL
from regbench.analysis.table import Row, Table
from regbench.config.run_config import AXES
from regbench.records.metrics import Metric, Selection
from regbench.text import plural, shown

_FIGURES = {
    "test_acc": "test accuracy (%)",
    "val_acc": "validation accuracy (%)",
    "train_acc": "training accuracy (%)",
    "test_loss": "test loss (nats)",
    "val_loss": "validation loss (nats)",
    "train_loss": "training loss (nats)",
    "gap": "validation minus training loss (nats)",
    "lr": "learning rate",
    "penalty": "penalty in the loss",
    "grad_norm": "norm of the gradient",
    "weight_norm": "norm of the weights",
    "clipped": "share of clipped steps",
    "seconds": "time (s)",
    "epoch": "epoch",
    "step": "training step",
}
_KEYS = {
    "norm": "normalization",
    "init": "initializer",
    "lr": "learning rate",
    "betas": "betas",
    "weight_decay": "weight decay",
    "model.hidden": "hidden widths",
    "dropout": "dropout rate",
    "dropout_conv": "dropout rate of feature maps",
    "batch_size": "batch size (images)",
    "epochs": "epochs",
    "clip_norm": "limit of the gradient's norm",
    "clip_value": "limit of the gradient's values",
    "max_norm": "limit of a unit's weights",
    "data.train_size": "training images",
    "data.label_noise": "share of wrong labels",
    "change": "change of the default",
}
_MOMENTS = {"best_val": "at the epoch with the best validation loss", "last": "at the last epoch"}
LEVEL_WORDS = f"{100 * LEVEL:.0f} % t interval"
SHRUNK = "Means drawn to each other as far as noise explains their spread (empirical Bayes)"
SEQUENCE_WORDS = f"{100 * LEVEL:.0f} % confidence sequence"


def figure(name: str) -> str:
    """Name a recorded figure for an axis: `test accuracy (%)`."""
    return _FIGURES.get(name, name.replace("_", " "))


def short_figure(name: str) -> str:
    """Name a figure without its unit: `test accuracy`."""
    return figure(name).partition(" (")[0]


def difference(metric: Metric) -> str:
    """Name a difference of a figure, with its unit: `difference in test accuracy (points)`."""
    return f"difference in {short_figure(metric.name)}{unit_of_difference(metric)}"


def unit_of_difference(metric: Metric) -> str:
    """Write ` (points)` of an accuracy, or the figure's own unit in brackets, or nothing."""
    unit = figure(metric.name).partition(" (")[2]
    return " (points)" if metric.percent else f" ({unit}" if unit else ""


def key(name: str) -> str:
    """Name a key: `normalization`, `learning rate`, `momentum of the optimizer`."""
    axis, _, argument = name.partition(".")
    if name in _KEYS or not argument:
        return _KEYS.get(name, name.replace("_", " "))
    if argument in _KEYS:
        return _KEYS[argument]
    word = argument.replace("_", " ")
    return f"{word} of the {_KEYS.get(axis, axis)}" if axis in AXES else word


def term(text: str) -> str:
    """Name a term of the analysis of variance: `normalization × initializer`."""
    return " × ".join(map(key, text.split(" × ")))


def keys(names: Iterable[str]) -> str:
    """Name several keys: `normalization, initializer`."""
    return ", ".join(map(key, names))


def values(group: Mapping[str, object], names: Sequence[str]) -> str:
    """Write a group's values: `batch, kaiming`; a key that the group lacks is `-`."""
    return ", ".join(shown(group[name]) if name in group else "-" for name in names)


def row(row: Row, table: Table) -> str:
    """Name a row as the table does: by what it changes, or by its values; and the values chosen for it."""
    name = row.change or ("all runs" if table.keys == ("runs",) else values(row.group, table.keys))
    return f"{name} at {row.choice.words}" if row.choice and row.choice.chosen else name


def rows(table: Table) -> str:
    """Name what tells the rows apart."""
    return key("change") if table.base is not None else keys(table.keys)


def moment(select: Selection | None) -> str:
    """Say of which epoch a figure is."""
    return _MOMENTS[select] if select else "of the whole run"


def count(numbers: Iterable[int], noun: str) -> str:
    """Write `n = 5 runs per line`, or the least and the greatest number: `n = 3 to 5 runs per line`."""
    least, most = min(found := list(numbers), default=0), max(found, default=0)
    number = str(most) if least == most else f"{least} to {most}"
    return f"n = {number} run{'' if most == 1 else 's'} per {noun}"


def lost(numbers: Mapping[str, int]) -> str:
    """Say which runs are in no figure: `Not in it: 2 diverged, 1 failed.`"""
    parts = [f"{number} {end}" for end, number in numbers.items() if number]
    total = sum(numbers.values())
    return f"Left out: {plural(total, 'run')} ({', '.join(parts)})." if parts else ""
