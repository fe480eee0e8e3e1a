"""Translate the arguments of `regbench train` into those that Hydra reads."""

import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType, Quote, QuotedString

from regbench.cli.command_line import CommandLine, key_of
from regbench.cli.flags import separated
from regbench.cli.habits import check_assignments, check_characters
from regbench.cli.names import no_option
from regbench.cli.sweep_flags import PLAN, overrides, taken
from regbench.cli.union import EXAMPLE, grids_of
from regbench.config import user_files
from regbench.config.run_config import AXES
from regbench.config.short_keys import SHORT
from regbench.config.vocabulary import GROUPS, RECIPES
from regbench.errors import UserError

_REPEATED = ("zip", "where")
_SHORT_FOR_SWEEPER = (*_REPEATED, "union")
_OF_HYDRA = ("hydra/launcher", "hydra/sweeper")
_NO_NAME = re.compile(r"|null|true|false|[+-]?(inf|nan|[\d_]*\.?[\d_]+(e[+-]?\d+)?)", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"(?!(null|true|false|inf|nan)$)[A-Za-z_][A-Za-z0-9_.-]*|[1-9]\d*|0", re.IGNORECASE)


def spelled_out(line: CommandLine) -> list[str]:
    """Return flags first, then overrides in full: `zip=norm,init` is one of hydra.sweeper.zip.

    Raises:
        UserError: a word is not written as an override, or cannot stand here.
    """
    check_characters(line.words)
    user_files.check(line.foreign_folders, line.trusts_configs)
    of_sweep, rest = taken(line.words)
    flags, words = separated(rest, line.vocabulary)
    check_assignments(words, line.vocabulary)
    _check_once(words)
    if of_sweep and not line.is_sweep:
        flag = next(iter(of_sweep))
        what = "shows what a sweep would train" if flag == PLAN else "belongs to a sweep"
        raise UserError(f"{flag}: {what}: {_sweep_meant(line)}")
    return flags + overrides(of_sweep) + _without_shorthand(words, line)


def _sweep_meant(line: CommandLine) -> str:
    """Say what makes this a sweep."""
    name = (line.word_for("runtime.study") or "").partition("=")[2]
    if name in line.vocabulary.options("study"):
        return f"study={name} names a folder, +study={name} is the sweep"
    return "add -m"


def _check_once(words: Sequence[str]) -> None:
    """Raise UserError if a key has two values."""
    given: dict[str, str] = {}
    for word in dict.fromkeys(words):
        key = key_of(word)
        if key in given and key not in _REPEATED and not word.startswith("~"):
            raise UserError(f"{key}: is given twice: {given[key]} and {word}")
        given[key] = word


def _without_shorthand(words: Sequence[str], line: CommandLine) -> list[str]:
    """Replace zip=, where=, union=, study= and diagnostics=; check the words that choose an option."""
    given: dict[str, list[str]] = {name: [] for name in _SHORT_FOR_SWEEPER}
    rest = []
    for word in words:
        name, _, value = word.partition("=")
        if name not in given:
            rest.append(_override(word, line))
        elif not value.strip():
            raise UserError(f"{word}: needs a value, as in zip=norm,init or where='norm != none' or {EXAMPLE}")
        elif not line.is_sweep:
            raise UserError(f"{word}: belongs to a sweep: add -m")
        else:
            given[name].append(word if name == "union" else value)
    groups = [_list([key.strip() for key in value.split(",")]) for value in given["zip"]]
    zipped = [f"hydra.sweeper.zip=[{','.join(groups)}]"] * bool(groups)
    unions = [f"hydra.sweeper.union=[{','.join(_grids(word, line))}]" for word in given["union"]]
    return rest + zipped + unions + [f"hydra.sweeper.where={_list(given['where'])}"] * bool(given["where"])


def _grids(word: str, line: CommandLine) -> list[str]:
    """Check the words of each grid of a union as those of a sweep, and write each grid as a list."""
    grids = grids_of(word)
    for grid in grids:
        check_assignments(grid, line.vocabulary)
        _check_once(grid)
    return [_list([_override(part, line) for part in grid]) for grid in grids]


