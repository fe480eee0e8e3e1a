"""A run up close: what it changes, its curves and figures, its classes and layers, its time and command."""

import json
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from regbench.analysis import health
from regbench.config import defaults
from regbench.config.run_config import AXES, NO_EFFECT_ON_NUMBERS
from regbench.errors import UserError
from regbench.records import epochs, predictions
from regbench.records.files import RUN
from regbench.records.locks import is_locked
from regbench.records.metrics import METRICS
from regbench.records.names import check_is_run, command
from regbench.records.predictions import Predictions
from regbench.records.run_json import Record, UnreadableError, content_of, parse, why
from regbench.tables import spark
from regbench.tables.layout import Cells, lay_out
from regbench.text import plural, printable, shown

_NOT_SHOWN = ("seed", "study", *NO_EFFECT_ON_NUMBERS)
_CURVES = ("train_loss", "val_loss", "train_acc", "val_acc")
_LAYERS = {  # columns of layers.csv, each with its heading and format
    "before_std": ("scale", ".3g"),
    "after_std": ("after norm", ".3g"),
    "dead": ("dead %", ".0%"),
    "saturated": ("saturated %", ".0%"),
    "grad_norm": ("gradient", ".2g"),
    "update_ratio": ("update", ".1e"),
    "near_zero": ("near 0 %", ".0%"),
}


@dataclass(frozen=True)
class RunPage:
    """All that the directory of a run says. `raw` is its run.json, `record` the checked part of it."""

    path: Path
    record: Record
    raw: Mapping[str, Any] = field(repr=False)
    epochs: Sequence[Mapping[str, float]] = field(repr=False)
    layers: Sequence[Mapping[str, Any]] = field(repr=False)
    predicted: Predictions | None = field(repr=False)

    @property
    def status(self) -> str:
        """How the run ended: `killed` if it says that it runs and no process holds it."""
        return "killed" if self.record.status == "running" and not is_locked(self.path) else self.record.status


def read(path: Path) -> RunPage:
    """Read a run.

    Raises:
        UserError: the path is not the directory of one run that can be read.
    """
    check_is_run(path)
    try:
        content = content_of(path)
        record = parse(content, Record)
    except (OSError, UnreadableError) as error:
        raise UserError(f"{path / RUN} {why(error)}") from None
    rows = epochs.read(path, completed=record.status == "completed")
    layers = epochs.read_layers(path)
    return RunPage(path, record, json.loads(content.decode("utf-8-sig")), rows, layers, predictions.read(path))


def show(page: RunPage, scores: Sequence[str], console: Console) -> None:
    """Print the page as wide as the console.

    Args:
        page: what `read` returns.
        scores: the final figures in words.
        console: where to print.
    """
    _line(console, f"{page.path.name}: {page.status}", "bold")
    for text in scores or [page.raw.get("error") or f"{plural(len(page.epochs), 'epoch')} trained so far"]:
        _line(console, str(text))
    _section(console, "Changed from the default", ["  " + (" ".join(changes(page.record.values())) or "nothing")])
    _section(console, _heading_of_curves(page), list(curves(page, ascii_only=console.options.ascii_only)))
    _section(console, "Accuracy of each class on the test images (%)", list(classes(page)))
    _section(console, _heading_of_layers(page), layers(page))
    for hint in health.hints(page.layers, diverged=page.record.status == "diverged"):
        _line(console, f"Hint: {hint.text} ({hint.source})", "yellow")
    _section(console, "Where the time went", list(times(page)))
    _section(console, "Made by", list(versions(page)))
    console.print(Text(printable(made_by(page))), soft_wrap=True)  # in one line, to be copied


def _section(console: Console, title: str, lines: Sequence[str]) -> None:
    if lines:
        console.print()
        _line(console, title, "bold")
        for line in lines:
            _line(console, line)


