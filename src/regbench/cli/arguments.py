"""`zip=norm,init` and `where='dropout == 0 or norm == none'`: the sweeper's settings, as a shell takes them easily."""

import re
from collections.abc import Sequence

from regbench.config.location import config_dir
from regbench.config.run_config import AXES
from regbench.errors import UserError, no_such

WORDS = ("zip", "where")
SWEEPS = ("-m", "--multirun", "hydra.mode=", "+study=")  # what a sweep's command line has


def spelled_out(arguments: Sequence[str]) -> list[str]:
    """The arguments with `hydra.sweeper.zip` and `.where` for all that is given for short; each may be repeated.

    Raises:
        UserError: one of them without a sweep, or without a value.
    """
    given: dict[str, list[str]] = {name: [] for name in WORDS}
    rest = []
    for word in arguments:
        name, equals, value = word.partition("=")
        if not (equals and name in WORDS):
            rest.append(word)
        elif not value.strip():
            raise UserError(f"{word}: needs a value, as in zip=norm,init or where='norm != none'")
        elif not any(other.startswith(SWEEPS) for other in arguments):
            raise UserError(f"{word}: belongs to a sweep: add -m")
        else:
            given[name].append(value)
    groups = [_list([key.strip() for key in value.split(",")]) for value in given["zip"]]
    zipped = [f"hydra.sweeper.zip=[{','.join(groups)}]"] * bool(groups)
    return rest + zipped + [f"hydra.sweeper.where={_list(given['where'])}"] * bool(given["where"])


def _list(texts: Sequence[str]) -> str:
    """A list of texts in Hydra's grammar, each in quotes: only backslashes before a quote are to be doubled."""
    return "[{}]".format(",".join("'{}'".format(re.sub(r"(\\*)('|$)", _escaped, text)) for text in texts))


def _escaped(found: re.Match[str]) -> str:
    return 2 * found[1] + ("\\'" if found[2] else "")


SHORT_FOR_RUNTIME = ("study=", "diagnostics=")
ANYTHING: frozenset[str] = frozenset()
CONFIGS = frozenset({"job", "hydra", "all"})
TOPICS = frozenset({"all", "config", "defaults", "defaults-tree", "plugins", "searchpath"})
# Hydra's flags, each with the values it takes; None takes none
FLAGS: dict[str, frozenset[str] | None] = {
    **dict.fromkeys(("--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m")),
    **dict.fromkeys(("--shell-completion", "-sc")),
    **dict.fromkeys(
        ("--package", "-p", "--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd"), ANYTHING
    ),
    **dict.fromkeys(("--cfg", "-c"), CONFIGS),
    **dict.fromkeys(("--info", "-i"), TOPICS),
}


def flags_first(arguments: Sequence[str]) -> list[str]:
    """The same arguments, Hydra's flags before the overrides: Hydra 1.3 takes them in no other order.

    Raises:
        UserError: a flag that Hydra does not have, or a wrong value for one; an axis without an option.
    """
    flags: list[str] = []
    overrides: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, _ = word.partition("=")
        if not word.startswith("-"):
            overrides.append(with_option(word))
        elif word == "--plan":
            overrides.append("hydra.sweeper.plan=true")
        elif name not in FLAGS:
            raise UserError(no_such("flag", name, "regbench train", [*FLAGS, "--plan"]))
        elif (allowed := FLAGS[name]) is not None:
            flags += [name, flag_value(word, allowed, rest)]
        elif equals:
            raise UserError(f"{word}: {name} takes no value")
        else:
            flags.append(name)
    if "--plan" in arguments and not any(word.startswith(SWEEPS) for word in arguments):
        raise UserError("--plan: shows what a sweep would train: needs -m")
    return flags + overrides


def flag_value(word: str, allowed: frozenset[str], rest: list[str]) -> str:
    """A flag's value, from its own word or taken from the rest; --info alone means all."""
    name, equals, value = word.partition("=")
    if not equals and allowed is TOPICS and not (rest and rest[0] in TOPICS):
        return "all"
    if not equals and not rest:
        raise UserError(f"{name}: needs a value")
    value = value if equals else rest.pop(0)
    if allowed and value not in allowed:
        raise UserError(f"{name} {value}: {no_such('value', value, name, allowed)}")
    return value


def with_option(word: str) -> str:
    """The override as Hydra is to read it: study=NAME and diagnostics=off in full, any other as it is.

    Raises:
        UserError: no option of an axis: Hydra would not say which for norm=null or norm=[1].
    """
    if word.removeprefix("++").startswith(SHORT_FOR_RUNTIME):
        return f"runtime.{word.removeprefix('++')}"  # Hydra would look for a study in conf/study, where +study=NAME is
    axis, _, value = word.partition("=")
    names = value.strip("[]").split(",") if value.startswith("[") else [value]
    if axis in AXES and any(name.strip() in ("", "null") or name.strip().isdecimal() for name in names):
        options = (path.stem for path in (config_dir() / axis).glob("*.yaml"))
        raise UserError(f"{word}: {no_such('option', value, f'the group {axis!r}', options)}")
    return word
