"""No command changes a file outside the folders that it is told to write: links planted in runs/ lead nowhere."""

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import regbench
from regbench.cli import main as cli
from regbench.cli.group import main as group

TINY = ["model.hidden=[8]", "data.train_size=200", "data.val_size=100", "epochs=1", "runtime.threads=1"]
Tree = dict[str, tuple[int, int, bytes]]

# Each command in at least one way that reads all runs, or writes. {run} is a run, {study} its study.
COMMANDS = """
completion bash
curves runs
diff {run} {other}
effects runs
explain runs seed=0
export runs --to tensorboard --store events
export {run} --to safetensors -o net.safetensors
export {run} --to torchscript -o net.pt
help summary
info
ls runs
ls --studies runs
note {study} mine --tag good
note runs/evil mine
train {again} study=evil
options norm
plot curves runs -o curves.svg
plot confusion runs -o confusion.png
predict {run} picture.png
report runs -o report.html
report runs --to md -o report.md
reproduce {run}
rm --yes --status failed runs
rm --yes runs/evil
rm --yes {linked}
rm --yes {run}
show {other}
studies runs
summary runs --by seed
summary runs --csv table.csv
train {again} study=mine
train -m {again} study=mine seed=0,1
watch runs --once
"""


def tree(folder: Path) -> Tree:
    """Every file below a folder: its time, its mode and what it holds."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_mode, path.read_bytes()) for path in paths}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two trained runs, and beside it files of the user that links in runs/ lead to."""
    place = tmp_path_factory.mktemp("made")
    here = Path.cwd()
    (place / "work").mkdir()
    os.chdir(place / "work")
    try:
        regbench.sweep(*TINY, "seed=0,1", "study=mine")
    finally:
        os.chdir(here)
    run, _ = sorted((place / "work/runs/mine").iterdir())
    (place / "outside/study").mkdir(parents=True)
    shutil.copytree(run, place / "outside/study" / run.name)
    for name in ("note.json", "train.log", "metrics.csv", "checkpoint.pt", "predicted.safetensors"):
        (place / "outside" / name).write_text("precious\n")
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path, own_process: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    runs, outside = tmp_path / "work/runs", tmp_path / "outside"
    (runs / "evil").symlink_to(outside / "study")
    (runs / "mine/note.json").symlink_to(outside / "note.json")
    first, second = sorted(path for path in (runs / "mine").iterdir() if path.is_dir())
    (runs / "mine/linked").symlink_to(outside / "study" / first.name)
    for name in ("train.log", "metrics.csv", "checkpoint.pt", "predicted.safetensors"):
        (second / name).unlink(missing_ok=True)
        (second / name).symlink_to(outside / name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.fixture
def command(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Run a command in this process, however it ends."""
    from PIL import Image

    runs = sorted(path for path in Path("runs/mine").iterdir() if path.is_dir() and not path.is_symlink())
    Image.new("L", (28, 28)).save("picture.png")
    names = {"run": runs[0], "other": runs[1], "study": "runs/mine", "linked": "runs/mine/linked"}
    again = " ".join([*TINY, "force=true"])

    def call(line: str) -> None:
        monkeypatch.setattr(sys, "argv", ["regbench", *line.format(**names, again=again).split()])
        with contextlib.suppress(SystemExit):
            cli.main()

    return call


def test_every_command_is_watched() -> None:
    assert isinstance(group, click.Group)
    assert {line.split()[0] for line in COMMANDS.strip().splitlines()} == {*group.commands, "train"}


@pytest.mark.slow
def test_commands_write_where_they_are_told_to_and_nowhere_else(
    place: Path, command: Callable[[str], None], capfd: object
) -> None:
    before = tree(place / "outside")
    for line in COMMANDS.strip().splitlines():
        command(line)
        assert tree(place / "outside") == before, line
    assert {path.name for path in place.iterdir()} == {"home", "outside", "work"}
    told = {"runs", "picture.png", *re.findall(r"(?:-o|--csv|--store) (\S+)", COMMANDS)}
    assert {path.name for path in Path().iterdir() if not path.name.startswith("report-")} <= told
