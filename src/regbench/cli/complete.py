"""Answer the Tab key: the candidates for the last word of a command line. Imports nothing that takes time."""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from regbench.cli.words import OWN_CONFIGS
from regbench.config.short_keys import SHORT

_Candidates = dict[str, str]  # what may stand there, each with a word of help
_SPREAD = ("--by", "--rows", "--cols", "--show", "--tune")  # options that take several values
_RUNS = Path("runs")


def answer(shell: str, words: Sequence[str], index: Mapping[str, Any]) -> str:
    """Write the candidates, one a line: in bash what follows the last `=` or `:`, elsewhere with a tab and help."""
    proposals = candidates(words, index)
    if shell != "bash":
        return "".join(f"{name}\t{about}\n" for name, about in proposals.items())
    typed = words[-1] if words else ""
    cut = max(typed.rfind("="), typed.rfind(":")) + 1  # where bash begins a new word
    return "".join(f"{name[cut:]}\n" for name in proposals)


def candidates(words: Sequence[str], index: Mapping[str, Any]) -> _Candidates:
    """Return what may stand in the place of the last of the words that follow `regbench`.

    An empty answer leaves the place to the names of files.
    """
    *before, typed = words or [""]
    if not before:
        found = dict(index["commands"]) | {"--help": "", "--version": ""}
        return _beginning(found, typed)
    command, *before = before
    if command == "help":
        return _beginning(index["commands"], typed)
    if command == "train":
        return _of_train(before, typed, index)
    return _of_command(index["options"].get(command, {}), before, typed, index)


def _beginning(found: Mapping[str, str], typed: str) -> _Candidates:
    return {name: about for name, about in found.items() if name.startswith(typed)}


def _of_command(options: Mapping[str, Any], before: Sequence[str], typed: str, index: Mapping[str, Any]) -> _Candidates:
    """Complete an option, the value of one, or an argument: a run, a study, KEY=VALUE."""
    flag, equals, value = typed.partition("=")
    if equals and flag in options:
        inner = _of_value(options[flag], value, index)
        return {f"{flag}={name}": about for name, about in inner.items()}
    option = _open_option(options, before)
    if option and not typed.startswith("-"):
        found = _of_value(options[option], typed, index)
        return found | (_places(typed) if _is_spread(option, before) else {})
    if typed.startswith("-"):
        return _beginning({name: about["help"] for name, about in options.items()}, typed)
    arguments = options.get("", {"kind": "place", "choices": []})
    return _of_value(arguments, typed, index) | (_places(typed) if arguments["kind"] != "word" else {})


def _open_option(options: Mapping[str, Any], before: Sequence[str]) -> str | None:
    """Find the option whose value stands here: the word before, or one that takes all that follow."""
    for distance, word in enumerate(reversed(before)):
        if word.startswith("-"):
            takes = options.get(word, {}).get("kind", "flag") != "flag"
            return word if takes and (distance == 0 or word in _SPREAD) else None
        if "=" in word or "/" in word:
            return None
    return None


def _is_spread(option: str, before: Sequence[str]) -> bool:
    return option in _SPREAD and before[-1] != option


def _of_value(about: Mapping[str, Any], typed: str, index: Mapping[str, Any]) -> _Candidates:
    """Complete a value: one of the choices, a key, KEY=VALUE; several keys with commas."""
    kind = about["kind"]
    if kind == "pair":
        return _pairs(typed, index)
    if kind == "key":
        first, comma, last = typed.rpartition(",")
        keys = dict.fromkeys([*index["axes"], *index["keys"], "study", "status"], "")
        used = first.split(",")
        return {f"{first}{comma}{key}": "" for key in _beginning(keys, last) if key not in used}
    return _beginning(dict.fromkeys(about["choices"], ""), typed)


def _pairs(typed: str, index: Mapping[str, Any]) -> _Candidates:
    """Complete KEY=VALUE of runs."""
    key, equals, value = typed.partition("=")
    if not equals:
        return _beginning(_axes(index) | {f"{key}=": "" for key in index["keys"] if typed}, typed)
    return {f"{key}={name}": about for name, about in _beginning(_values(key, index, []), value).items()}


def _axes(index: Mapping[str, Any]) -> _Candidates:
    return {f"{axis}=": "" for axis in index["axes"]}


