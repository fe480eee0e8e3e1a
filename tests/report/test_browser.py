"""The page in a real browser, where one is installed: no error, and every control works."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from regbench.analysis.question import Question
from regbench.analysis.table import Against
from regbench.records.frame import load
from regbench.report.content import gather
from regbench.report.page import page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed, in which the page could be opened"),
]
TRY_CONTROLS = """
window.addEventListener("load", () => {
  const wait = setInterval(() => {
    if (!document.documentElement.dataset.drawn) return;
    clearInterval(wait);
    const first = () => document.querySelector("#rows tbody tr").cells[0].textContent;
    const head = [...document.querySelectorAll("#rows th button")].find((one) => one.textContent === "diff");
    const result = {};
    head.click(); result.ascending = first();
    head.click(); result.descending = first();
    const filter = document.getElementById("filter");
    filter.value = "BATCH"; filter.dispatchEvent(new Event("input"));
    result.rows = [...document.querySelectorAll("#rows tbody tr")].filter((row) => !row.hidden).length;
    result.said = document.getElementById("said").textContent;
    const box = document.querySelector("#lines input");
    box.click();
    const hidden = Bokeh.documents.flatMap((one) => one.roots()).flatMap((one) => one.renderers)
      .filter((one) => one.visible === false).map((one) => one.name);
    result.hidden = [...new Set(hidden)];
    result.plots = document.querySelectorAll(".plot > *").length;
    let copied = "";
    Object.defineProperty(navigator, "clipboard", { value: { writeText: async (text) => { copied = text; } } });
    document.getElementById("copy").click();
    setTimeout(() => { result.copied = copied.slice(0, 20); result.title = document.title;
      document.body.innerHTML = ""; document.body.textContent = "RESULT" + JSON.stringify(result) + "END"; }, 50);
  }, 50);
});
"""


@pytest.fixture
def document(runs: Path) -> str:
    return page(gather(Question(load([runs]), against=Against(("norm=none",))), "regbench report")).decode()


def opened(text: str, folder: Path) -> tuple[str, str]:
    """Return the document after its scripts have run, and what the console says."""
    path = folder / "page.html"
    path.write_text(text, "utf-8")
    command = [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=20000", "--enable-logging=stderr"]
    ended = subprocess.run([*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=300)
    said = [line for line in ended.stderr.splitlines() if "CONSOLE" in line and "setting log level" not in line]
    return ended.stdout, "\n".join(said)


def test_the_page_opens_without_an_error_and_draws_all_plots(document: str, tmp_path: Path) -> None:
    dom, console = opened(document, tmp_path)
    assert console == ""
    assert re.search(r'<html[^>]* data-ready="\d+" data-drawn="\d+"', dom)
    assert "hacked" not in re.findall(r"<title>(.*?)</title>", dom)[0]


def test_every_control_works(document: str, tmp_path: Path) -> None:
    open_policy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", document)
    dom, console = opened(open_policy.replace("</body>", f"<script>{TRY_CONTROLS}</script></body>"), tmp_path)
    assert console == ""
    found = re.search(r"RESULT(.*)END", dom)
    assert found, dom[-500:]
    result = found[1]
    assert '"descending":"batch"' in result and '"ascending":"&lt;/script' in result
    assert '"rows":1,"said":"1 of 3 rows"' in result
    assert '"hidden":["line0"]' in result and '"plots":4' in result
    assert '"copied":"norm,metric,select,n' in result
    assert '"title":"Does the normalization change' in result
