"""The documentation as a site: whole, strict about links, and searched from a disk without a network."""

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from report.browser import FOUND, browser

ROOT = Path(__file__).parents[2]


def _script() -> ModuleType:
    """Load scripts/site.py, which has the name of a module of Python's library."""
    spec = importlib.util.spec_from_file_location("scripts_site", ROOT / "scripts/site.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


site = _script()
needs_zensical = pytest.mark.skipif(
    importlib.util.find_spec("zensical") is None, reason="needs zensical: pip install -e '.[site]'"
)


def test_the_navigation_names_pages_that_there_are_once() -> None:
    nav = tomllib.loads((ROOT / site.CONFIG).read_text("utf-8"))["project"]["nav"]
    pages = [*site.named(nav)]
    assert len(set(pages)) == len(pages)
    assert [name for name in pages if not (ROOT / site.BESIDE.get(name, f"docs/{name}")).is_file()] == []


def test_a_page_that_the_navigation_lacks_is_a_guide(tmp_path: Path) -> None:
    small(tmp_path / "root", "# Another\n")
    (tmp_path / "project").mkdir()
    site.prepare(tmp_path / "root", tmp_path / "project")
    nav = tomllib.loads((tmp_path / "project" / site.CONFIG).read_text("utf-8"))["project"]["nav"]
    (guides,) = [entry[site.GUIDES] for entry in nav if site.GUIDES in entry]
    assert "another.md" in guides


@pytest.mark.parametrize(
    ("source", "link", "page"),
    [
        ("README.md", "docs/plots.md", "plots.md"),
        ("README.md", "CONTRIBUTING.md", "contributing.md"),
        ("docs/tutorial.md", "../README.md", "index.md"),
        ("docs/a.md", "b.md#part", "b.md#part"),
        ("docs/a.md", "https://hydra.cc", "https://hydra.cc"),
        ("docs/a.md", "#part", "#part"),
    ],
)
def test_links_between_files_become_links_between_pages(source: str, link: str, page: str) -> None:
    assert site.linked(f"[x]({link})", source) == f"[x]({page})"


def small(root: Path, page: str) -> None:
    """Write a repository with the real navigation, whose pages are empty, and one more page."""
    (root / "docs/javascripts").mkdir(parents=True)
    text = (ROOT / site.CONFIG).read_text("utf-8")
    (root / site.CONFIG).write_text(text, "utf-8")
    for name in site.named(tomllib.loads(text)["project"]["nav"]):
        (root / site.BESIDE.get(name, f"docs/{name}")).write_text(f"# {name}\n", "utf-8")
    (root / "docs/javascripts/iframe-worker.js").touch()
    (root / "docs/another.md").write_text(page, "utf-8")


@pytest.mark.slow
@needs_zensical
@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("[x](nowhere.md)", "page does not exist"),
        ("[x](keys.md#nothing)", "anchor does not exist"),
        ("![x](nothing.png)", "nothing.png"),
    ],
    ids=["page", "anchor", "picture"],
)
def test_a_broken_link_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str], page: str, said: str) -> None:
    small(tmp_path / "root", f"# Another\n\n{page}\n")
    (tmp_path / "project").mkdir()
    site.prepare(tmp_path / "root", tmp_path / "project")
    built = site.build(tmp_path / "project")
    faults = [*site.missing(tmp_path / "project/site")] if built else [capsys.readouterr().err]
    assert len(faults) == 1 and said in faults[0]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    project = tmp_path_factory.mktemp("project")
    site.prepare(ROOT, project)
    assert site.build(project)
    return project / "site"


@pytest.mark.slow
@needs_zensical
def test_the_site_has_every_page_and_loads_nothing_from_elsewhere(built: Path) -> None:
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} <= {path.stem for path in built.glob("*.html")}
    assert list(site.missing(built)) == []
    loaded = re.compile(r'<(?:script|img|link|iframe)\b[^>]*(?:src|href)="https?://')
    assert [path.name for path in built.glob("*.html") if loaded.search(path.read_text("utf-8"))] == []


@pytest.mark.slow
@needs_zensical
@pytest.mark.skipif(FOUND is None, reason="no Chromium is installed, in which the page could be opened")
def test_the_search_works_from_a_disk(built: Path, tmp_path: Path) -> None:
    with browser(tmp_path) as page:
        page.open(built / "gallery.html")
        page.until("document.readyState === 'complete' && !!document.querySelector('.md-search__button')")
        page.value("document.querySelector('.md-search__button').click()")
        page.until("document.activeElement?.shadowRoot?.activeElement?.tagName === 'INPUT'")
        page.type("orthogonal")
        page.until("document.activeElement.shadowRoot.textContent.includes('orthogonal')")
