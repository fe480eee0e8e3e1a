"""Which configs this very program has checked before: a finished run is found again without torch.

Checking a config takes the signatures of the techniques, and with them torch, which takes seconds to import. A line of
a file in the cache says what a composed config came to. Each state of the program's files has a file of its own. It
counts only to find a run that is finished: what trains is always checked.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from regbench.config.location import PACKAGE, cache_dir
from regbench.config.registry import Option
from regbench.config.run_config import AXES, ID_LENGTH, RunConfig
from regbench.errors import UserError
from regbench.experiment.run import Run
from regbench.guarded import append, check_regular, read_bounded
from regbench.records.files import write_atomically

FILES = "checked-*.jsonl"
_MOST_FILES = 4  # such as those of two environments, before and after an update
_MOST_BYTES = 4_000_000  # some 3,000 configs; then the file begins anew
_MOST_SEED = 10**18  # a longer one makes a name that may be too long


class CheckedBefore:
    """What the cache says of configs. Its file is read once; without a cache nothing is known."""

    def __init__(self) -> None:
        self._known: dict[Path, dict[str, Any]] = {}

    def finished(self, values: Mapping[str, Any], overrides: Sequence[str]) -> Run | None:
        """Return the finished run that composed values mean; None if it is not known, or has to be trained."""
        with suppress(UserError, ValidationError, LookupError, TypeError, ValueError, OSError):
            known = self._lines(_file(values))[_key(values)]
            run = Run(_config(known["config"], values["seed"]), overrides, known_digest=known["data_digest"])
            return run if run.status().finished and not run.config.force else None
        return None

    def keep(self, values: Mapping[str, Any], run: Run) -> None:
        """Remember that composed values were checked, and are this run; the data of a folder may change."""
        if "path" in run.config.data.args:
            return
        with suppress(UserError, LookupError, TypeError, OSError):
            lines, key = self._lines(_file(values)), _key(values)
            if key not in lines:
                lines[key] = {"config": run.config.dump(), "data_digest": run.data_digest}
                _write(_file(values), json.dumps({"key": key, **lines[key]}))

    def _lines(self, file: Path) -> dict[str, Any]:
        if file not in self._known:
            self._known[file] = _read(file)
        return self._known[file]


def _file(values: Mapping[str, Any]) -> Path:
    return cache_dir(values["runtime"]["cache"]) / FILES.replace("*", _program()[:ID_LENGTH])


def _key(values: Mapping[str, Any]) -> str:
    """Name composed values, whatever their seed.

    Raises:
        TypeError: the seed, or another value, is none that is remembered.
    """
    if type(values["seed"]) is not int or not 0 <= values["seed"] < _MOST_SEED:
        raise TypeError("seed")
    rest = {key: value for key, value in values.items() if key != "seed"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _config(dumped: Mapping[str, Any], seed: int) -> RunConfig:
    options = {axis: Option(dumped[axis]["name"], {**dumped[axis]}) for axis in AXES}
    for option in options.values():
        del option.args["name"]
    return RunConfig.model_validate({**dumped, **options, "seed": seed})


def _read(file: Path) -> dict[str, Any]:
    """Read the lines of a file that these files of the program wrote."""
    known: dict[str, Any] = {}
    with suppress(OSError):
        first, *lines = read_bounded(file).decode(errors="replace").splitlines() or [""]
        for line in lines if first == _program() else []:
            with suppress(ValueError, TypeError, LookupError, RecursionError):
                content = json.loads(line)
                known[content["key"]] = content
    return known


def _write(file: Path, line: str) -> None:
    """Append a line; begin anew if the file is damaged, or has grown large, and remove what is old.

    Raises:
        OSError: it cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    if _is_ours(file):
        append(file, f"{line}\n".encode())
    else:
        write_atomically(file, f"{_program()}\n{line}\n".encode())
        for old in sorted(file.parent.glob(FILES), key=lambda one: one.stat().st_mtime)[:-_MOST_FILES]:
            old.unlink()


def _is_ours(file: Path) -> bool:
    """Tell whether the program has begun the file, and it has room: of thousands of configs each one asks."""
    head = _program().encode()
    with suppress(OSError):
        check_regular(file, _MOST_BYTES)
        with file.open("rb") as opened:
            return opened.read(len(head)) == head
    return False


@cache
def _program() -> str:
    """Name the files that decide what a config means: those of the package, of torch and of pydantic."""
    others = (find_spec(name) for name in ("torch", "pydantic"))
    versions = [Path(spec.origin).with_name("version.py") for spec in others if spec and spec.origin]
    stats = [(str(file), file.stat()) for file in (*sorted(PACKAGE.rglob("*.py")), *versions)]
    files = [(name, stat.st_mtime_ns, stat.st_size) for name, stat in stats]
    return hashlib.sha256(repr((sys.version, files)).encode()).hexdigest()
