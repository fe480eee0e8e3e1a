"""docs/commands.md, docs/keys.md and docs/files.md say what the program has. If one fails: scripts/reference."""

import re
from dataclasses import fields
from pathlib import Path

import click
import pytest

from reference import comments, pages
from regbench.cli.group import main as group
from regbench.config.run_config import AXES, RunConfig, Runtime
from regbench.records.rows import Epoch, LayerFigures

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return pages()


@pytest.mark.parametrize("name", ["commands.md", "keys.md", "files.md"])
def test_a_page_is_current(made: dict[str, str], name: str) -> None:
    assert (DOCS / name).read_text("utf-8") == made[name]


def test_every_option_of_every_command_is_there(made: dict[str, str]) -> None:
    for name, command in group.commands.items():
        text = made["commands.md"].partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        assert all(f"{option.opts[-1]}" in text for option in options), name


def test_every_value_is_there(made: dict[str, str]) -> None:
    named = set(re.findall(r"^\| `([\w.]+)` \|", made["keys.md"], re.MULTILINE))
    values = RunConfig.model_fields.keys() - {*AXES, "runtime"}
    assert values | {f"runtime.{name}" for name in Runtime.model_fields} <= named
    assert {"hydra.launcher.n_jobs", "hydra.launcher.gpus", "hydra.sweeper.n_trials"} <= named


def test_every_column_is_there(made: dict[str, str]) -> None:
    metrics = made["files.md"].partition("## metrics.csv")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", metrics, re.MULTILINE) == [field.name for field in fields(Epoch)]
    diagnostics = (DOCS / "diagnostics.md").read_text("utf-8")
    figures = [field.name for field in fields(LayerFigures) if field.name not in ("epoch", "layer")]
    assert [name for name in figures if f"`{name}`" not in diagnostics] == []


def test_meanings_are_the_comments_of_a_class_and_of_its_base() -> None:
    assert comments(Epoch)["gap"] == "of generalization: val_loss - train_loss"
    assert "lr" not in comments(Epoch)
