"""Translate the arguments of `regbench train` into those that Hydra reads."""

from argparse import Action
from collections.abc import Sequence

from hydra.core.override_parser.types import Quote, QuotedString

from regbench.config.location import config_dir
from regbench.config.run_config import AXES
from regbench.errors import UserError, no_such

_SHORT_FOR_SWEEPER = ("zip", "where")
_SHORT_FOR_RUNTIME = ("study=", "diagnostics=")
_SWEEPS = ("-m", "--multirun", "hydra.mode=", "+study=")  # the command line of a sweep has one of these
_PLAN = "--plan"


def spelled_out(arguments: Sequence[str]) -> list[str]:
    """Replace `zip=norm,init` and `where=CONDITION` by `hydra.sweeper.zip` and `.where`; each may be repeated.

    Raises:
        UserError: one of them stands without a sweep, or without a value.
    """
    given: dict[str, list[str]] = {name: [] for name in _SHORT_FOR_SWEEPER}
    rest = []
    for word in arguments:
        name, equals, value = word.partition("=")
        if not (equals and name in given):
            rest.append(word)
        elif not value.strip():
            raise UserError(f"{word}: needs a value, as in zip=norm,init or where='norm != none'")
        elif not _is_sweep(arguments):
            raise UserError(f"{word}: belongs to a sweep: add -m")
        else:
            given[name].append(value)
    groups = [_list([key.strip() for key in value.split(",")]) for value in given["zip"]]
    zipped = [f"hydra.sweeper.zip=[{','.join(groups)}]"] * bool(groups)
    return rest + zipped + [f"hydra.sweeper.where={_list(given['where'])}"] * bool(given["where"])


def _is_sweep(arguments: Sequence[str]) -> bool:
    return any(word.startswith(_SWEEPS) for word in arguments)


def _list(texts: Sequence[str]) -> str:
    """Write a list of text in Hydra's grammar, each item in quotes."""
    return f"[{','.join(QuotedString(text, Quote.single).with_quotes() for text in texts)}]"


def flags_first(arguments: Sequence[str]) -> list[str]:
    """Put Hydra's flags before the overrides: Hydra 1.3 takes them in no other order.

    Raises:
        UserError: Hydra does not have a flag or takes no such value for it, or an axis has no option.
    """
    known = _hydra_flags()
    flags: list[str] = []
    overrides: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == _PLAN:
            overrides.append("hydra.sweeper.plan=true")
        elif known and word.startswith("-"):
            flags += _flag(word, known, rest)
        else:
            overrides.append(_override(word))
    if _PLAN in arguments and not _is_sweep(arguments):
        raise UserError(f"{_PLAN}: shows what a sweep would train: needs -m")
    return flags + overrides


def _hydra_flags() -> dict[str, Action]:
    """Return Hydra's flags by name.

    The parser is private to Hydra. Without it there are none here: flags stay where they are, and Hydra checks them.
    """
    try:
        from hydra._internal.utils import get_args_parser
    except ImportError:
        return {}
    return {name: action for action in get_args_parser()._actions for name in action.option_strings}


def _flag(word: str, known: dict[str, Action], rest: list[str]) -> list[str]:
    """Return a flag, and its value: from the same word, or taken from the rest."""
    name, equals, value = word.partition("=")
    if name not in known:
        raise UserError(no_such("flag", name, "regbench train", [*known, _PLAN]))
    action = known[name]
    choices = list(action.choices or ())
    if action.nargs == 0:
        if equals:
            raise UserError(f"{word}: {name} takes no value")
        return [name]
    if not equals and action.nargs == "?" and not (rest and rest[0] in choices):
        return [name, str(action.const)]
    if not equals and not rest:
        raise UserError(f"{name}: needs a value")
    value = value if equals else rest.pop(0)
    if choices and value not in choices:
        raise UserError(f"{name} {value}: {no_such('value', value, name, choices)}")
    return [name, value]


def _override(word: str) -> str:
    """Return the override as Hydra reads it: study=NAME and diagnostics=off in full, any other unchanged.

    Raises:
        UserError: there is no key, or an axis has no such option: Hydra would not name =5, norm=null and norm=[1].
    """
    if word.startswith("="):
        raise UserError(f"{word}: needs a key before the equals sign")
    if word.removeprefix("++").startswith(_SHORT_FOR_RUNTIME):
        return f"runtime.{word.removeprefix('++')}"  # Hydra would look for a study in conf/study, as for +study=NAME
    axis, _, value = word.partition("=")
    names = value.strip("[]").split(",") if value.startswith("[") else [value]
    if axis in AXES and any(name.strip() in ("", "null") or name.strip().isdecimal() for name in names):
        options = (path.stem for path in (config_dir() / axis).glob("*.yaml"))
        raise UserError(f"{word}: {no_such('option', value, f'the group {axis!r}', options)}")
    return word
