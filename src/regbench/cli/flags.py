"""Flags of Hydra that work with `regbench train`."""

import os
from argparse import Action
from collections.abc import Sequence
from pathlib import Path

from regbench.cli.habits import with_dashes
from regbench.cli.sweep_flags import FLAGS
from regbench.cli.words import CONFIG_FOLDERS, HELP_ALL
from regbench.config.run_config import AXES
from regbench.config.vocabulary import Vocabulary
from regbench.errors import UserError, no_such
from regbench.suggestions import meant

_COMPLETION = "completes nothing here; this does: regbench completion bash --install (or zsh, fish)"
REFUSED = {
    "-sc": _COMPLETION,
    "--shell-completion": _COMPLETION,
    "--experimental-rerun": "is of no use here: repeat the command to resume, or add force=true to train again",
}


def separated(words: Sequence[str], vocabulary: Vocabulary) -> tuple[list[str], list[str]]:
    """Divide the words into flags with their values, which Hydra 1.3 takes before anything else, and the rest.

    Raises:
        UserError: there is no such flag, it takes no such value, or it is given twice.
    """
    known = hydra_flags()
    flags: list[str] = []
    others: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if known and word.startswith("-"):
            flag, *value = _flag(word, known, rest, vocabulary)
            if value and flag in flags:
                raise UserError(f"{flag}: is given twice")
            flags += [flag, *value]
        else:
            others.append(word)
    return flags, others


def hydra_flags() -> dict[str, Action]:
    """Return Hydra's flags by name.

    The parser is private to Hydra. Without it there are none here: flags stay where they are, and Hydra checks them.
    """
    try:
        from hydra._internal.utils import get_args_parser
    except ImportError:
        return {}
    return {name: action for action in get_args_parser()._actions for name in action.option_strings}


def _flag(word: str, known: dict[str, Action], rest: list[str], vocabulary: Vocabulary) -> list[str]:
    """Return a flag, and its value: from the same word, or taken from the rest."""
    name, equals, value = word.partition("=")
    if name in REFUSED:
        raise UserError(f"{name}: {REFUSED[name]}")
    if name == HELP_ALL:
        raise UserError(f"{word}: {name} takes no value")
    if name not in known:
        raise _unknown(word, known, rest[0] if rest else None, vocabulary)
    action = known[name]
    choices = list(action.choices or ())
    if action.nargs == 0:
        if equals:
            raise UserError(f"{word}: {name} takes no value")
        return [name]
    if not equals and action.nargs == "?" and not (rest and rest[0] in choices):
        return [name, str(action.const)]
    if not equals and not rest:
        allowed = f": {', '.join(choices)}" if choices else ""
        raise UserError(f"{name}: needs a value{allowed}")
    value = value if equals else rest.pop(0)
    if choices and value not in choices:
        raise UserError(f"{name} {value}: {no_such('value', value, name, choices)}")
    if name in ("--package", "-p"):
        _check_package(f"{name} {value}", value, vocabulary)
    return [name, _folder(name, value) if name in CONFIG_FOLDERS else value]


def _check_package(typed: str, value: str, vocabulary: Vocabulary) -> None:
    parts = [*AXES, *(key.partition(".")[0] for key in vocabulary.values), "hydra", "_global_"]
    if value.partition(".")[0] not in parts:
        raise UserError(f"{typed}: {no_such('part', value, 'the config', {*parts} - {'_global_'})}")


def _folder(flag: str, given: str) -> str:
    folder = Path(given).expanduser()
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        raise UserError(f"{flag} {given}: is not a folder")
    return str(folder.absolute()) if flag.startswith(("--config-path", "-cp")) else str(folder)


def _unknown(word: str, known: dict[str, Action], following: str | None, vocabulary: Vocabulary) -> UserError:
    name = word.partition("=")[0]
    names = [HELP_ALL, *FLAGS, *(flag for flag in known if flag not in REFUSED)]
    error = None if meant(name, names) else with_dashes(word, following, vocabulary, guess=False)
    if error:
        return error
    message = no_such("flag", name, "regbench train", [flag for flag in names if flag.startswith("--")])
    guessed = None if "Did you mean" in message else with_dashes(word, following, vocabulary, guess=True)
    return guessed or UserError(message)
