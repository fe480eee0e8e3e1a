"""Train as the command line does, from inside a Python program: no argv is read, and no mistake ends the process."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from regbench.cli.arguments import spelled_out
from regbench.cli.command_line import CommandLine
from regbench.cli.home import with_homes
from regbench.cli.hydra_errors import explain, is_mistake
from regbench.config.location import config_dir
from regbench.config.user_files import FLAG
from regbench.errors import UserError
from regbench.text import shown

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra

    from regbench.records.run_status import RunStatus

_SWEEP = "--multirun"


def train(words: Sequence[str], values: Mapping[str, object]) -> "RunStatus":
    """Train one run, unless it is trained already.

    Raises:
        UserError: a name or value is wrong, or the words mean a sweep.
        OSError: the run's files cannot be written.
    """
    line = _line([*words, *(_word(key, value) for key, value in values.items())])
    with _hydra(line) as hydra:
        config = hydra.compose_config("config", _overrides(line), RunMode.RUN, from_shell=False)
        if config.hydra.mode == RunMode.MULTIRUN:
            raise UserError(f"{' '.join(words)}: is a sweep. In Python: regbench.sweep({', '.join(map(repr, words))})")
        HydraConfig.instance().set_config(config)
        from regbench.experiment import single
        from regbench.experiment.resolving import resolved
        from regbench.sweep.job import without_hydra

        return single.run(resolved(without_hydra(config)), _task_words(config))


def sweep(words: Sequence[str], values: Mapping[str, object], goal: Mapping[str, object]) -> list[Path]:
    """Train all combinations, each once; return the directories of the runs, in the order of the sweep.

    With a goal, values of hydra.sweeper, seeds are trained in rounds until each row is decided.

    Raises:
        UserError: a name or value is wrong in one of the runs; nothing is trained then.
    """
    given = [word for key, value in values.items() for word in _sweep_words(key, value)]
    ends = [f"hydra.sweeper.{key}={_written(value)}" for key, value in goal.items()]
    line = _line([_SWEEP, *words, *given, *ends])
    with _hydra(line) as hydra:
        config = hydra.compose_config(
            "config", [*_overrides(line), "hydra.mode=MULTIRUN"], RunMode.MULTIRUN, from_shell=False
        )
        from hydra._internal.callbacks import Callbacks

        context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(config))
        sweeper: Any = Plugins.instance().instantiate_sweeper(
            hydra_context=context, task_function=lambda _: None, config=config
        )
        if not hasattr(sweeper, "train"):
            raise UserError("hydra/sweeper: regbench.sweep combines values; to search, run regbench train -m")
        return [run.path for run in sweeper.train(_task_words(config))]


@contextmanager
def _hydra(line: CommandLine) -> "Iterator[Hydra]":
    """Lend Hydra, and put back what a program had of its own; turn mistakes into UserError."""
    before = HydraConfig.instance().cfg
    try:
        with (
            TemporaryDirectory() as scratch,
            initialize_config_dir(str(config_dir()), job_name="regbench", version_base="1.3"),
        ):
            OmegaConf.register_new_resolver("regbench_scratch", lambda: scratch, replace=True)
            OmegaConf.register_new_resolver("regbench_command", lambda: "regbench.sweep", replace=True)
            hydra = GlobalHydra.instance().hydra
            assert hydra
            yield hydra
    except Exception as error:
        if not is_mistake(error):
            raise
        raise UserError(explain(error, line)) from None
    finally:
        HydraConfig.instance().cfg = before


def _line(words: Sequence[str]) -> CommandLine:
    """Take the words as the command line does.

    Raises:
        UserError: one of them is a flag.
    """
    for word in words:
        if word.startswith("-") and word not in (_SWEEP, FLAG):
            raise UserError(f"{word}: is a flag of the command line, and has no meaning in Python")
    return CommandLine(with_homes(words))


def _overrides(line: CommandLine) -> list[str]:
    """Check the words and spell them out.

    Raises:
        UserError: one of them cannot be read.
    """
    return [word for word in spelled_out(line) if not word.startswith("-")]


def _task_words(config: DictConfig) -> list[str]:
    return cast(list[str], OmegaConf.to_container(config.hydra.overrides.task))


def _sweep_words(key: str, value: object) -> list[str]:
    """Write the values of a sweep: those of a list, tuple or range, or the only one; zip and where may be several.

    The grids of a union are mappings of their values, or text as on the command line.
    """
    several = value if isinstance(value, list | tuple | range) else [value]
    if key in ("zip", "where"):
        return [f"{key}={text}" for text in several]
    if not several:
        raise UserError(f"{key}={value!r}: needs at least one value")
    if key == "union":
        return [f"{key}={' | '.join(map(_grid, several))}"]
    return [f"{key}={','.join(_word(key, one).removeprefix(f'{key}=') for one in several)}"]


def _word(key: str, value: object) -> str:
    """Write `key=value`; raises UserError if the value is of no type that a config has."""
    try:
        return f"{key}={_written(value)}"
    except UserError as error:
        raise UserError(f"{key}={error}") from None


def _grid(grid: object) -> str:
    if not isinstance(grid, Mapping):
        return str(grid)
    return " ".join(word for key, value in grid.items() for word in _sweep_words(key, value))


def _written(value: object) -> str:
    """Write a value in Hydra's grammar, text in quotes unless it is a plain word.

    Raises:
        UserError: the value is of no type that a config has.
    """
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, str | Path):
        text = str(value)
        plain = text.replace("_", "").replace(".", "").replace("-", "").isalnum() and text.isascii()
        return text if plain else str(QuotedString(text, Quote.single).with_quotes())
    if value is None or isinstance(value, bool | int | float) or hasattr(value, "__index__"):
        return shown(value)
    raise UserError(f"{value!r}: must be text, a number, True, False, None or a list")
