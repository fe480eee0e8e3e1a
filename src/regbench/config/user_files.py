"""YAML files that are not regbench's own: what they may set unless the user trusts them.

Hydra makes objects of what its own node names (`_target_`, callbacks, handlers of logs), and sets variables of the
environment; YAML repeats a part as often as another part names it. Someone else's file must do neither.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from regbench.config.location import config_dir
from regbench.errors import UserError
from regbench.guarded import read_bounded
from regbench.text import file_name

FLAG = "--trust-configs"
_MOST_BYTES = 2**20  # of a file
_MOST_VALUES = 20_000  # of a file, each alias counted as what it stands for
_MOST_FILES = 5_000
_ALLOWED = {"hydra.mode", "hydra.launcher.n_jobs", "hydra.sweeper"}  # a key that no sweeper has, Hydra refuses
_PLACES = ("hydra.sweeper.storage",)  # what is written there
# Items of a defaults list that may stand there: groups to choose from, and what regbench chooses itself.
_CHOSEN = ("hydra/launcher ", "hydra/sweeper ", "hydra/job_logging none", "hydra/hydra_logging none")
_MAKES = ("_target_", "()", "class")  # keys whose values are called
_HEADER = re.compile(r"^\s*#.*@package.*hydra", re.MULTILINE)
_PATHS = ("dir", "cache", "path", "folder")  # keys whose values are paths
_ENVIRONMENT = re.compile(r"\$\{\s*(?:oc\.)?env\s*:")


def check(folders: Iterable[Path], trusted: bool) -> None:
    """Refuse files below the folders that run or leak something; `trusted` allows all except what has no end.

    All files are checked, not only those that are chosen: which ones Hydra reads, it finds out while it reads them.

    Raises:
        UserError: a file is refused; the message names it, and what in it.
    """
    own = config_dir().resolve()
    for folder in folders:
        if folder.resolve() != own:
            for path in _files(folder):
                inside = path.relative_to(folder)
                if inside.parts[0] == "hydra" and not trusted:
                    raise _refusal(path, "is an option of Hydra itself, which can run code")
                _check_file(path, trusted)


def _refusal(path: Path, reason: str) -> UserError:
    return UserError(f"{file_name(path)}: {reason}. If you trust all files in this folder, add {FLAG}")


def _files(folder: Path) -> Iterator[Path]:
    """Find the files that Hydra would read, behind links too.

    Raises:
        UserError: there are too many.
    """
    number = 0
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in sorted(folders) if not name.startswith(".")]
        for name in sorted(names):
            if name.endswith(".yaml"):
                number += 1
                yield Path(place, name)
        if number > _MOST_FILES or place.count(os.sep) - str(folder).count(os.sep) > 64:
            raise UserError(f"{file_name(folder)}: is no folder of configs: it holds more than {_MOST_FILES:,} files")


def _check_file(path: Path, trusted: bool) -> None:
    try:
        text = read_bounded(path, _MOST_BYTES).decode()
        document = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise UserError(f"{file_name(path)}: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError):
        return  # it is said when the file is chosen
    if document is None:
        return
    if _size(document, {}) > _MOST_VALUES:
        many = f"has more than {_MOST_VALUES:,} values, each alias counted in full"
        raise UserError(
            f"{file_name(path)}: {many}. Take it out of the folder, whose files are checked before one is read"
        )
    fault = None if trusted else _fault(text, document)
    if fault:
        raise _refusal(path, fault)


def _size(node: yaml.Node, known: dict[int, float]) -> float:
    """Count the values below a node; infinite where it holds itself."""
    if id(node) not in known:
        known[id(node)] = float("inf")
        known[id(node)] = 1 + sum(_size(part, known) for part in _parts(node))
    return known[id(node)]


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _fault(text: str, document: yaml.Node) -> str | None:
    """Say what in a file could run or leak something; None if nothing could."""
    if _HEADER.search(text):
        return "its package is Hydra's own node, which can run code"
    for keys, value in _leaves(document, ()):
        if reason := _fault_at(keys, value):
            return reason
    return None


def _fault_at(keys: tuple[str, ...], value: str) -> str | None:
    name = ".".join(keys)
    if any(key in _MAKES for key in keys):
        return f"{name}: makes an object of Python, which can run code"
    if keys[0] == "defaults":
        return _fault_of_default(keys[1:], value)
    allowed = name not in _PLACES and any(f"{name}.".startswith(f"{start}.") for start in _ALLOWED)
    if name.startswith("hydra") and not allowed:
        return None if _is_own(keys, value) else f"{name}: sets Hydra's own node, which can run code"
    if _ENVIRONMENT.search(value) and keys[-1] not in _PATHS:
        return f"{name}: reads the environment, which only paths may"
    return None


def _fault_of_default(keys: tuple[str, ...], value: str) -> str | None:
    """Check an item of the defaults list: `hydra/launcher: processes`, or a group of the user's own."""
    words = " ".join((*keys, value)).removeprefix("override ").removeprefix("/")
    return (
        None
        if words.startswith(_CHOSEN) or "hydra" not in words
        else f"defaults: {words}: sets Hydra's own node, which can run code"
    )


def _is_own(keys: tuple[str, ...], value: str) -> bool:
    """Tell whether regbench's own config.yaml says the same: a copy of it does no harm."""
    own = yaml.compose((config_dir() / "config.yaml").read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    return own is not None and (keys, value) in _leaves(own, ())


def _leaves(node: yaml.Node, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each value with its keys; dotted keys are several, items of lists have the key of their list."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _leaves(value, (*keys, *_key(key, keys)))
    elif isinstance(node, yaml.SequenceNode):
        for part in node.value:
            yield from _leaves(part, keys)
    else:
        yield keys or ("",), str(node.value)


def _key(node: yaml.Node, keys: tuple[str, ...]) -> list[str]:
    text = str(node.value) if isinstance(node, yaml.ScalarNode) else "?"
    return [text] if keys[:1] == ("defaults",) or text.startswith("_") else text.split(".")
