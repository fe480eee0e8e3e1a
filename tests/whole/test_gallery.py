"""docs/gallery.md: the page, its commands, its pictures and the notes of the recipes are in step. Nothing trains."""

import re
import shlex
from pathlib import Path

import pytest

from gallery import SWEEPS, page
from regbench.config.location import config_dir
from regbench.figures.choices import KINDS

ROOT = Path(__file__).parents[2]
PICTURES = [picture for sweep in SWEEPS for picture in sweep.pictures]
RECIPES = sorted(path for kind in ("experiment", "study") for path in (config_dir() / kind).iterdir())


def test_the_page_is_current():
    """If this fails: scripts/gallery FOLDER."""
    assert (ROOT / "docs/gallery.md").read_text("utf-8") == page()


def test_every_kind_has_a_picture():
    assert {picture.kind for picture in PICTURES} == set(KINDS)


def test_every_picture_is_there_and_every_file_is_used():
    named = re.findall(r"\(pictures/(.+?)\)", page())
    assert len(set(named)) == len(named)
    assert set(named) == {path.name for path in (ROOT / "docs/pictures").iterdir() if path.is_file()}
    assert set(re.findall(r"\(docs/pictures/(.+?)\)", (ROOT / "README.md").read_text("utf-8"))) <= set(named)


@pytest.mark.parametrize(("folder", "page"), [("trackers", "trackers.md"), ("tutorial", "tutorial.md")])
def test_every_picture_of_another_page_is_there_and_used(folder, page):
    named = re.findall(rf"\(pictures/{folder}/(.+?)\)", (ROOT / "docs" / page).read_text("utf-8"))
    assert set(named) == {path.name for path in (ROOT / "docs/pictures" / folder).iterdir()}


def test_the_pictures_are_small():
    assert sum(path.stat().st_size for path in (ROOT / "docs/pictures").rglob("*.*")) < 1_500_000


@pytest.mark.parametrize("file", [picture.file for picture in PICTURES if picture.file.endswith(".svg")])
def test_a_drawing_has_its_caption_as_text_and_no_date(file):
    text = (ROOT / "docs/pictures" / file).read_text("utf-8")
    assert "<text" in text and "<dc:date>" not in text


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_says_which_picture_shows_its_point(path):
    commands = re.findall(r"^# see it: (.+)$", path.read_text("utf-8"), re.MULTILINE)
    assert len(commands) == 1
    program, verb, kind, *words = shlex.split(commands[0])
    assert (program, verb) == ("regbench", "plot") and kind in KINDS
    assert path.parent.name == "experiment" or words[0] == f"runs/{path.stem}"
