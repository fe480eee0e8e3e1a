"""The page in a real browser, where one is installed: no error, and every control works by mouse and by keys."""

from collections.abc import Iterator

import pytest

from regbench.analysis.question import Question
from regbench.analysis.table import Against
from regbench.records.frame import load
from regbench.report.content import gather
from regbench.report.page import page as page_of
from report.browser import FOUND, Browser, browser
from report.conftest import HOSTILE, norms

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FOUND is None, reason="no Chromium is installed, in which the page could be opened"),
]
TOOLS = """
window.deep = (root) => [...root.querySelectorAll("*")]
  .flatMap((e) => [e, ...(e.shadowRoot ? deep(e.shadowRoot) : [])]);
window.plot = () => [...Bokeh.index].find((view) => view.el.closest?.("#plot-val_acc"));
window.point = (x, y) => {
  const box = plot().canvas_view.el.getBoundingClientRect();
  return [box.x + plot().frame.x_scale.compute(x), box.y + plot().frame.y_scale.compute(y)];
};
window.focused = () => {
  let found = document.activeElement;
  while (found.shadowRoot?.activeElement) found = found.shadowRoot.activeElement;
  return found;
};
window.head = (name) => [...document.querySelectorAll("#rows th button")].find((e) => e.textContent === name);
window.tips = () => deep(document).filter((e) => e.className === "bk-tooltip-content").map((e) => e.textContent);
window.hidden = () => [...new Set(Bokeh.documents.flatMap((d) => d.roots()).flatMap((root) => root.renderers)
  .filter((part) => !part.visible).map((part) => part.name))];
window.span = () => [plot().model.x_range.start, plot().model.x_range.end];
"""
FIRST = "document.querySelector('#rows tbody tr').cells[0].textContent"
SAID = "document.getElementById('said').textContent"
BOX = "document.querySelector('#lines input')"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The page, opened from its file, with all plots drawn."""
    folder = tmp_path_factory.mktemp("page")
    question = Question(load([norms(folder / "runs")]), against=Against(("norm=none",)))
    (folder / "page.html").write_bytes(page_of(gather(question, "regbench report")))
    with browser(folder) as found:
        found.open(folder / "page.html")
        found.until("document.documentElement?.dataset.drawn")
        found.value(TOOLS)
        yield found


@pytest.fixture
def page(opened: Browser) -> Iterator[Browser]:
    """The page; after each test its console has said nothing except how Bokeh sets its log level."""
    yield opened
    assert [text for text in opened.said if "setting log level to" not in text] == []


def test_all_plots_are_drawn_and_no_text_from_a_run_does_anything(page: Browser) -> None:
    assert page.value("document.querySelectorAll('.plot > *').length") == 4
    assert page.value("document.title").startswith("Does the normalization change")
    assert page.value("Number(document.documentElement.dataset.ready)") > 0


def test_a_heading_sorts(page: Browser) -> None:
    page.click("head('diff')")
    assert page.value(FIRST).startswith("</script")
    page.click("head('diff')")
    assert page.value(FIRST) == "batch"


def test_words_choose_rows(page: Browser) -> None:
    page.click("document.getElementById('filter')")
    page.type("BATCH")
    assert page.value("[...document.querySelectorAll('#rows tbody tr')].filter((row) => !row.hidden).length") == 1
    assert page.value(SAID) == "1 of 3 rows"
    page.value("focused().select()")
    page.type(" ")
    assert page.value(SAID) == "3 of 3 rows"


def test_the_table_is_copied_as_csv(page: Browser) -> None:
    page.allow("clipboardReadWrite", "clipboardSanitizedWrite")
    page.click("document.getElementById('copy')")
    page.until(SAID, lambda said: said == "Copied: all rows and columns, unrounded")
    assert page.value("navigator.clipboard.readText()").startswith("norm,metric,select,n")


def test_boxes_hide_lines(page: Browser) -> None:
    page.click(BOX)
    assert page.value("hidden()") == ["line0"]
    page.click(BOX)
    assert page.value("hidden()") == []


def test_a_point_tells_its_figures(page: Browser) -> None:
    page.value("plot().el.scrollIntoView({block: 'center'})")
    page.move(page.value("point(1.5, 81.5)"))
    page.move(page.value("point(2, 82)"))
    tips = page.until("tips()")
    assert any("batch" in tip and "epoch: 2" in tip and "validation accuracy: 82.00 %" in tip for tip in tips)
    assert any(HOSTILE in tip for tip in tips)
    page.move([1, 1])
    page.until("tips()", lambda found: not found)


def test_a_drag_zooms_and_reset_shows_all(page: Browser) -> None:
    page.value("plot().el.scrollIntoView({block: 'center'})")
    low, high = page.value("span()")
    page.drag(page.value("point(1.5, 82.5)"), page.value("point(2.5, 81.5)"))
    assert page.until("span()", lambda ends: ends != [low, high]) == pytest.approx([1.5, 2.5], abs=0.05)
    page.click("deep(plot().el.shadowRoot).find((e) => e.title === 'Reset')")
    assert page.until("span()", lambda ends: ends[0] < 1.4) == [low, high]


def test_tab_reaches_every_control_and_keys_work_them(page: Browser) -> None:
    controls = "a, button, input, summary, [tabindex='0']"
    page.value(f"window.wanted = new Set(deep(document).filter((e) => e.matches({controls!r}) && e.checkVisibility()))")
    assert page.value("wanted.size") > 40
    page.value("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached = 0
    for _ in range(page.value("wanted.size") + 20):
        page.press("Tab")
        reached += page.value("wanted.delete(focused())")
    assert page.value("[...wanted].map((e) => e.outerHTML.slice(0, 80))") == [] and reached > 40
    page.value("head('n').focus()")
    page.press("Enter")
    assert page.value("head('n').parentElement.getAttribute('aria-sort')") == "ascending"
    page.value(f"{BOX}.focus()")
    page.press(" ")
    assert page.value("hidden()") == ["line0"]
    page.press(" ")
    assert page.value("hidden()") == []


def test_what_is_folded_is_printed(page: Browser) -> None:
    page.value("document.querySelector('details').open = false")
    page.value("window.dispatchEvent(new Event('beforeprint'))")
    assert page.value("document.querySelector('details').open")
    page.value("window.dispatchEvent(new Event('afterprint'))")
    assert not page.value("document.querySelector('details').open")
