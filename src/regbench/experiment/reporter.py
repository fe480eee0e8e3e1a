"""Show a run while it trains: a line per epoch, and on a terminal a moving bar below them."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from regbench.console import console as new_console
from regbench.records.epochs import read as read_epochs
from regbench.records.files import LOG

if TYPE_CHECKING:
    from regbench.records.rows import Epoch
    from regbench.records.run_status import RunStatus


HEADER = "    epoch        lr  train loss  acc %  val loss  acc %  images/s     time"
_TICK_SECONDS = 0.1  # between redraws
_ROOM = (60, 24)  # columns and lines of a terminal that has room for a chart
_FEWEST_EPOCHS = 3  # that make a curve


class Reporter:
    """Print to one console: `bar` (a live bar on a terminal), `plain` or `off`; `auto` chooses by the console."""

    _warned: ClassVar[set[str]] = set()

    def __init__(self, mode: str, console: Console | None = None, title: str = "") -> None:
        self.console = console or new_console()
        terminal = self.console.is_terminal and not self.console.is_dumb_terminal
        self.mode = ("bar" if terminal else "plain") if mode == "auto" else mode
        self._title, self._alone = title, not title
        self._images = self._epochs = 0
        self._seen = 0
        self._drawn = 0.0
        self._bar: Progress | None = None

    def say(self, text: str, style: str | None = None) -> None:
        """Print one line, however long; the title before the first one."""
        if self.mode != "off":
            if self._title:
                self.console.print(f"\n{self._title}", style="bold", markup=False, soft_wrap=True)
                self._title = ""
            self.console.print(text, style=style, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print one line on stderr, in every mode."""
        new_console(stderr=True).print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)

    def warn_once(self, text: str, key: str) -> None:
        """Print a line on stderr unless this process has printed one with that key: of a full disk each run would."""
        if key not in self._warned:
            self._warned.add(key)
            self.warn(text)

    def begin(self, about: str, images: int, epochs: int, finished: int) -> None:
        """Begin before the first epoch: what is trained, images per epoch, epochs in all and already finished."""
        self._images, self._epochs, self._seen = images, epochs, finished * images
        self.say(about)
        if finished:
            self.say(resuming(finished))
        self.say(HEADER, "bold")
        if self.mode == "bar":
            columns = (TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.fields[speed]}"))
            left = (TimeRemainingColumn(), TextColumn("left"))
            self._bar = Progress(*columns, *left, console=self.console, transient=True, expand=True)
            self._bar.add_task("", total=images * epochs, completed=self._seen, speed="")
            self._bar.start()

    def tick(self, images: int) -> None:
        """Count the images of a step."""
        self._seen += images
        if self._bar is None or (moment := time.monotonic()) - self._drawn < _TICK_SECONDS:
            return
        self._drawn = moment
        task = self._bar.tasks[0]
        speed = f"{task.speed:,.0f} images/s" if task.speed else ""
        epoch = min((self._seen - 1) // self._images + 1, self._epochs)
        self._bar.update(task.id, completed=self._seen, description=f"epoch {epoch}/{self._epochs}", speed=speed)

    def epoch(self, record: "Epoch") -> None:
        """Show an epoch of a run."""
        self.say(self.line(record))

    @property
    def fraction(self) -> float:
        """The share of the present epoch that is over."""
        return self._seen % self._images / self._images if self._images else 0.0

    def line(self, record: "Epoch") -> str:
        """Write an epoch in the columns of the header."""
        val_loss = "-" if record.val_loss is None else _loss(record.val_loss)
        val_acc = "-" if record.val_acc is None else f"{record.val_acc:.2%}"[:-1]
        return (
            f"{f'{record.epoch}/{self._epochs}':>9} {record.lr:>9.3g} {_loss(record.train_loss):>11} "
            f"{record.train_acc * 100:>6.2f} {val_loss:>9} {val_acc:>6} "
            f"{self._images / record.seconds:>9,.0f} {record.seconds:>6.2f} s"
        )

    def end(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def trained_already(self, status: "RunStatus") -> "RunStatus":
        """Say that a run is not trained again, and show its end."""
        self.say("already trained (force=true trains it again)")
        self.result(status)
        return status

    def result(self, status: "RunStatus") -> None:
        """Show the end of a run: its losses, its test figures, or why it has none, and where it is kept."""
        if self._alone and self.mode == "bar":
            self._draw_losses(status.path)
        result = status.result if status.state == "completed" else None
        if result is None:
            self.say(f"{status.state}: {status.error} ({LOG} has the rest)", "bold red")
        else:
            first, *rest = scores(result)
            self.say(first, "bold")
            for line in rest:
                self.say(line)
        self.say(str(status.path))

    def _draw_losses(self, run: Path) -> None:
        """Draw the losses of each epoch on a terminal that has room."""
        width, height = self.console.size
        if not self.console.is_terminal or width < _ROOM[0] or height < _ROOM[1]:
            return
        rows = read_epochs(run, completed=True)
        if len(rows) >= _FEWEST_EPOCHS:
            from regbench.tables import chart  # numpy takes a while to import

            chart.show_losses(rows, self.console)


def resuming(finished: int) -> str:
    """Say after which epoch a run resumes."""
    return f"resuming after epoch {finished}"


def scores(result: Mapping[str, Any]) -> list[str]:
    """Write the test figures of the chosen epoch and, if it is another one, those of the last."""
    chosen, last = result["best_val"], result["last"]
    how = "least validation loss" if chosen["val_loss"] is not None else "the last: no validation images"
    same = chosen["epoch"] == last["epoch"]
    how += ", and the last" if same and chosen["val_loss"] is not None else ""
    lines = [f"test accuracy {_score(chosen)} after epoch {chosen['epoch']} ({how})"]
    return lines if same else [*lines, f"              {_score(last)} after epoch {last['epoch']} (last)"]


def _score(figures: Mapping[str, Any]) -> str:
    return f"{figures['test_acc']:.2%}".replace("%", " %") + f", loss {figures['test_loss']:.4f},"


def _loss(value: float) -> str:
    """Write four decimals, or a power of ten where the column would not hold them."""
    return f"{value:.4f}" if abs(value) < 10_000 else f"{value:.2e}"