def _places(typed: str) -> _Candidates:
    """Name the folders that may hold runs: studies of runs/, below a study its runs."""
    folder, slash, start = typed.rpartition("/")
    where = Path(folder or slash or ".")
    names = sorted(name for name in _folders(where) if name.startswith(start))
    found = {f"{folder}{slash}{name}{'' if (where / name / 'run.json').exists() else '/'}": "" for name in names}
    studies = {f"{_RUNS}/{name}": "study" for name in sorted(_folders(_RUNS))} if not slash else {}
    return found | _beginning(studies, typed)


def _folders(where: Path) -> Iterator[str]:
    try:
        with os.scandir(where) as entries:
            yield from (entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return


def _of_train(before: Sequence[str], typed: str, index: Mapping[str, Any]) -> _Candidates:
    """Complete an override or a flag."""
    flags = index["flags"]
    if before and (choices := flags.get(before[-1], {}).get("choices")):
        return _beginning(dict.fromkeys(choices, ""), typed)
    if before and before[-1] in OWN_CONFIGS:
        return {}
    if before and before[-1] == "--baseline":
        return _pairs(typed, index)
    if typed.startswith("-"):
        return _beginning({name: about["help"] for name, about in flags.items()}, typed)
    key, equals, value = typed.partition("=")
    if not equals:
        return _keys(before, typed, index)
    first, comma, last = value.rpartition(",")
    found = _values(key, index, before)
    used = first.split(",")
    return {
        f"{key}={first}{comma}{name}": about
        for name, about in found.items()
        if name.startswith(last) and name not in used
    }


def _keys(before: Sequence[str], typed: str, index: Mapping[str, Any]) -> _Candidates:
    """Complete a key: without a first letter those of no axis, else also the arguments of the options chosen."""
    given = {word.partition("=")[0] for word in before}
    chosen = index["defaults"] | {key: value for key, _, value in (word.partition("=") for word in before)}
    names: _Candidates = {f"{group}=": "recipe" for group in index["recipes"]} if typed.startswith("+") else {}
    names |= _axes(index) | {f"{name}=": "" for name in (*SHORT, "zip", "where", "union", *index["groups"])}
    for key, about in index["keys"].items():
        axis = key.partition(".")[0]
        fits = not about["options"] or set(chosen.get(axis, "").split(",")) & set(about["options"])
        if fits and (typed or "." not in key):
            names[f"{key}="] = about["help"]
    return {name: about for name, about in _beginning(names, typed).items() if name[:-1] not in given}


def _values(key: str, index: Mapping[str, Any], before: Sequence[str]) -> _Candidates:
    """Return the values of a key: the options of an axis, the words that it allows, else its default."""
    if key in index["axes"]:
        options: _Candidates = index["axes"][key]
        return options | _own_options(key, before)
    if key in index["recipes"]:
        return dict.fromkeys(index["recipes"][key], "") | _own_options(key.lstrip("+"), before)
    if key in index["groups"]:
        return dict.fromkeys(index["groups"][key], "")
    if key in ("study", "runtime.study"):
        return dict.fromkeys(sorted(_folders(_RUNS)), "")
    if key in ("tracker", "runtime.tracker"):
        return dict.fromkeys(["none", *index["trackers"]], "")
    return dict.fromkeys(index["keys"].get(SHORT.get(key, key), {"values": []})["values"], "")


def _own_options(group: str, before: Sequence[str]) -> _Candidates:
    """List the options of the user's own configs."""
    named = [before[place + 1] for place, word in enumerate(before[:-1]) if word in OWN_CONFIGS]
    named += [word.partition("=")[2] for word in before if word.startswith(tuple(f"{flag}=" for flag in OWN_CONFIGS))]
    named += os.environ.get("REGBENCH_CONFIG_PATH", "").split(os.pathsep)
    places = (Path(folder).expanduser() / group for folder in named if folder)
    return {path.stem: "your own" for place in places for path in sorted(place.glob("*.yaml"))}


def words_of(line: str) -> list[str]:
    """Split what was typed so far into words as a shell does; the last one may be empty, or lack its closing quote."""
    words = [re.sub(r"""["'\\]""", "", word) for word in re.findall(r"""(?:"[^"]*"?|'[^']*'?|\\.|[^\s"'\\])+""", line)]
    return [*words[1:], *([""] if line[-1:].isspace() else [])]


def respond(arguments: Sequence[str]) -> None:
    """Print the answer: `bash LINE`, or `zsh WORD...` and `fish WORD...`."""
    from regbench.cli.completion_index import known

    shell, *rest = arguments
    words = words_of(rest[0]) if shell == "bash" else rest
    sys.stdout.write(answer(shell, words, known()))
