"""`regbench train`: Hydra composes, config checks, experiment trains; a mistake is one line."""

import os
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import walk_tb
from typing import NoReturn, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from regbench.config import AXES
from regbench.errors import FAILED, INTERRUPTED, MISTAKE, UserError, no_such
from regbench.helptext import train_help
from regbench.shorthand import SWEEPS, spelled_out

PACKAGE = Path(__file__).resolve().parent
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


def train(arguments: Sequence[str]) -> NoReturn:
    """Run Hydra over the arguments of `regbench train` and leave with an exit code.

    0: every run completed or diverged; 1: a run failed; 2: a mistake of the user; 130: Ctrl-C.
    """
    statuses: list[str] = []
    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise: Hydra's own reports take several lines
    warnings.formatwarning = lambda message, *_, **__: one_line("warning", message)  # those of libraries
    OmegaConf.register_new_resolver("regbench_help", partial(train_help, config_dir()), replace=True)
    decorate = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")
    with TemporaryDirectory() as scratch:  # where Hydra writes the multirun.yaml that nobody asked for
        OmegaConf.register_new_resolver("regbench_scratch", lambda: scratch, replace=True)
        try:
            sys.argv = ["regbench train", *flags_first(spelled_out(arguments))]
            decorate(lambda composed: job(composed, statuses))()
        except KeyboardInterrupt:
            sys.stderr.write("interrupted: the same command goes on after the last finished epoch\n")
            sys.exit(INTERRUPTED)
        except Exception as error:
            if is_mistake(error):
                leave(error)
            if isinstance(error, OSError):  # no space, no permission
                leave(error, FAILED)
            raise
    sys.exit(FAILED if "failed" in statuses else 0)


def job(composed: DictConfig, statuses: list[str]) -> None:
    """Train what Hydra composed for one run, or for one job of a sweep by another launcher than regbench's own."""
    from regbench import experiment
    from regbench.compose import checked
    from regbench.progress import Reporter

    try:
        overrides = cast(list[str], OmegaConf.to_container(HydraConfig.get().overrides.task))
        sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        title = f"#{HydraConfig.get().job.num + 1}  {' '.join(overrides)}" if sweep else ""
        run = experiment.Run(checked(composed), overrides)
        statuses.append(experiment.run(run, Reporter(run.config.runtime.progress, title=title)))
    except (UserError, OmegaConfBaseException) as error:
        leave(error)  # here and now: Hydra would add lines of its own
    except OSError as error:  # no space, no permission
        leave(error, FAILED)


def is_mistake(error: Exception) -> bool:
    """Whether the user can mend it: Hydra and OmegaConf raise a dozen kinds for what is wrong in a command."""
    packages = [str(frame.f_globals.get("__name__")).partition(".")[0] for frame, _ in walk_tb(error.__traceback__)]
    source = next(name for name in reversed(packages) if name in ("regbench", "hydra", "omegaconf"))
    return source != "regbench" or isinstance(error, UserError)


def leave(error: Exception, code: int = MISTAKE) -> NoReturn:
    """One line on stderr and an exit code."""
    sys.stderr.write(one_line("error", explain(error)))
    sys.exit(code)


def one_line(kind: str, text: object) -> str:
    """`error: what is wrong`, whatever line breaks the text has."""
    return f"{kind}: {' '.join(str(text).split())}\n"


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
    if isinstance(error, UserError):
        return str(error)
    text = next(iter(str(error).strip().splitlines()), type(error).__name__)
    culprit = error.override if isinstance(error, OverrideParseException) else getattr(error, "full_key", None)
    return f"{culprit}: {text}" if culprit else text


def config_dir() -> Path:
    """The built-in configs: inside an installed package, or beside src/ in a checkout."""
    places = (PACKAGE / "conf", PACKAGE.parent.parent / "conf")
    return next(place for place in places if (place / "config.yaml").is_file())


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