def _line(console: Console, text: str, style: str = "") -> None:
    """Print a line, folded between words; what is longer than the console stays whole, so that it can be copied."""
    indent = " " * (len(text) - len(text.lstrip()))
    rest = indent + "  " * bool(indent)
    folded = textwrap.fill(
        printable(text), console.width, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    console.print(Text(folded), style=style, soft_wrap=True)


def changes(values: Mapping[str, Any]) -> Iterator[str]:
    """Write `norm=batch norm.momentum=0.05`: what a run has in another way than conf/ says, its seed aside."""
    usual = defaults.of_run()
    for key, value in values.items():
        axis, _, argument = key.partition(".")
        if axis in _NOT_SHOWN or key == "data.digest":
            continue
        known = defaults.of_option(axis, str(values.get(axis))) if axis in AXES and argument else usual
        name = argument if axis in AXES and argument else key
        if name in known and known[name] != value:
            yield f"{key}={shown(value)}"


def _heading_of_curves(page: RunPage) -> str:
    return f"Epochs 1 to {page.epochs[-1]['epoch']:.0f}" if page.epochs else ""


def curves(page: RunPage, *, ascii_only: bool = False) -> Iterator[str]:
    """Write a small curve of each figure, its ends and its best value; losses share a scale, so do accuracies."""
    for kind in ("loss", "acc"):
        names = [name for name in _CURVES if name.endswith(kind)]
        series = {name: _finite(row.get(name, math.nan) for row in page.epochs) for name in names}
        every = [value for values in series.values() for value in values]
        for name, values in series.items():
            if values:
                yield _curve(name, values, min(every), max(every), ascii_only)


def _curve(name: str, values: Sequence[float], low: float, high: float, ascii_only: bool) -> str:
    metric = METRICS[name]
    best = (max if metric.higher_is_better else min)(values)
    first, top, last = (f"{metric.scale * value:.{metric.decimals}f}" for value in (values[0], best, values[-1]))
    marks = spark.spark(values, low, high, ascii_only=ascii_only)
    arrow = "->" if ascii_only else "→"
    return f"  {name + (' %' if metric.percent else ''):<12} {marks}  {first} {arrow} {last}, best {top}"


def _finite(values: Any) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def classes(page: RunPage) -> Iterator[str]:
    """Write the accuracy of each class at the chosen epoch, and what the worst one is taken for."""
    if page.predicted is None:
        return
    labels, given = page.predicted.answers.labels, page.predicted.classes["best_val"]
    present = [int(name) for name in np.unique(labels)]
    right = {name: float(np.mean(given[labels == name] == name)) for name in present}
    yield "  " + "  ".join(f"{name}:{100 * share:.1f}" for name, share in right.items())
    worst = min(right, key=lambda name: right[name])
    wrong = given[(labels == worst) & (given != labels)]
    if len(wrong):
        names, counts = np.unique(wrong, return_counts=True)
        share, other = 100 * counts.max() / np.count_nonzero(labels == worst), names[counts.argmax()]
        yield f"  Class {worst} is the hardest; {share:.1f} % of its images are taken for {other}."


def _heading_of_layers(page: RunPage) -> str:
    return f"Layers after epoch {_last(page):.0f}"


def _last(page: RunPage) -> float:
    return max((row["epoch"] for row in page.layers), default=0)


def layers(page: RunPage) -> list[str]:
    """Lay out the figures of each layer after the last epoch; nothing without diagnostics."""
    rows = [row for row in page.layers if row["epoch"] == _last(page)]
    names = [name for name in _LAYERS if any(math.isfinite(row.get(name, math.nan)) for row in rows)]
    headings = ["layer", *(_LAYERS[name][0] for name in names)]
    body = [[printable(str(row["layer"])), *(_figure(row, name) for name in names)] for row in rows]
    lines = lay_out(Cells(headings, body, range(1, len(headings))))
    return [f"  {line}" for line in lines] if rows else []


def _figure(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name, math.nan)
    return format(value, _LAYERS[name][1]).rstrip("%") if math.isfinite(value) else ""


def times(page: RunPage) -> Iterator[str]:
    """Say how long the epochs took, and how long all else did: data, preparation, waiting, test images, files."""
    seconds = _finite(row.get("seconds", math.nan) for row in page.epochs)
    if seconds:
        number, mean = plural(len(seconds), "epoch"), sum(seconds) / len(seconds)
        yield f"  epochs      {sum(seconds):.2f} s: {number}, {mean:.2f} s each"
    begun, ended = page.record.times.started, page.record.times.finished
    if seconds and begun and ended:
        rest = max((ended - begun).total_seconds() - sum(seconds), 0.0)
        yield f"  all else    {rest:.0f} s: data, preparation, waiting for other runs, test images, files"
    if page.record.result and page.record.result.cpu_seconds is not None:
        yield f"  processor   {page.record.result.cpu_seconds:.2f} s of all threads"
    if page.record.stack and page.record.stack > 1:
        yield f"  shared      {page.record.stack} runs trained together: times are of all of them"
    yield from _when(begun, ended)


def _when(begun: datetime | None, ended: datetime | None) -> Iterator[str]:
    moments = " to ".join(f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (begun, ended) if moment)
    if moments:
        yield f"  {'when':<11} {moments} UTC"


def versions(page: RunPage) -> Iterator[str]:
    """Name the versions, the device and the commit that made the run."""
    known, machine, git = page.record.versions or {}, page.record.machine or {}, page.record.git or {}
    parts = [f"regbench {known.get('regbench')}" if known.get("regbench") else ""]
    parts += [f"torch {known.get('torch')}" if known.get("torch") else ""]
    parts += [" ".join(str(name) for name in (machine.get("device"), machine.get("device_name")) if name)]
    parts += [f"commit {git['commit']}{' with changes' if git.get('dirty') else ''}" if git.get("commit") else ""]
    if any(parts):
        yield "  " + ", ".join(filter(None, parts))


def made_by(page: RunPage) -> str:
    """Write the command that trains this run again."""
    overrides = page.raw.get("overrides")
    return f"  {command(overrides if isinstance(overrides, list) else [])}"
