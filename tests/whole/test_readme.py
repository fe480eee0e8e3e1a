"""The pages name all that there is."""

import re
from pathlib import Path

import click
import pytest

from regbench.cli.group import main as group
from regbench.experiment.checks import registries
from regbench.figures.choices import KINDS

ROOT = Path(__file__).parents[2]
SWEEPS = (ROOT / "docs/sweeps.md").read_text("utf-8")
MADE = "commands.md"  # names each command by itself


def test_the_readme_is_one_page():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 110


@pytest.mark.parametrize(("axis", "registry"), registries().items())
def test_the_table_of_axes_has_every_option(axis, registry):
    (row,) = re.findall(rf"^\| `{axis}` \| (.+) \|$", SWEEPS, re.MULTILINE)
    options = re.sub(r"\(.*?\)", "", row.partition(";")[0]).split(",")
    assert {option.strip() for option in options} == set(registry)


def test_every_command_is_named():
    assert isinstance(group, click.Group)
    pages = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if path.name != MADE]
    words = " ".join(path.read_text("utf-8") for path in pages)
    assert [name for name in group.commands if f"regbench {name}" not in words] == ["help"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_of_pictures_has_every_kind(kind):
    assert f"\n| `{kind}` | " in (ROOT / "docs/plots.md").read_text("utf-8")
