"""`regbench train`: Hydra composes a config, `config` checks it, `experiment` trains it. A mistake is one line."""

import logging
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from tempfile import TemporaryDirectory
from typing import NoReturn, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from regbench.cli.arguments import spelled_out
from regbench.cli.command_line import CommandLine
from regbench.cli.home import with_homes
from regbench.cli.hydra_errors import explain, is_mistake
from regbench.cli.train_help import short_help, whole_help
from regbench.config.location import config_dir, user_config_dirs
from regbench.config.user_files import FLAG
from regbench.errors import FAILED, INTERRUPTED, UserError, leave, leave_for, leave_without_memory, one_line

_OF_SWEEP = ("params", "each", "union", "zip", "where", "plan", "until_decided")  # what hydra.sweeper holds


def train(arguments: Sequence[str]) -> NoReturn:
    """Run Hydra over the arguments of `regbench train` and leave with an exit code.

    0: every run completed or diverged; 1: a run failed; 2: a mistake of the user; 130: Ctrl-C.
    """
    try:
        line = CommandLine(with_homes(arguments))
        user_config_dirs()
    except UserError as error:
        leave(str(error))
    statuses: list[str] = []
    _prepare(line)
    decorate = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")
    with TemporaryDirectory() as scratch:  # Hydra writes a multirun.yaml there that nobody needs
        OmegaConf.register_new_resolver("regbench_scratch", lambda: scratch, replace=True)
        try:
            sys.argv = ["regbench train", *spelled_out(line)]
            decorate(lambda composed: _job(composed, statuses, line))()
        except KeyboardInterrupt as interrupt:  # a sweep says how many of its runs are done
            sys.stderr.write(f"{str(interrupt) or 'Interrupted. Run the same command to resume.'}\n")
            sys.exit(INTERRUPTED)
        except Exception as error:
            if isinstance(error, OSError) and not isinstance(error, HydraException):  # no space, no permission
                leave_for(error)
            if is_mistake(error):
                leave(explain(error, line))
            raise
    sys.exit(FAILED if "failed" in statuses else 0)


def _prepare(line: CommandLine) -> None:
    """Have Hydra raise errors and say nothing itself; tell it what its config refers to."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise: its own reports take several lines
    logging.raiseExceptions = False  # of a log whose reader is gone
    warnings.formatwarning = lambda message, *_, **__: one_line("warning", message)  # warnings of libraries
    text = whole_help if line.wants_whole_help else short_help
    OmegaConf.register_new_resolver("regbench_help", partial(text, config_dir()), replace=True)
    words = [*line.words, *[FLAG] * line.trusts_configs]
    typed = shlex.join(word for word in words if not word.startswith("force="))
    OmegaConf.register_new_resolver("regbench_command", lambda: f"regbench train {typed}", replace=True)


def _job(composed: DictConfig, statuses: list[str], line: CommandLine) -> None:
    """Train a run that Hydra composed: the only one, or one job of a sweep by a launcher that is not regbench's."""
    try:
        from regbench.experiment import single
        from regbench.experiment.resolving import resolved

        overrides = cast(list[str], OmegaConf.to_container(HydraConfig.get().overrides.task))
        sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        if not sweep:
            _check_is_run(line)
        title = f"#{HydraConfig.get().job.num + 1}  {' '.join(overrides)}" if sweep else ""
        statuses.append(str(single.run(resolved(composed), overrides, title).state))
    except (UserError, OmegaConfBaseException) as error:
        leave(explain(error, line))  # at once: Hydra would add lines
    except (MemoryError, ImportError) as error:
        leave_without_memory(error)
        raise
    except OSError as error:  # no space, no permission
        leave_for(error)


def _check_is_run(line: CommandLine) -> None:
    """Raise UserError if the config asks for a sweep, and is not one."""
    sweeper = HydraConfig.get().sweeper
    setting = next((name for name in _OF_SWEEP if sweeper.get(name)), None)
    if setting is None:
        return
    if study := line.recipes.get("study"):
        raise UserError(f"+study={study}: its file lacks hydra.mode: MULTIRUN, so it is no sweep: add that, or -m")
    raise UserError(f"hydra.sweeper.{setting}: belongs to a sweep: add -m")
