"""Turn an error of regbench, Hydra or OmegaConf into one line and an exit code."""

import sys
from traceback import walk_tb
from typing import NoReturn

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from regbench.errors import MISTAKE, UserError, no_such


def is_mistake(error: Exception) -> bool:
    """Tell whether the user can correct it: Hydra and OmegaConf raise a dozen kinds of errors for a wrong command."""
    packages = [str(frame.f_globals.get("__name__")).partition(".")[0] for frame, _ in walk_tb(error.__traceback__)]
    source = next(name for name in reversed(packages) if name in ("regbench", "hydra", "omegaconf"))
    return source != "regbench" or isinstance(error, UserError)


def leave(error: Exception, code: int = MISTAKE) -> NoReturn:
    """Write one line to stderr and leave with an exit code."""
    sys.stderr.write(one_line("error", explain(error)))
    sys.exit(code)


def one_line(kind: str, text: object) -> str:
    """Write `error: what is wrong` in one line, even if the text has several."""
    return f"{kind}: {' '.join(str(text).split())}\n"


def explain(error: Exception) -> str:
    """Describe an error of regbench, Hydra or OmegaConf in one line, with the nearest match if there is one."""
    cause = error.__cause__
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return f"{group}={name}: {no_such('option', name, f'the group {group!r}', error.options)}"
    if isinstance(cause, OmegaConfBaseException) and isinstance(cause.parent_node, DictConfig):
        keys = [str(key) for key in cause.parent_node if key != "hydra"]
        place = str(cause.full_key).rpartition(".")[0]
        return f"{cause.full_key}: {no_such('key', str(cause.key), repr(place) if place else 'the config', keys)}"
    if isinstance(error, UserError):
        return str(error)
    text = next(iter(str(error).strip().splitlines()), type(error).__name__)
    culprit = error.override if isinstance(error, OverrideParseException) else getattr(error, "full_key", None)
    return f"{culprit}: {text}" if culprit else text
