"""Words as they are typed for other programs, and characters of word processors: say what to type instead."""

import re
from collections.abc import Sequence

from regbench.cli.names import key_for
from regbench.cli.words import EMPTY
from regbench.config.run_config import AXES
from regbench.config.vocabulary import GROUPS, RECIPES, Vocabulary
from regbench.errors import UserError, nearest, visible

_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_TYPOGRAPHIC = {"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "−": "-"}
_TYPOGRAPHIC |= dict.fromkeys("‐‑‒", "-") | {"＝": "=", "，": ","}
_FREE = ("where=",)  # words whose values may hold anything


def check_characters(words: Sequence[str]) -> None:
    """Raise UserError if a word holds a character that nobody sees, or that a word processor has put there."""
    for word in words:
        shown = f"'{visible(word)}'"
        if not word.strip():
            raise UserError(f"{shown}: {EMPTY}")
        if word.endswith("\r"):
            raise UserError(f"{shown}: ends in '\\r': the script has the line ends of Windows, which dos2unix removes")
        bare = _QUOTED.sub("", word)
        if word.startswith(_FREE):
            continue
        for character in bare:
            if not character.isprintable():
                raise UserError(f"{shown}: holds the invisible character '{visible(character)}': type the word anew")
            if character in _TYPOGRAPHIC:
                raise UserError(f"{shown}: {character} is from a word processor: type {_plain(word)}")
        if word != word.strip():
            raise UserError(f"{shown}: has a blank at its {'start' if word[0] == ' ' else 'end'}: '{word.strip()}'")


def _plain(word: str) -> str:
    """Write a word with the quotes and dashes of a keyboard."""
    return "".join(_TYPOGRAPHIC.get(character, character) for character in word.replace("—", "--"))


def check_assignments(words: Sequence[str], vocabulary: Vocabulary) -> None:
    """Raise UserError unless every word is written KEY=VALUE, or ~KEY."""
    for place, word in enumerate(words):
        before, after = words[max(place - 1, 0) : place], words[place + 1 : place + 3]
        key, equals, value = word.partition("=")
        if value.startswith("=") and not word.startswith(_FREE):
            raise _blanks(word, f"{key}={value.lstrip('=')}")
        if key != key.strip():
            raise _blanks(word, f"{key.strip()}={value.strip()}")
        if equals and not key:
            raise UserError(f"{' '.join([*before, word])}: needs a key before the equals sign")
        if equals and not value and after and _is_bare(after[0]):
            raise _blanks(f"{word} {after[0]}", f"{word}{after[0]}")
        if not equals and not word.startswith(("~", "-")):  # without the parser flags stand here too
            raise _bare(word, after, vocabulary)


def _blanks(typed: str, meant: str) -> UserError:
    return UserError(f"{typed}: values are written with one equals sign and no blanks: {_quoted(meant)}")


def _is_bare(word: str) -> bool:
    return "=" not in word and not word.startswith(("~", "-"))


def _bare(word: str, after: Sequence[str], vocabulary: Vocabulary) -> UserError:
    """Describe a word without an equals sign."""
    if word in ("help", "h", "?"):
        return UserError(f"{word}: the help is: regbench train --help")
    name, colon, value = word.partition(":")
    places = [axis for axis in (*AXES, *RECIPES) if word in vocabulary.options(axis)]
    key = None if places and word not in GROUPS else key_for(name.lstrip("+"), vocabulary)
    plus = "+" if word.startswith("+") and key in RECIPES else ""
    if after and after[0].startswith("="):  # norm = batch
        rest = "".join(after if after[0] == "=" else after[:1])
        return _blanks(" ".join([word, *(after if after[0] == "=" else after[:1])]), f"{plus}{key or word}{rest}")
    following = after[0] if after and _is_bare(after[0]) else ""
    if key and (value or following or colon):
        typed = word if value or not following else f"{word} {following}"
        return UserError(f"{typed}: values are written KEY=VALUE: {_assigned(f'{plus}{key}', value or following)}")
    if key:
        return UserError(f"{word}: needs a value: {plus}{key}={_example(key, vocabulary)}")
    if places:
        keys = " or ".join(f"{'+' if axis in RECIPES else ''}{axis}={word}" for axis in places[:3])
        return UserError(f"{word}: values are written KEY=VALUE: {keys}")
    near = nearest(name, [*AXES, *vocabulary.values])
    return UserError(f"{word}: values are written KEY=VALUE, as norm=batch{'.' * bool(near)}{near}")


def _example(key: str, vocabulary: Vocabulary) -> str:
    options = vocabulary.options(key.lstrip("+"))
    return options[0] if options else "VALUE"


def with_dashes(flag: str, following: str | None, vocabulary: Vocabulary, guess: bool) -> UserError | None:
    """Describe a value that is written as a flag, `--norm batch`; None if there is no such key."""
    name, equals, value = flag.lstrip("-").partition("=")
    key = key_for(name, vocabulary, guess)
    if key is None:
        return None
    taken = "" if equals or following is None or not _is_bare(following) else following
    typed = f"{flag} {taken}" if taken else flag
    return UserError(f"{typed}: values have no dashes: {_assigned(key, value or taken)}")


def _assigned(key: str, value: str) -> str:
    return _quoted(f"{key}={value or 'VALUE'}")


def _quoted(word: str) -> str:
    """Quote a word where a shell would need it."""
    return word if re.fullmatch(r"[\w.,=+/:@%-]*", word) else f"'{word}'"
