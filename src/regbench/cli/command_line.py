"""What was typed after `regbench train`, before anything of it is understood."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from regbench.cli.words import CONFIG_FOLDERS, HELP_ALL, OWN_CONFIGS
from regbench.config.location import config_dir, user_config_dirs
from regbench.config.short_keys import SHORT
from regbench.config.user_files import FLAG
from regbench.config.vocabulary import GROUPS, RECIPES, Vocabulary

_SWEEPS = ("-m", "--multirun", "hydra.mode=", "+study=")  # the command line of a sweep has one of these


class CommandLine:
    """The words, and the names that they can use."""

    def __init__(self, words: Sequence[str]) -> None:
        """`words` are the arguments of `regbench train`."""
        self.words = ["--help" if word == HELP_ALL else word for word in words if word != FLAG]
        self.wants_whole_help = HELP_ALL in words
        self.trusts_configs = FLAG in words

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """All names: those of the built-in configs, of REGBENCH_CONFIG_PATH and of --config-dir."""
        return Vocabulary([*user_config_dirs(), config_dir(), *self._folders()])

    @property
    def is_sweep(self) -> bool:
        """Whether it asks for a sweep."""
        return any(word.startswith(_SWEEPS) for word in self.words)

    @property
    def recipes(self) -> dict[str, str]:
        """The recipe that is chosen from each group: `+study=norms` is `{"study": "norms"}`."""
        return {group: name for group, name in self._pairs("+") if group in RECIPES}

    @property
    def has_short_study(self) -> bool:
        """Whether the study is written `study=NAME`, short for runtime.study=NAME."""
        short = any(word.startswith(("study=", "++study=")) for word in self.words)
        return short and not any("runtime.study" in word for word in self.words)

    def files(self) -> Iterator[Path]:
        """Yield the user's own YAML files that the words choose."""
        for group, name in self._pairs(""):
            path = self.vocabulary.file(group, name) if group in GROUPS else None
            if path and not path.is_relative_to(config_dir()):
                yield path

    def sets(self, key: str) -> bool:
        """Whether a word sets a key, or a part of it."""
        return any(key_of(word) == key or key_of(word).startswith(f"{key}.") for word in self.words)

    def word_for(self, key: str) -> str | None:
        """Find the word that sets a key."""
        return next((word for word in self.words if key_of(word) == key), None)

    @property
    def foreign_folders(self) -> list[Path]:
        """The folders of configs that are not regbench's own."""
        words = (word.partition("=")[2] for word in self.words if key_of(word) == "hydra.searchpath")
        searched = (place.strip(" []'\"") for word in words for place in word.split(","))
        named = [Path(place.removeprefix("file://")) for place in searched if place and not place.startswith("pkg://")]
        return [*user_config_dirs(), *self._folders(CONFIG_FOLDERS), *named]

    def _pairs(self, start: str) -> Iterator[tuple[str, str]]:
        words = (word.lstrip("+").partition("=") for word in self.words if word.startswith(start))
        return ((key, value) for key, _, value in words)

    def _folders(self, flags: Sequence[str] = OWN_CONFIGS) -> Iterator[Path]:
        for place, word in enumerate(self.words):
            flag, equals, value = word.partition("=")
            if flag in flags:
                following = self.words[place + 1 : place + 2]
                yield from (Path(folder).expanduser() for folder in ([value] if equals else following))


def key_of(word: str) -> str:
    """Return the key of an override; that of study=NAME in full."""
    key = word.lstrip("+~").partition("=")[0]
    short = key in SHORT and not (word.startswith("+") and not word.startswith("++"))
    return SHORT[key] if short else key
