"""regbench report: which files it writes, and what it refuses."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from golden.records import HERE as GOLDEN
from regbench.cli import group

VERDICTS = GOLDEN / "verdicts"
Report = Callable[..., tuple[int, str, str]]


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Report:
    """`report(folder)`: the exit code, and what is printed on both streams; in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            group.main(["report", *map(str, words)])
        return (int(end.value.code or 0), *capsys.readouterr())

    return call


@pytest.mark.slow
def test_the_format_is_html_or_that_of_the_ending(report: Report, tmp_path: Path) -> None:
    assert report(VERDICTS, "--baseline", "norm=none", "--margin", "0.5") == (0, "report.html\n", "")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Equivalent to norm=none: batch; instance; group; rms; layer." in page
    assert report(VERDICTS, "-o", "it.md") == (0, "it-forest.png\nit.md\n", "")
    assert "](it-forest.png)" in (tmp_path / "it.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            (VERDICTS, "-o", "it.htlm"),
            "--output it.htlm: no format 'htlm' in the endings of reports. Did you mean 'html'?",
        ),
        ((VERDICTS, "-o", "it"), "--output it: the name has no ending"),
        ((VERDICTS, "-o", "it.html", "--to", "md"), "--output it.html: the ending means html, and --to md another"),
        ((VERDICTS, "--baseline", "norm=nnoe"), "nnoe"),
        ((VERDICTS, "--by", "nrom"), "no key 'nrom' in the runs. Did you mean 'norm'?"),
        (("no",), "no directory 'no'"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    words: tuple[str, ...], message: str, report: Report, tmp_path: Path
) -> None:
    code, out, err = report(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ") and message in err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_help_is_quick_and_a_page_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from regbench.cli.group import main\n"
        "try: main(['report', '--help'])\n"
        "except SystemExit: print({'torch', 'pandas', 'matplotlib', 'bokeh', 'jinja2'} & set(sys.modules))\n"
        f"try: main(['report', {str(VERDICTS)!r}, '-o', {str(tmp_path / 'it.html')!r}])\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-3:] == ["set()", str(tmp_path / "it.html"), "False"]
