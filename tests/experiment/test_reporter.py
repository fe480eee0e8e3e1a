import io
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from regbench.experiment.reporter import HEADER, Reporter
from regbench.records.run_status import RunStatus
from support import EPOCH

WIDTH = 80
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[0-9;]*m")
RESULT = {
    "best_val": {"epoch": 2, "val_loss": 0.1, "test_acc": 0.9712, "test_loss": 0.0981},
    "last": {"epoch": 3, "val_loss": 0.2, "test_acc": 0.9698, "test_loss": 0.1075},
}


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def console(terminal: bool) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=terminal, width=WIDTH, highlight=False), file


def train_an_epoch(reporter: Reporter, file: io.StringIO, drawn: str) -> None:
    """550 steps; while a bar is awaited, at the pace of training."""
    for _ in range(550):
        reporter.tick(100)
        if drawn and drawn not in file.getvalue():
            time.sleep(0.02)


def shown(mode: str, terminal: bool, finished: int = 0, moving: bool = False) -> str:
    """All that a run of three epochs prints."""
    screen, file = console(terminal)
    reporter = Reporter(mode, screen)
    reporter.begin("mlp: 269,322 parameters", 55_000, 3, finished)
    for epoch in range(finished, 3):
        train_an_epoch(reporter, file, f"epoch {epoch + 1}/3" if moving else "")
        reporter.epoch(replace(EPOCH, epoch=epoch + 1))
    reporter.end()
    reporter.result(finished_run())
    return file.getvalue()


def finished_run(result: object = RESULT, status: str = "completed", error: str | None = None) -> RunStatus:
    return RunStatus(Path("runs/x/y"), {"result": result, "error": error, "status": status})


def test_elsewhere_than_on_a_terminal_there_are_plain_lines():
    text = shown("auto", terminal=False)
    assert "\x1b" not in text
    assert "\r" not in text
    lines = text.splitlines()
    assert lines[:2] == ["mlp: 269,322 parameters", HEADER]
    assert [line.split()[0] for line in lines[2:5]] == ["1/3", "2/3", "3/3"]
    assert lines[5:] == [
        "test accuracy 97.12 %, loss 0.0981, after epoch 2 (least validation loss)",
        "              96.98 %, loss 0.1075, after epoch 3 (last)",
        "runs/x/y",
    ]


def test_the_line_of_an_epoch():
    reporter = Reporter("plain", console(False)[0])
    reporter.begin("about", 55_000, 3, 0)
    line = reporter.line(EPOCH)
    assert line.split() == ["1/3", "0.001", "0.3456", "91.23", "0.2345", "93.45", "22,000", "2.50", "s"]
    assert len(line) <= WIDTH


def test_the_columns_stand_below_their_titles():
    line = Reporter("off").line(EPOCH)
    titles = ["epoch", "lr", "train loss", "acc %", "val loss", "acc %", "images/s", "time"]
    ends, start = [], 0
    for title in titles:
        start = HEADER.index(title, start) + len(title)
        ends.append(start)
    figures = [match.end() for match in re.finditer(r"\S+(?: s$)?", line)]
    assert figures == ends
    assert len(HEADER) <= WIDTH


@pytest.mark.parametrize(
    "row",
    [
        replace(EPOCH, train_loss=1e30, val_loss=3e38),
        replace(EPOCH, train_loss=123456.789, val_loss=1234567.0),
        replace(EPOCH, train_loss=float("nan"), val_loss=float("inf")),
        replace(EPOCH, epoch=100_000, lr=1.234e-300, seconds=98765.4),
        replace(EPOCH, seconds=1e-9),
    ],
    ids=["near the end of float32", "large losses", "diverged", "long", "quick"],
)
def test_a_line_stays_in_80_columns(row):
    assert len(Reporter("off").line(row)) <= WIDTH


def test_without_validation_there_are_dashes():
    line = Reporter("off").line(replace(EPOCH, val_loss=None, val_acc=None))
    assert line.split()[4:6] == ["-", "-"]
    screen, file = console(False)
    chosen = {**RESULT["last"], "val_loss": None}
    Reporter("plain", screen).result(finished_run({"best_val": chosen, "last": chosen}))
    assert file.getvalue().splitlines()[:-1] == [
        "test accuracy 96.98 %, loss 0.1075, after epoch 3 (the last: no validation images)"
    ]


def test_a_chosen_epoch_that_is_the_last_one_is_told_once():
    screen, file = console(False)
    Reporter("plain", screen).result(finished_run({"best_val": RESULT["last"], "last": RESULT["last"]}))
    assert file.getvalue().splitlines()[:-1] == [
        "test accuracy 96.98 %, loss 0.1075, after epoch 3 (least validation loss, and the last)"
    ]


def test_a_run_whose_result_could_not_be_kept_has_failed():
    screen, file = console(False)
    Reporter("plain", screen).result(finished_run(RESULT, "failed", "No space left on device (model.safetensors)"))
    line, place = file.getvalue().splitlines()
    assert line == "failed: No space left on device (model.safetensors) (train.log has the rest)"
    assert place == "runs/x/y"


