"""Every name that a command line can use, read from the YAML files."""

import re
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from regbench.config.run_config import AXES
from regbench.suggestions import meant, suggestion

RECIPES = ("experiment", "study")  # groups that a plus chooses from: +study=norms
GROUPS = (*AXES, *RECIPES)
_STRUCTURE = ("defaults", "hydra")  # in config.yaml, and no value of a run


class Vocabulary:
    """The options of each axis, the keys of each option, and the values beside them."""

    def __init__(self, folders: Iterable[Path]) -> None:
        """`folders` hold configs; where two have the same file, the first counts."""
        self._folders = list(folders)

    def options(self, group: str) -> list[str]:
        """Return the options of an axis, or the recipes of `experiment` or `study`."""
        return sorted({path.stem for folder in self._folders for path in (folder / group).glob("*.yaml")})

    def misnamed(self, group: str, option: str) -> Path | None:
        """Find the file of an option that does not end in .yaml, as it must."""
        paths = (folder / group / f"{option}{ending}" for folder in self._folders for ending in (".yml", ".YAML", ""))
        return next((path for path in paths if path.is_file()), None)

    def file(self, group: str, option: str) -> Path | None:
        """Find the file of an option."""
        paths = (folder / group / f"{option}.yaml" for folder in self._folders)
        with suppress(OSError):  # no file has so long a name
            return next((path for path in paths if path.is_file()), None)
        return None

    def not_text(self) -> Path | None:
        """Find a file that is not written in UTF-8."""
        paths = (path for folder in self._folders for path in sorted(folder.rglob("*.yaml")))
        return next((path for path in paths if not is_text(path)), None)

    @cached_property
    def keys(self) -> dict[str, list[str]]:
        """The options that have a key, by the key: `{"optimizer.momentum": ["rmsprop", "sgd"], "epochs": []}`."""
        keys: dict[str, list[str]] = {key: [] for key in self.values}
        for axis in AXES:
            for option in self.options(axis):
                for key in self._read(f"{axis}/{option}.yaml"):
                    if key != "name":
                        keys.setdefault(f"{axis}.{key}", []).append(option)
        return keys

    @cached_property
    def values(self) -> dict[str, Any]:
        """The defaults of the values beside the axes: `{"epochs": 5, "runtime.study": "default", …}`."""
        base = {key: value for key, value in self._read("config.yaml").items() if key not in _STRUCTURE}
        runtime = base.pop("runtime", None) or {}
        return base | {f"runtime.{key}": value for key, value in runtime.items()}

    @cached_property
    def lists(self) -> set[str]:
        """The keys whose values are lists."""
        files = ((axis, self._read(f"{axis}/{option}.yaml")) for axis in AXES for option in self.options(axis))
        return {f"{axis}.{key}" for axis, values in files for key, value in values.items() if isinstance(value, list)}

    def places(self, name: str, guess: bool = True) -> list[str]:
        """Return the likeliest keys whose last part is the name: `lr` is `optimizer.lr`.

        With `guess` the name may hold a typing error.
        """
        leaves = {key.rpartition(".")[2] for key in self.keys}
        leaf = name if name in leaves else meant(name, leaves) or (suggestion(name, leaves) if guess else None)
        places = {key: len(options) for key, options in self.keys.items() if leaf == key.rpartition(".")[2]}
        whole = [key for key, count in places.items() if not count]  # of every run
        most = max(places.values(), default=0)
        often = sorted((key for key, count in places.items() if 2 * count >= most), key=lambda key: -places[key])
        return whole or often

    def _read(self, file: str) -> dict[str, Any]:
        paths = (folder / file for folder in self._folders)
        content = _content(next((path for path in paths if path.is_file()), Path(file)))
        try:
            values = yaml.load(content or "", Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.YAMLError:
            return {}
        return {str(key): value for key, value in values.items()} if isinstance(values, dict) else {}


def line_of(path: Path, key: str) -> int | None:
    """Find the line of a YAML file that sets a key, by the last part of its name."""
    pattern = re.compile(rf"(^|[\s{{,/])[\"']?{re.escape(key.rpartition('.')[2])}[\"']?\s*:")
    lines = enumerate((_content(path) or "").splitlines(), 1)
    return next((number for number, line in lines if pattern.search(line.partition("#")[0])), None)


def is_text(path: Path) -> bool:
    """Whether a file is written in UTF-8."""
    return _content(path) is not None


def _content(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
