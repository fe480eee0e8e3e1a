"""`regbench train`: Hydra composes a config, `config` checks it, `experiment` trains it. A mistake is one line."""

import os
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from tempfile import TemporaryDirectory
from typing import NoReturn, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from regbench.cli.arguments import flags_first, spelled_out
from regbench.cli.home import with_homes
from regbench.cli.hydra_errors import is_mistake, leave, one_line
from regbench.cli.train_help import train_help
from regbench.config.location import config_dir
from regbench.errors import FAILED, INTERRUPTED, UserError


def train(arguments: Sequence[str]) -> NoReturn:
    """Run Hydra over the arguments of `regbench train` and leave with an exit code.

    0: every run completed or diverged; 1: a run failed; 2: a mistake of the user; 130: Ctrl-C.
    """
    statuses: list[str] = []
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise: its own reports take several lines
    warnings.formatwarning = lambda message, *_, **__: one_line("warning", message)  # warnings of libraries
    OmegaConf.register_new_resolver("regbench_help", partial(train_help, config_dir()), replace=True)
    decorate = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")
    with TemporaryDirectory() as scratch:  # Hydra writes a multirun.yaml there that nobody needs
        OmegaConf.register_new_resolver("regbench_scratch", lambda: scratch, replace=True)
        try:
            sys.argv = ["regbench train", *flags_first(spelled_out(with_homes(arguments)))]
            decorate(lambda composed: _job(composed, statuses))()
        except KeyboardInterrupt as interrupt:  # a sweep says how many of its runs are done
            sys.stderr.write(f"{str(interrupt) or 'Interrupted. Run the same command to resume.'}\n")
            sys.exit(INTERRUPTED)
        except Exception as error:
            if is_mistake(error):
                leave(error)
            if isinstance(error, OSError):  # no space, no permission
                leave(error, FAILED)
            raise
    sys.exit(FAILED if "failed" in statuses else 0)


def _job(composed: DictConfig, statuses: list[str]) -> None:
    """Train a run that Hydra composed: the only one, or one job of a sweep by a launcher that is not regbench's."""
    from regbench.experiment import train as experiment
    from regbench.experiment.checks import checked
    from regbench.experiment.reporter import Reporter
    from regbench.experiment.run import Run

    try:
        overrides = cast(list[str], OmegaConf.to_container(HydraConfig.get().overrides.task))
        sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        title = f"#{HydraConfig.get().job.num + 1}  {' '.join(overrides)}" if sweep else ""
        run = Run(checked(composed), overrides)
        status = experiment.run(run, Reporter(run.config.runtime.progress, title=title))
        statuses.append(str(status.state))
    except (UserError, OmegaConfBaseException) as error:
        leave(error)  # at once: Hydra would add lines
    except OSError as error:  # no space, no permission
        leave(error, FAILED)
