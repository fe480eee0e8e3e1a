"""`regbench train --help`: axes with their options, values with their meaning and range, on one screen."""

import textwrap
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from pydantic.fields import FieldInfo

from regbench.config.run_config import AXES, RunConfig, Runtime
from regbench.config.wording import describe
from regbench.text import shown

WIDTH = 80

_HELP = """\
Train one run, or with -m every combination of comma-separated values:
  regbench train norm=batch init=kaiming optimizer.lr=0.01
  regbench train -m norm=none,batch dropout=0,0.2 'seed=range(0,5)'
Sweeps: zip=norm,init (in step), where='norm != none' (leaves out the others),
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


def train_help(folder: Path, *, _root_: DictConfig) -> str:
    """Write the text, from the YAML files in `folder`, the fields of RunConfig and the composed config."""
    axes = [_entry(axis, ", ".join(_options(folder, axis, str(_root_[axis].name)))) for axis in AXES]
    plain = {key: field for key, field in RunConfig.model_fields.items() if key not in (*AXES, "runtime")}
    nested = {f"runtime.{key}": field for key, field in Runtime.model_fields.items()}
    values = [_value_entry(key, field, _root_) for key, field in (plain | nested).items()]
    return _HELP.format(axes="\n".join(axes), values="\n".join(values))


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
