"""README.md and docs/plots.md name all that there is."""

import re
from pathlib import Path

import click
import pytest

from regbench.cli.group import main as group
from regbench.experiment.checks import registries
from regbench.figures.choices import KINDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize(("axis", "registry"), registries().items())
def test_the_table_of_axes_has_every_option(axis, registry):
    (row,) = re.findall(rf"^\| `{axis}` \| (.+) \|$", README, re.MULTILINE)
    options = re.sub(r"\(.*?\)", "", row.partition(";")[0]).split(",")
    assert {option.strip() for option in options} == set(registry)


def test_every_command_is_named():
    assert isinstance(group, click.Group)
    words = " ".join(path.read_text("utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))))
    assert [name for name in group.commands if f"regbench {name}" not in words] == ["help"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_of_pictures_has_every_kind(kind):
    assert f"\n| `{kind}` | " in (ROOT / "docs/plots.md").read_text("utf-8")
