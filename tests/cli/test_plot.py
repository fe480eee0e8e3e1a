"""regbench plot: which files it writes, and what it refuses."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from golden.records import HERE as GOLDEN
from regbench.cli import group

VERDICTS, NORMS = GOLDEN / "verdicts", GOLDEN / "runs"
AGAINST = ("--baseline", "norm=none")
Plot = Callable[..., tuple[int, str, str]]


@pytest.fixture
def plot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Plot:
    """`plot("box", folder)`: the exit code, and what is printed on both streams; in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            group.main(["plot", *map(str, words)])
        return (int(end.value.code or 0), *capsys.readouterr())

    return call


def test_a_picture_has_the_name_of_its_kind_which_is_printed(plot: Plot, tmp_path: Path) -> None:
    assert plot("box", VERDICTS) == (0, "box.png\n", "")
    assert (tmp_path / "box.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("ending", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")])
def test_the_ending_says_the_format(ending: str, start: bytes, plot: Plot, tmp_path: Path) -> None:
    assert plot("box", VERDICTS, "-o", f"it.{ending}", "--dark") == (0, f"it.{ending}\n", "")
    assert (tmp_path / f"it.{ending}").read_bytes().startswith(start)


def test_several_kinds_are_several_files(plot: Plot, tmp_path: Path) -> None:
    code, out, _ = plot("box", "forest", VERDICTS, *AGAINST, "-o", "it.svg")
    assert (code, out) == (0, "it-box.svg\nit-forest.svg\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it-box.svg", "it-forest.svg"]


def test_options_of_the_summary_change_the_picture(plot: Plot, tmp_path: Path) -> None:
    for words in ((), ("--anytime",)):
        assert plot("forest", VERDICTS, *AGAINST, *words, "-o", f"it{len(words)}.svg")[0] == 0
    plain, anytime = ((tmp_path / f"it{place}.svg").read_text("utf-8") for place in (0, 1))
    assert "sequence" in anytime and "sequence" not in plain
    assert plot("box", VERDICTS, "--shrink", "-o", "box.svg")[0] == 0
    assert "Diamonds" in (tmp_path / "box.svg").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("bxo", VERDICTS), "plot bxo: no kind 'bxo' in plot. Did you mean 'box'?"),
        (("box", "forset", VERDICTS), "plot forset: no kind or directory 'forset' in plot. Did you mean 'forest'?"),
        (
            ("box", VERDICTS, "-o", "it.jpg"),
            "--output it.jpg: no format 'jpg' in the endings of pictures. Did you mean 'png'?",
        ),
        (("box", VERDICTS, "-o", "it"), "--output it: the name has no ending, such as .png, .svg, .pdf"),
        (("box", VERDICTS, "-o", "no/it.png"), "--output no/it.png: cannot be written: No such file or directory"),
        (("forest", VERDICTS), "plot forest: needs a --baseline, as in --baseline norm=none"),
        (("dots", VERDICTS), "this picture compares rows with a baseline: add --baseline, as in --baseline norm=none"),
        (("forest", VERDICTS, "--margin", "1"), "--margin 1: needs a --baseline to be equivalent to"),
        (("heatmap", VERDICTS), "plot heatmap: needs keys across, as in --rows norm --cols init"),
        (("curves", VERDICTS, "--metric", "weight_nrom"), "Did you mean 'weight_norm'?"),
        (("curves", VERDICTS, "--metric", "test_acc"), "--metric test_acc: the test images are seen once"),
        (("curves", NORMS), "none of the completed runs has a metrics.csv that can be read"),
        (("layers", NORMS, "--metric", "val_acc"), "--metric val_acc: plot layers shows no figure of your choice"),
        (("box", VERDICTS, "--metric", "val_acc,val_loss"), "plot box shows one figure. Name one"),
        (("layers", NORMS), "plot layers: none of 15 runs has a layers.csv, which diagnostics=off leaves out"),
        (("histograms", VERDICTS, "--where", "norm=batch", "--where", "seed=1"), "has none: it is of an older version"),
        (
            ("filters", VERDICTS),
            "plot filters: none of 59 runs has a model.safetensors whose first layer sees an image",
        ),
        (("mistakes", VERDICTS, *AGAINST), "none of 58 runs has a predicted.safetensors, which newer versions write"),
        (("cd", VERDICTS, "--where", "norm=batch"), "plot cd: ranks need 3 rows or more with figures, not 1"),
        (("box", "curves", NORMS), "none of the completed runs has a metrics.csv that can be read"),
        (("dots", VERDICTS, *AGAINST, "--anytime"), "--anytime: means nothing to plot dots. --anytime is for forest"),
        (("box", VERDICTS, "--anytime"), "--anytime: needs a --baseline"),
        (("curves", VERDICTS, "--tune", "dropout"), "--tune dropout: means nothing to plot curves. --tune is for"),
        (("box", VERDICTS, "--tune", "dropuot"), "Did you mean 'dropout'?"),
        (("box", VERDICTS, "--each"), "--each: means nothing to plot box. --each is for curves"),
        (("box", VERDICTS, "--by", "nrom"), "no key 'nrom' in the runs. Did you mean 'norm'?"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    words: tuple[str, ...], message: str, plot: Plot, tmp_path: Path
) -> None:
    code, out, err = plot(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ") and message in err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_help_lists_the_kinds_and_a_picture_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from regbench.cli.group import main\n"
        "try: main(['plot', '--help'])\n"
        "except SystemExit: print({'torch', 'pandas', 'matplotlib'} & set(sys.modules))\n"
        f"try: main(['plot', 'box', {str(VERDICTS)!r}, '-o', {str(tmp_path / 'it.png')!r}])\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Kinds:" in ended.stdout and "first-layer weights as images" in ended.stdout
    assert ended.stdout.splitlines()[-3:] == ["set()", str(tmp_path / "it.png"), "False"]


@pytest.mark.slow
@pytest.mark.parametrize("words", [["plot", "box"], ["effects"], ["report", "-o", "r.html"], ["explain", "norm=rms"]])
def test_runs_that_cannot_be_read_are_said(words: list[str], monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(VERDICTS / "verdicts", "runs/verdicts")
    next(Path("runs/verdicts").glob("*/run.json")).write_text("{")
    with pytest.raises(SystemExit) as end:
        group.main([*words, "runs/verdicts"])
    assert end.value.code == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: 1 unreadable: runs/verdicts/")
