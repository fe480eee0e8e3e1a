"""docs/techniques.md, from registries, docstrings and YAML: `scripts/techniques_page > docs/techniques.md`."""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

import torch_defaults
from regbench.config.location import config_dir
from regbench.config.registry import Registry
from regbench.config.run_config import RunConfig
from regbench.config.wording import describe
from regbench.experiment.checks import registries
from regbench.techniques.clip import clip
from regbench.techniques.dropout import Dropout
from regbench.techniques.norm import arranged
from regbench.techniques.regularizer import limited, smoothing

HEAD = """\
# Techniques

Every axis with its options, every option with its arguments: `regbench train norm=batch norm.momentum=0.05`. Sources in
brackets are in [sources.md](sources.md), classes and functions in the documentation of PyTorch. This page is made by
`scripts/techniques_page > docs/techniques.md` from what the program itself reads; a test keeps it current. Each
option's accuracy after one short epoch is in [catalogue.md](catalogue.md).

In formulas x are features, w weights, g their gradient, lr is the learning rate and t the number of the step, from 1;
what an optimizer remembers (m, v, …) begins at 0, and weight decay adds weight_decay · w to g unless said otherwise.
"""
VALUES: dict[tuple[str, ...], Any] = {  # techniques that are plain values of a run, and where they are explained
    ("dropout", "dropout_conv"): Dropout,
    ("norm_position",): arranged,
    ("label_smoothing",): smoothing,
    ("max_norm",): limited,
    ("clip_norm", "clip_norm_type", "clip_value"): clip,
}
_SETTING = re.compile(r'^ *"?(?P<key>\w+)"?: (?P<value>.*?)(?: +# (?P<comment>.*))?$', re.MULTILINE)
_FOR_PROGRAMMERS = re.compile(r"\n\n(?:Args|Returns|Raises|Yields):.*", re.DOTALL)
_WHEN = re.compile(r"(?:^|\n\n)(Use .*?)(?:\n\n.*)?$", re.DOTALL)


def page(folder: Path) -> str:
    """The whole page, by the YAML files in `folder`."""
    chosen = {axis: name for entry in _defaults(folder) for axis, name in entry.items()}
    parts = [_section(folder, axis, registry, chosen[axis]) for axis, registry in registries().items()]
    return "\n".join([HEAD, *parts, _values_section(folder), torch_defaults.section()])


def _defaults(folder: Path) -> list[dict[str, str]]:
    """The entries of the defaults list that choose an option of an axis."""
    entries = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))["defaults"]
    return [entry for entry in entries if isinstance(entry, dict)]


def _section(folder: Path, axis: str, registry: Registry[Any], chosen: str) -> str:
    """An axis with all of its options, `none` first."""
    names = sorted(registry, key=lambda name: (name != "none", name))
    links = ", ".join(f"[{name}](#{axis}{name})" for name in names)
    parts = [f"## {axis}\n\n{links}. Default: `{axis}={chosen}`.\n"]
    for name in names:
        text = (folder / axis / f"{name}.yaml").read_text("utf-8")
        parts += [f"### {axis}={name}\n", explained(registry[name]), table(registry.schema(name), text, f"{axis}.")]
    return "\n".join(filter(None, parts))


def _values_section(folder: Path) -> str:
    """The techniques that are no axis."""
    text = (folder / "config.yaml").read_text("utf-8")
    parts = ["## Values\n\nTechniques that are set by a number or a word: `regbench train dropout=0.2`.\n"]
    for keys, source in VALUES.items():
        parts += [f"### {', '.join(keys)}\n", explained(source), table(RunConfig, text, "", keys)]
    return "\n".join(parts)


def explained(source: Any) -> str:
    """A docstring's paragraphs up to the one that says when to use it, which is marked; the rest is for programmers."""
    text = _FOR_PROGRAMMERS.sub("", inspect.getdoc(source) or "")
    when = _WHEN.search(text)
    return f"{text[: when.start(1)] if when else text}" + (f"**When**: {when[1]}\n" if when else "\n")


def table(schema: type[BaseModel], text: str, prefix: str, keys: Iterable[str] = ()) -> str:
    """The arguments with their defaults, what is allowed, and their meaning."""
    rows = list(_rows_of(schema, text, prefix, keys))
    head = ["| argument | default | allowed | meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, ""]) if rows else ""


def _rows_of(schema: type[BaseModel], text: str, prefix: str, keys: Iterable[str]) -> Iterator[str]:
    """A row for each key, or for all that the YAML text sets except the name; its comments are the meaning."""
    settings = {match["key"]: match for match in _SETTING.finditer(text)}
    for key in keys or [key for key in settings if key in schema.model_fields]:
        field, setting = schema.model_fields[key], settings[key]
        cells = (f"`{prefix}{key}`", f"`{setting['value']}`", describe(field), setting["comment"] or field.description)
        yield f"| {' | '.join((cell or '').replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    sys.stdout.write(page(config_dir()))
