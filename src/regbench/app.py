"""`regbench train`: Hydra composes, config checks, experiment trains; a mistake is one line."""

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from regbench.errors import FAILED, INTERRUPTED, MISTAKE, UserError, no_such
from regbench.helptext import train_help

PACKAGE = Path(__file__).resolve().parent
VALUED_FLAGS = {"--cfg", "-c", "--package", "-p", "--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd"}
PLAIN_FLAGS = {"--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m"}
INFO_FLAGS = {"--info", "-i"}  # with a word or without
INFO_WORDS = {"all", "config", "defaults", "defaults-tree", "plugins", "searchpath"}


def train(arguments: Sequence[str]) -> NoReturn:
    """Run Hydra over the arguments of `regbench train` and leave with an exit code.

    0: every run completed or diverged; 1: a run failed; 2: a mistake of the user; 130: Ctrl-C.
    """
    statuses: list[str] = []
    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise: Hydra's own reports take several lines
    OmegaConf.register_new_resolver("regbench_help", partial(train_help, config_dir()), replace=True)
    decorate = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")
    try:
        sys.argv = ["regbench train", *flags_first(arguments)]
        decorate(lambda composed: job(composed, statuses))()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        leave(error)
    except ValueError as error:
        if not str(error).startswith("Config group override"):
            raise
        leave(error)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: the same command goes on after the last finished epoch\n")
        sys.exit(INTERRUPTED)
    sys.exit(FAILED if "failed" in statuses else 0)


def job(composed: DictConfig, statuses: list[str]) -> None:
    """Train what Hydra composed, once for each job of a sweep."""
    from regbench import config, experiment
    from regbench.progress import Reporter

    overrides = list(HydraConfig.get().overrides.task)
    try:
        values: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
        checked = config.check(values)
        reporter = Reporter(checked.runtime.progress)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            reporter.say(f"\n#{HydraConfig.get().job.num + 1}  {' '.join(overrides)}", "bold")
        statuses.append(experiment.run(checked, overrides, reporter))
    except (UserError, OmegaConfBaseException) as error:
        leave(error)  # here and now: Hydra would add lines of its own
    except OSError as error:  # no space, no permission
        leave(error, FAILED)


def leave(error: Exception, code: int = MISTAKE) -> NoReturn:
    """One line on stderr and an exit code."""
    sys.stderr.write(f"error: {explain(error)}\n")
    sys.exit(code)


def explain(error: Exception) -> str:
    """An error of regbench, Hydra or OmegaConf in one line, with the nearest match where there is one."""
    cause = error.__cause__
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return f"{group}={name}: {no_such('option', name, f'the group {group!r}', error.options)}"
    if isinstance(cause, OmegaConfBaseException) and isinstance(cause.parent_node, DictConfig):
        keys = [str(key) for key in cause.parent_node if key != "hydra"]
        place = str(cause.full_key).rpartition(".")[0]
        return f"{cause.full_key}: {no_such('key', str(cause.key), repr(place) if place else 'the config', keys)}"
    text = str(error).strip().splitlines()[0]
    return f"{error.override}: {text}" if isinstance(error, OverrideParseException) else text


def config_dir() -> Path:
    """The built-in configs: inside an installed package, or beside src/ in a checkout."""
    places = (PACKAGE / "conf", PACKAGE.parent.parent / "conf")
    return next(place for place in places if (place / "config.yaml").is_file())


def flags_first(arguments: Sequence[str]) -> list[str]:
    """The same arguments, Hydra's flags before the overrides: Hydra 1.3 takes them in no other order.

    Raises:
        UserError: a flag that Hydra does not have, or one that lacks its value.
    """
    flags: list[str] = []
    overrides: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name = word.partition("=")[0]
        if not word.startswith("-"):
            overrides.append(word)
        elif name in PLAIN_FLAGS or (name in VALUED_FLAGS and name != word):
            flags.append(word)
        elif name in VALUED_FLAGS and rest:
            flags += [word, rest.pop(0)]
        elif name in INFO_FLAGS:
            flags += [name, rest.pop(0) if rest and rest[0] in INFO_WORDS else word.partition("=")[2] or "all"]
        else:
            known = PLAIN_FLAGS | VALUED_FLAGS | INFO_FLAGS
            raise UserError(
                f"{word}: needs a value" if name in known else no_such("flag", word, "regbench train", known)
            )
    return flags + overrides
