"""Every command of README.md and docs/: it parses, what it names exists, and what it trains passes the checks."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from regbench.analysis.baseline import spec
from regbench.cli.arguments import spelled_out
from regbench.cli.command_line import CommandLine
from regbench.cli.flags import hydra_flags
from regbench.cli.group import main as group
from regbench.cli.hydra_errors import explain
from regbench.cli.options import split
from regbench.condition.expression import condition
from regbench.config.location import config_dir
from regbench.config.run_config import AXES, RunConfig, Runtime
from regbench.config.vocabulary import Vocabulary
from regbench.experiment.checks import check_techniques
from regbench.figures.choices import KINDS
from regbench.records.metrics import METRICS
from regbench.records.rows import Epoch
from regbench.sweep import grid
from support import composed
from whole.pages import PAGES, ROOT, Command, commands

ALL = list({command.words: command for command in commands()}.values())
OF_TRAIN = [command for command in ALL if command.words[0] == "train"]
OTHERS = [command for command in ALL if command.words[0] != "train"]
STANDS_FOR = {"…": "norm=none,batch", "model=M": "model=mlp", "AXIS=OPTION": "norm=batch"}
SHOWN_AS_WRONG = {"norm=bacth"}
TO_BE_ADDED = {"activation=softplus"}  # by the reader of docs/extend.md
NAMES = {"RUN", "IMAGE", "KIND", "[DIRS]", "NAME:lower"}  # for the reader to put something in their place
VOCABULARY = Vocabulary([config_dir()])
FIELDS = {*RunConfig.model_fields, *(f"runtime.{name}" for name in Runtime.model_fields), *VOCABULARY.keys}
FIGURES = {*METRICS, *Epoch.__dataclass_fields__, "seconds", "cpu_seconds"}
COLUMNS = {
    *("study", "experiment", "recipe", "trial", "search", "error", "path", "age", "status", "epoch"),
    *("n", "mean", "best", "worst", "diff", "p", "won", "verdict", "std", "se", "median", "seeds"),
}
KNOWN = FIELDS | FIGURES | COLUMNS


@pytest.mark.parametrize("command", OTHERS, ids=str)
def test_a_command_parses_and_what_it_names_exists(command: Command, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    name, *words = command.words
    found = group.commands[name]
    if not words:  # the name of a command in a sentence
        return
    context = found.make_context(name, [word for word in words if word != "KIND"] if name == "plot" else words)
    for parameter in found.params:
        values = context.params[cast(str, parameter.name)]
        for value in values if isinstance(values, tuple) else [values] * isinstance(values, str):
            check(parameter.metavar or "", str(value))
    if name == "plot":
        assert [word for word in words if word in {*KINDS, "KIND"}]


def check(metavar: str, value: str) -> None:
    """Raise unless what an option or argument names exists."""
    if value in NAMES:
        return
    if metavar in ("KEY", "COLUMN"):
        assert {key.lstrip("-") for key in split((value,))} <= KNOWN
    elif metavar == "NAME":
        assert {name.partition(":")[0] for name in split((value,))} <= FIGURES
    elif metavar == "CONDITION":
        condition(value).check(KNOWN, "the runs")
    elif metavar == "AXIS":
        assert value in AXES
    elif "KEY=VALUE" in metavar and "=" in value:
        assert all(is_value(key, text) for key, text in spec([value]).items())


def is_value(key: str, text: str) -> bool:
    return key in KNOWN and (key not in AXES or text in VOCABULARY.options(key))


@pytest.mark.slow
@pytest.mark.parametrize("command", OF_TRAIN, ids=str)
def test_what_is_trained_passes_the_checks(command: Command, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = [STANDS_FOR.get(word, word) for word in command.words[1:]]
    if TO_BE_ADDED & {*words}:
        pytest.skip("the page shows how to add it")
    if SHOWN_AS_WRONG & {*words}:
        with pytest.raises(HydraException) as raised:
            check_train(words)
        assert explain(raised.value, CommandLine(words)).startswith("norm=bacth: no option 'bacth' in the group 'norm'")
    else:
        check_train(words)


def check_train(words: list[str]) -> None:
    """Compose a few of the runs, in which each value is set once, and check them."""
    line = CommandLine(words)
    rest = list(without_flags(spelled_out(line)))
    own = [word for word in rest if not word.lstrip("+").startswith("hydra")]
    for group_name, name in line.recipes.items():
        assert {*name.split(",")} <= {*VOCABULARY.options(group_name)}
    sweeper = sweeper_of([word for word in rest if word not in own])
    varied = [re.sub(r"(tag\(log,)?interval\(([^,]+),[^)]*\)+", r"\2", word) for word in own]
    jobs = grid.expand(loader(), {}, varied, sweeper.get("zip") or (), None, sweeper.get("union") or ())
    for job in covering([word for word in job if not word.startswith("+study")] for job in jobs):
        check_techniques(composed(*job))
        for text in sweeper.get("where") or ():
            condition(text).check(FIELDS, "the config")


def without_flags(words: list[str]) -> Iterator[str]:
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            yield word
        elif hydra_flags()[word].nargs != 0:
            next(rest)


def covering(jobs: Iterator[list[str]]) -> Iterator[list[str]]:
    """Yield the jobs that have a word which none before has; of several seeds one is enough."""
    seen: set[str] = set()
    for job in jobs:
        new = {word for word in job if not word.startswith("seed=")} - seen
        if new or not seen:
            yield job
        seen |= {*job}


def loader() -> Any:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return GlobalHydra.instance().config_loader()


def sweeper_of(words: list[str]) -> dict[str, Any]:
    """What the words for Hydra make of its sweeper; composing them checks them and those of the launcher."""
    if not words:
        return {}
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        composed = GlobalHydra.instance().config_loader().load_configuration("config", words, RunMode.MULTIRUN)
    return cast(dict[str, Any], OmegaConf.to_container(composed.hydra.sweeper, resolve=True))


@pytest.fixture(autouse=True, scope="module")
def _quick(_own_files_read_once: None) -> None:
    """Parse each file of conf/ once."""


def test_folders_of_runs_are_those_of_sweeps_on_the_pages() -> None:
    words = [word for command in ALL for word in command.words]
    made = {word.removeprefix("+").removeprefix("study=") for word in words if re.match(r"\+?study=", word)}
    used = {word.removeprefix("runs/") for command in OTHERS for word in command.words if word.startswith("runs/")}
    assert used - made == {"old"}  # for rm


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scripts_and_extras_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert {name for names in re.findall(r"regbench\[([\w,]+)\]", text) for name in names.split(",")} <= {*extras}
    assert all((ROOT / "scripts" / name).exists() for name in re.findall(r"scripts/(\w+)\b", text))
