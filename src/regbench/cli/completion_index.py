"""What completion knows of regbench: read from a file in the cache, which is made anew after a change of regbench."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click
    from pydantic.fields import FieldInfo

_PACKAGE = Path(__file__).resolve().parent.parent
_SOURCES = ("cli", "config", "techniques", "data", "models")
_KINDS = {"KEY": "key", "COLUMN": "key", "KEY=VALUE": "pair", "CONDITION": "pair", "FILE": "file"}
_REBUILD = "from regbench.cli.completion_index import rebuild; rebuild()"


def known() -> dict[str, Any]:
    """Return the index. One that is older than regbench serves once more, while a process in the background makes it.

    Only the first call of all waits for it: it imports torch.
    """
    try:
        index: dict[str, Any] = json.loads(_file().read_bytes())
    except (OSError, ValueError):
        return rebuild()
    if index.get("stamp") != _stamp():
        nowhere = subprocess.DEVNULL
        subprocess.Popen(  # not waited for
            [sys.executable, "-c", _REBUILD], stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True
        )
    return index


def rebuild() -> dict[str, Any]:
    """Make the index and keep it in the cache, where that can be written."""
    from regbench.records.files import write_atomically

    index = {"stamp": _stamp(), **_index()}
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_atomically(_file(), json.dumps(index).encode())
    return index


def _file() -> Path:
    """Name the file by the place of the package: each environment has its own."""
    from platformdirs import user_cache_path

    return user_cache_path("regbench") / f"completion-{str(_PACKAGE).replace(os.sep, '-').strip('-')}.json"


def _stamp() -> str:
    """Return the time of the last change of a file that the index is made of, and how many files there are."""
    places = [*(_PACKAGE / name for name in _SOURCES), _PACKAGE / "conf", _PACKAGE.parent.parent / "conf"]
    times = [time for place in places for time in _times(place)]
    return f"{max(times)} {len(times)}"


def _times(place: Path) -> Iterator[int]:
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.endswith((".py", ".yaml")):
                yield entry.stat().st_mtime_ns
            elif entry.is_dir() and not entry.name.startswith("_"):
                yield from _times(Path(entry.path))


def _index() -> dict[str, Any]:
    from regbench.cli.group import main
    from regbench.config.location import config_dir
    from regbench.config.run_config import AXES
    from regbench.config.trackers import TRACKERS
    from regbench.config.vocabulary import RECIPES, Vocabulary
    from regbench.experiment.checks import registries

    vocabulary = Vocabulary([config_dir()])
    return {
        "commands": {name: command.get_short_help_str(60) for name, command in main.commands.items()},
        "options": {name: dict(_options(command)) for name, command in main.commands.items()},
        "flags": dict(_flags()),
        "axes": {axis: {o: _about(registries()[axis].get(o)) for o in vocabulary.options(axis)} for axis in AXES},
        "defaults": _defaults(config_dir()),
        "recipes": {f"+{group}": vocabulary.options(group) for group in RECIPES},
        "groups": _groups(),
        "trackers": list(TRACKERS),
        "keys": _keys(vocabulary),
    }


def _about(function: Any) -> str:
    """Return the first line of an option's text; a file of conf/ may stand for another option, and has none."""
    return (function.__doc__ or "").partition("\n")[0] if function else ""


def _options(command: "click.Command") -> Iterator[tuple[str, dict[str, Any]]]:
    """Describe each option of a command, and under the empty name its arguments."""
    import click

    from regbench.cli.options import choices_of

    arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    pairs = any("KEY=VALUE" in (argument.metavar or "") for argument in arguments)
    words = [word for argument in arguments for word in choices_of(argument)]
    only_words = bool(words) and len(arguments) == 1
    yield "", {"help": "", "kind": "pair" if pairs else "word" if only_words else "place", "choices": words}
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            choices = choices_of(parameter)
            kind = "flag" if parameter.is_flag else _KINDS.get("" if choices else parameter.metavar or "", "word")
            for name in parameter.opts:
                yield name, {"help": (parameter.help or "").split(". ")[0], "kind": kind, "choices": choices}
    yield "--help", {"help": "Show the help.", "kind": "flag", "choices": []}


def _flags() -> Iterator[tuple[str, dict[str, Any]]]:
    """Describe the flags of train: regbench's own, and those of Hydra that it takes."""
    from regbench.cli.flags import REFUSED, hydra_flags
    from regbench.cli.sweep_flags import FLAGS
    from regbench.cli.words import HELP_ALL
    from regbench.config.user_files import FLAG

    for name in (*FLAGS, FLAG, HELP_ALL):
        yield name, {"help": "", "choices": []}
    taken = {name: action for name, action in hydra_flags().items() if name not in REFUSED}
    for name, action in taken.items():
        yield name, {"help": (action.help or "").partition("\n")[0], "choices": list(action.choices or [])}


def _defaults(folder: Path) -> dict[str, str]:
    """Return the option that each axis has by default."""
    import yaml

    entries = yaml.safe_load((folder / "config.yaml").read_text())["defaults"]
    pairs = {key: value for entry in entries if isinstance(entry, dict) for key, value in entry.items()}
    return {key: value for key, value in pairs.items() if "/" not in key}


def _groups() -> dict[str, list[str]]:
    """List what can be chosen of Hydra's own groups."""
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    Plugins.instance()  # finds the plugins, which put their options into the store
    store = ConfigStore.instance()
    return {
        f"hydra/{group}": sorted(name.removesuffix(".yaml") for name in store.list(f"hydra/{group}"))
        for group in ("launcher", "sweeper")
    }


def _keys(vocabulary: Any) -> dict[str, dict[str, Any]]:
    """Describe each key: the options that have it, its meaning, the values to offer."""
    from regbench.config.run_config import RunConfig, Runtime
    from regbench.experiment.checks import registries

    fields = {**RunConfig.model_fields, **{f"runtime.{name}": field for name, field in Runtime.model_fields.items()}}
    keys: dict[str, dict[str, Any]] = {}
    for key, options in vocabulary.keys.items():
        axis, _, leaf = key.partition(".")
        schemas = [registries()[axis].schema(option).model_fields for option in options if option in registries()[axis]]
        field = fields.get(key) or next((schema[leaf] for schema in schemas if leaf in schema), None)
        default = vocabulary.values.get(key)
        keys[key] = {
            "options": options,
            "help": (field.description or "") if field else "",
            "values": _offered(field, default),
        }
    return keys


def _offered(field: "FieldInfo | None", default: Any) -> list[str]:
    """Return the words that a key allows, true and false, null, and its default."""
    from typing import get_args

    from regbench.config.wording import words
    from regbench.text import shown

    kinds = {*get_args(field.annotation), field.annotation} if field else set()
    truths = ["true", "false"] if bool in kinds else []
    nothing = ["null"] if type(None) in kinds else []
    now = [] if default is None or isinstance(default, list | dict) else [shown(default)]
    return list(dict.fromkeys([*(words(field.annotation) if field else []), *truths, *nothing, *now]))
