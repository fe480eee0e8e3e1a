"""The values that a run has if nothing is overridden: those of the built-in YAML files."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from regbench.config.location import config_dir
from regbench.config.run_config import AXES, flat


@cache
def of_run() -> Mapping[str, Any]:
    """Return the dotted keys of the default run with their values: `norm` is an option, `model.hidden` a tuple."""
    main = yaml.safe_load((config_dir() / "config.yaml").read_text(encoding="utf-8"))
    chosen = {axis: name for entry in main["defaults"] if isinstance(entry, dict) for axis, name in entry.items()}
    values = {key: _number(value) for key, value in flat(main) if "." not in key and key not in ("defaults", "hydra")}
    for axis in AXES:
        values |= {axis: chosen[axis]} | {f"{axis}.{name}": v for name, v in of_option(axis, chosen[axis]).items()}
    return values


@cache
def of_option(axis: str, option: str) -> Mapping[str, Any]:
    """Return the arguments of a built-in option with their values; none for an option of the user's."""
    try:
        content = yaml.safe_load((config_dir() / axis / f"{option}.yaml").read_text(encoding="utf-8"))
    except OSError:
        return {}
    return {key: _number(value) for key, value in flat(content) if key != "name"}


@cache
def _runtime() -> Mapping[str, Any]:
    main = yaml.safe_load((config_dir() / "config.yaml").read_text(encoding="utf-8"))
    return dict(main["runtime"])


def completed(config: Mapping[str, Any], **runtime: Any) -> dict[str, Any]:
    """Return a recorded config with the values of `runtime` that older versions lack; `runtime` replaces some."""
    return {**config, "runtime": {**_runtime(), **config.get("runtime", {}), **runtime}}


def _number(value: Any) -> Any:
    """Read `1e4` as a number, also in a list: YAML 1.1 takes it for text, and Hydra does not."""
    if isinstance(value, tuple):
        return tuple(map(_number, value))
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