def test_on_a_terminal_a_bar_moves_and_goes_away():
    text = shown("auto", terminal=True, moving=True)
    for words in ("epoch 1/3", "epoch 2/3", "epoch 3/3", "left"):
        assert words in text
    assert re.search(r"\d images/s", text)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor comes back"
    lines = [line for part in text.split("\n") for line in ESCAPE.sub("", part).split("\r")]
    assert max(map(len, lines)) <= WIDTH
    after = text.split("\x1b[?25h")[1]
    assert "left" not in after
    assert "\x1b[2K" in after, "the bar is wiped"


def test_after_an_interruption_the_bar_begins_where_the_run_goes_on():
    text = shown("bar", terminal=True, finished=2, moving=True)
    assert "resuming after epoch 2" in text
    assert "epoch 3/3" in text
    assert "epoch 1/3" not in text
    assert "epoch 4/3" not in text


def test_no_color_means_no_colour(monkeypatch):
    assert COLOUR.search(shown("bar", terminal=True)), "the pattern finds colours where there are some"
    monkeypatch.setenv("NO_COLOR", "1")
    assert not COLOUR.search(shown("bar", terminal=True))


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in shown("auto", terminal=True)


def test_a_bar_asked_for_in_a_pipe_writes_no_codes():
    assert "\x1b" not in shown("bar", terminal=False)


def test_plain_on_a_terminal_moves_nothing():
    text = shown("plain", terminal=True)
    assert "\r" not in text
    assert "images/s" not in text.replace(HEADER, "")


@pytest.mark.parametrize("terminal", [True, False])
def test_off_prints_nothing(terminal):
    assert shown("off", terminal) == ""


def test_brackets_are_no_markup():
    screen, file = console(False)
    Reporter("plain", screen).say("model.hidden=[bold] [/] [red]x")
    assert file.getvalue() == "model.hidden=[bold] [/] [red]x\n"


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_a_run_without_a_result_names_its_status_and_place(status):
    screen, file = console(False)
    Reporter("plain", screen).result(finished_run(None, status, "the loss stopped being finite"))
    first, path = file.getvalue().splitlines()
    assert first.startswith(f"{status}: the loss stopped being finite")
    assert path == "runs/x/y"


def test_a_warning_goes_to_stderr(capsys):
    Reporter("off").warn("both shrink the weights")
    assert capsys.readouterr() == ("", "warning: both shrink the weights\n")


def ending(folder: Path, terminal: bool = True, size: tuple[int, int] = (60, 24), title: str = "", epochs: int = 3):
    """What is printed at the end of a run whose validation loss is least after epoch 2."""
    losses = ["1,0.9,0.8", "2,0.5,0.4", "3,0.2,0.6"][:epochs]
    (folder / "metrics.csv").write_text("\n".join(["epoch,train_loss,val_loss", *losses]) + "\n")
    file = io.StringIO()
    screen = Console(file=file, force_terminal=terminal, width=size[0], height=size[1], highlight=False)
    Reporter("auto", screen, title).result(RunStatus(folder, {"result": RESULT, "status": "completed"}))
    return ESCAPE.sub("", file.getvalue()).splitlines()


def test_a_run_ends_with_a_chart_of_its_losses(tmp_path):
    title, *plot, axis, train, val, accuracy, _, path = ending(tmp_path)
    assert title == "loss by epoch"
    assert len(plot) == 15 and max(map(len, plot)) <= 60 and axis.split() == ["1", "3"]
    assert [plot[place].split("│")[0].strip() for place in (0, 7, 14)] == ["0.9", "0.55", "0.2"]
    assert "".join(plot).count("●") == "".join(plot).count("■") == 3
    assert (train, val) == ("● train_loss: 0.2000", "■ val_loss: 0.6000, least 0.4000 after epoch 2")
    assert accuracy.startswith("test accuracy") and path == str(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"terminal": False}, {"size": (59, 24)}, {"size": (60, 23)}, {"epochs": 2}, {"title": "#1 norm=batch"}],
    ids=["a pipe", "narrow", "low", "two epochs", "a job of a sweep"],
)
def test_without_room_or_a_curve_there_is_no_chart(changes, tmp_path):
    assert "loss by epoch" not in ending(tmp_path, **changes)


def test_no_color_and_a_diverged_run(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "metrics.csv").write_text("epoch,train_loss,val_loss\n1,2,inf\n2,8,nan\n3,nan,nan\n")
    file = io.StringIO()
    screen = Console(file=file, force_terminal=True, width=80, height=40, color_system=None)
    Reporter("auto", screen).result(RunStatus(tmp_path, {"status": "diverged", "error": "loss", "result": None}))
    lines = file.getvalue().splitlines()
    assert "\x1b" not in file.getvalue()
    assert "● train_loss: 8.0000, least 2.0000 after epoch 1" in lines and not any("val_loss" in line for line in lines)


def test_a_full_disk_is_said_once_in_a_process(capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(3):
        Reporter("off").warn_once(f"runs/once/s{seed}: No space left on device", "runs/once: No space left on device")
    assert capsys.readouterr().err == "warning: runs/once/s0: No space left on device\n"
