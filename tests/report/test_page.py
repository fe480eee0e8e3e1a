"""The page: it holds all, loads nothing, and no text from a run becomes anything but text."""

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from regbench.analysis.question import Question
from regbench.analysis.table import Against
from regbench.records.frame import load
from regbench.report.content import Content, gather
from regbench.report.markdown import files
from regbench.report.page import page
from report.conftest import HOSTILE


class _Elements(HTMLParser):
    """Collects the tags with their attributes, and the cells of the first table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture
def content(runs: Path) -> Content:
    return gather(Question(load([runs]), against=Against(("norm=none",))), f"regbench report '{HOSTILE}'")


def test_a_page_holds_the_table_the_answer_and_where_it_comes_from(content: Content) -> None:
    text = page(content).decode()
    for expected in (*content.answer.sentences, *content.notes, *(cell for row in content.cells.rows for cell in row)):
        assert html.escape(expected, quote=False).replace('"', "&#34;").replace("'", "&#39;") in text
    assert re.search(r"<dt>torch</dt><dd>2\.9\.0</dd>", text)
    assert re.search(r"▲</span> better, <span[^>]*>○</span> undecided\.", text)
    assert "<td>failed</td>" in text
    assert "No picture of layers: none of 25 runs has a layers.csv" in text


def test_the_numbers_of_the_plots_are_those_of_the_table(content: Content) -> None:
    found = re.search(r'id="data">(.*?)</script>', page(content).decode(), re.S)
    assert found
    data = json.loads(found[1])
    assert data["csv"] == content.csv
    forest, accuracy, *losses = [json.dumps(item) for item in data["plots"]]
    (batch,) = [row for row in content.table.rows if row.group["norm"] == "batch"]
    assert batch.comparison and batch.comparison.difference and batch.comparison.ends
    for value in (batch.comparison.difference, *batch.comparison.ends):
        assert str(round(100 * value, 6)) in forest
    assert '["mean", [81.0, 82.0, 83.0]]' in accuracy and '["n", [8, 8, 8]]' in accuracy
    assert ['["mean", [2.5, 1.25, 0.833333]]' in losses[0], '["mean", [2.0, 1.0, 0.666667]]' in losses[1]] == [
        True,
        True,
    ]


def test_no_text_from_a_run_becomes_a_tag_and_nothing_is_loaded(content: Content) -> None:
    text = page(content).decode()
    assert HOSTILE not in text and html.escape(HOSTILE, quote=False).split('"')[0] in text
    tags = _Elements(text).tags
    assert [tag for tag, attributes in tags if any(name.startswith("on") for name in attributes)] == []
    images = [attributes["src"] for tag, attributes in tags if tag == "img"]
    assert all(str(source).startswith("data:") for source in images)
    links = {str(attributes.get(name)) for _, attributes in tags for name in ("href", "src") if attributes.get(name)}
    assert all(link.startswith(("#", "data:")) for link in links)
    assert len([tag for tag, _ in tags if tag == "script"]) == 3
    assert len(text) < 3_000_000


def test_markdown_has_the_same_answer_and_pictures_beside_it(content: Content, tmp_path: Path) -> None:
    found = files(content, tmp_path / "it.md")
    names = [path.name for path in found]
    assert names == ["it-curves.png", "it-forest.png", "it.md"]
    assert all(found[tmp_path / name].startswith(b"\x89PNG") for name in names[:2])
    text = found[tmp_path / "it.md"].decode()
    assert "**Better than norm=none: batch." in text and "](it-forest.png)" in text
    prose = [line for line in text.splitlines() if not line.startswith("    ")]  # code shows everything as it is
    assert not any("<img" in line for line in prose)
