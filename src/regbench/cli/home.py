"""`~` in settings that are paths: a shell leaves it as it is after an equals sign, and Hydra's grammar refuses it."""

from collections.abc import Iterable

from hydra.core.override_parser.types import Quote, QuotedString

from regbench.cli.words import CONFIG_FOLDERS
from regbench.config.location import user_path

_SETTINGS = ("runtime.dir", "runtime.cache", "data.path", "hydra.launcher.folder")


def with_homes(arguments: Iterable[str]) -> list[str]:
    """Return the arguments of `regbench train` with quotes around each path that begins with `~`.

    Raises:
        UserError: a folder of configs begins with the home folder of nobody.
    """
    return [_with_home(word) for word in arguments]


def _with_home(word: str) -> str:
    key, equals, value = word.partition("=")
    if key in CONFIG_FOLDERS and value.startswith("~"):
        return f"{key}={user_path(key, value)}"
    if not equals or key.lstrip("+") not in _SETTINGS:
        return word
    return f"{key}={','.join(_quoted(path) for path in value.split(','))}"


def _quoted(path: str) -> str:
    return str(QuotedString(path, Quote.single).with_quotes()) if path.startswith("~") else path
