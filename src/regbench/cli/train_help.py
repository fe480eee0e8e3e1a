"""`regbench train --help`, on one screen, and `--help-all`: axes with their options, values with their ranges."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from pydantic.fields import FieldInfo

from regbench.config.run_config import AXES, RunConfig, Runtime
from regbench.config.wording import describe
from regbench.text import shown

WIDTH = 80
_MOST_USED = ("dropout", "epochs", "batch_size", "seed", "runtime.study")

_SHORT = """\
Train one run, or with -m every combination of comma-separated values:
  regbench train norm=batch init=kaiming optimizer.lr=0.01
  regbench train -m norm=none,batch dropout=0,0.2 'seed=range(0,5)'

Axes: AXIS=OPTION (* is chosen); all of one: regbench options AXIS
{axes}

Values: NAME=VALUE (now, meaning)
{values}

Repeat it to resume. All values, sweeps and flags: regbench train --help-all"""

_WHOLE = """\
Train one run, or with -m every combination of comma-separated values:
  regbench train norm=batch init=kaiming optimizer.lr=0.01
  regbench train -m norm=none,batch dropout=0,0.2 'seed=range(0,5)'
Sweeps: zip=norm,init (in step), where='norm != none' (leaves out the others),
union='norm=none | norm=batch dropout=0,0.2' (several grids),
hydra/launcher=processes (all cores), hydra/sweeper=optuna (searches)

Axes: AXIS=OPTION (* is chosen)
{axes}

Values: NAME=VALUE (now, meaning, what is allowed)
{values}

Recipes: +experiment=NAME (one run), +study=NAME (a sweep, without -m); a name
that does not exist lists them.
An option's values, with defaults and ranges: regbench options optimizer
Flags: -m (sweep), --cfg job (show the config), --info, --config-dir DIR (your
own options), --hydra-help (all). Repeat the command to resume. Of sweeps:
--plan (what it trains, its time and what it can show; --pilot 3 measures that),
--until-decided (adds seeds; --baseline norm=none, --margin 0.2, --max-seeds 50)"""


def short_help(folder: Path, *, _root_: DictConfig) -> str:
    """Write what fits a terminal of 24 lines: some options of each axis, the chosen one first, and a few values."""
    axes = [f"  {axis:16} {_some(_options(folder, axis, str(_root_[axis].name)))}" for axis in AXES]
    fields = _fields()
    values = [_line(key.removeprefix("runtime."), fields[key], OmegaConf.select(_root_, key)) for key in _MOST_USED]
    return _SHORT.format(axes="\n".join(axes), values="\n".join(values))


def whole_help(folder: Path, *, _root_: DictConfig) -> str:
    """Write all, from the YAML files in `folder`, the fields of RunConfig and the composed config."""
    axes = [_entry(axis, ", ".join(_options(folder, axis, str(_root_[axis].name)))) for axis in AXES]
    values = [_value_entry(key, field, _root_) for key, field in _fields().items()]
    return _WHOLE.format(axes="\n".join(axes), values="\n".join(values))


def _fields() -> dict[str, FieldInfo]:
    """Return what describes the values beside the axes."""
    plain = {key: field for key, field in RunConfig.model_fields.items() if key not in (*AXES, "runtime")}
    return plain | {f"runtime.{key}": field for key, field in Runtime.model_fields.items()}


def _some(options: Sequence[str]) -> str:
    """Write the options that fit a line, the chosen one first, and how many there are besides."""
    names = sorted(options, key=lambda name: not name.startswith("*"))
    lines = [f"{', '.join(names[:count])} and {len(names) - count} more" for count in range(1, len(names))]
    whole = ", ".join(names)
    return next((line for line in (whole, *reversed(lines)) if len(line) <= WIDTH - 19), whole)


def _line(name: str, field: FieldInfo, now: object) -> str:
    """Write a value's line: what it is now and its meaning; a long one is cut."""
    line = f"  {name:16} {shown(now):7} {field.description}"
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."


def _options(folder: Path, axis: str, chosen: str) -> list[str]:
    """List the options of an axis, `none` first, and mark the chosen one."""
    names = sorted((path.stem for path in (folder / axis).glob("*.yaml")), key=lambda name: (name != "none", name))
    return [f"*{name}" if name == chosen else name for name in names]


def _value_entry(key: str, field: FieldInfo, root: DictConfig) -> str:
    """Write a value's line: what it is now, its meaning, what is allowed."""
    now = shown(OmegaConf.select(root, key))
    return _entry(key, f"{now:7} {field.description}; {describe(field).removeprefix('null or ')}", hanging=8)


def _entry(name: str, text: str, hanging: int = 0) -> str:
    """Write a name, and its text in a second column."""
    return textwrap.fill(
        text, WIDTH, initial_indent=f"  {name:16} ", subsequent_indent=" " * (19 + hanging), drop_whitespace=True
    )