def _list(texts: Sequence[str]) -> str:
    """Write a list of text in Hydra's grammar, each item in quotes."""
    return f"[{','.join(_in_quotes(text) for text in texts)}]"


def _in_quotes(text: str) -> str:
    return str(QuotedString(text, Quote.single).with_quotes())


def _override(word: str, line: CommandLine) -> str:
    """Return the override as Hydra reads it: study=NAME and diagnostics=off in full, any other unchanged."""
    key, equals, value = word.partition("=")
    group = key.lstrip("+")
    if equals and key.removeprefix("++") in (*SHORT, "runtime.study"):
        return f"runtime.{group.removeprefix('runtime.')}={_name(value)}"  # Hydra would look in conf/study for a study
    axis, _, leaf = group.partition(".")
    if equals and axis in AXES and leaf == "name":
        known = value in line.vocabulary.options(axis)
        cure = f"write {axis}={value}, which brings the values of the option"
        raise UserError(f"{word}: {cure if known else no_option(axis, value, line.vocabulary)}")
    if equals and (hydras := group.replace(".", "/")) in _OF_HYDRA:
        _check_part(word, hydras, value)
    if equals and group in GROUPS:
        _check_option(word, group, value, line)
    return _for_each_run(word) if line.is_sweep and axis in AXES and leaf else word


def _check_part(word: str, group: str, value: str) -> None:
    """Raise UserError unless the word chooses one launcher or sweeper, as hydra/sweeper=optuna does."""
    if value.startswith("["):
        raise UserError(f"{word}: takes one option, without brackets")
    if not word.lstrip("+").startswith(group):
        name = value if value.isidentifier() else "NAME"
        raise UserError(f"{word}: an option of Hydra is chosen with a slash: {group}={name}")


def _for_each_run(word: str) -> str:
    """Write a single value of an option as a choice of a sweep: the options of its axis may be swept over.

    Hydra sets any other value before the sweep, where the default option of the axis may have no such key.

    Raises:
        OverrideParseException: the word cannot be read.
    """
    override = OverridesParser.create().parse_overrides([word])[0]
    key, _, value = word.partition("=")
    plain = override.type != OverrideType.DEL and not override.is_sweep_override() and value
    return f"{key}=choice({value})" if plain else word


def _name(value: str) -> str:
    """Write a name of one's own as text: größe and 1e3, which Hydra's grammar refuses or takes for a number."""
    plain = any(character in value for character in "\"',()[]{}$") or _PLAIN_NAME.fullmatch(value)
    return value if plain or not value else _in_quotes(value)


def _check_option(word: str, group: str, value: str, line: CommandLine) -> None:
    """Raise UserError if the value is no name of an option; whether there is such an option, Hydra knows."""
    if value.startswith("{"):
        raise UserError(f"{word}: takes the name of an option, as in {group}={line.vocabulary.options(group)[0]}")
    if value.startswith("["):
        options = [name.strip() for name in value.strip("[]").split(",")]
        wanted = f"{word.partition('=')[0]}={','.join(options)}"
        how = f"a sweep is -m {wanted}" if len(options) > 1 else f"write {wanted}"
        if _NO_NAME.fullmatch(options[0]):
            raise UserError(f"{word}: {no_option(group, options[0], line.vocabulary)}")
        raise UserError(f"{word}: {how}, without brackets")
    if group == "study" and re.search(r"[,(]", value):
        raise UserError(f"{word}: takes one study at a time")
    if group in RECIPES and not word.startswith("+"):
        raise UserError(f"{word}: a recipe is chosen with a plus: +{word}")
    if group not in RECIPES and word.startswith("+"):
        raise UserError(f"{word}: every run has an option of '{group}': write {word.lstrip('+')}, without the plus")
    names = [name.strip() for name in value.split(",")]
    if "" in names and "," in value:
        raise UserError(f"{word}: a comma stands beside nothing")
    for name in names:
        if _NO_NAME.fullmatch(name):
            raise UserError(f"{word}: {no_option(group, name, line.vocabulary)}")
