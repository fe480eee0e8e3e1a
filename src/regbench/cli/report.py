"""The command that writes one page to hand out: report."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regbench.analysis.corrections import Correction
from regbench.cli import options
from regbench.cli.options import Command, split
from regbench.cli.output import warn_of_unreadable, write_file
from regbench.errors import UserError, no_such
from regbench.records.metrics import Selection

if TYPE_CHECKING:
    from regbench.report.content import Content

_ENDINGS = {"html": "html", "htm": "html", "md": "md"}


@click.command(cls=Command)
@options.dirs
@options.by
@click.option("--cols", multiple=True, metavar="KEY", help="Spread these keys across columns; adds a heat map.")
@click.option("--metric", default="test_acc", show_default=True, metavar="NAME", help="As in summary.")
@options.select
@options.where
@options.status
@options.baseline
@options.margin
@options.anytime
@options.correction
@options.sort
@click.option("--to", type=click.Choice(["html", "md"]), help="md: Markdown, pictures beside it.  [default: html]")
@options.file_option("[default: report.html or report.md]")
def report(
    dirs: tuple[str, ...],
    by: tuple[str, ...],
    cols: tuple[str, ...],
    metric: str,
    select: Selection,
    where: tuple[str, ...],
    statuses: tuple[str, ...],
    baseline: tuple[str, ...],
    margin: float | None,
    anytime: bool,
    correction: Correction,
    sort: str | None,
    to: str | None,
    file: Path | None,
) -> None:
    """Write one page on runs: answer, table, pictures.

    DIRS hold the runs (default: runs). The page has the question, the answer, the table, pictures and origins. One HTML
    file that loads nothing. Without --baseline, rows are compared with the default run if there is one. The names of
    the files are printed.
    """
    chosen, path = _format(to, file)
    against = options.against(baseline, margin, correction, anytime)

    from regbench.analysis.question import Question
    from regbench.records.frame import load
    from regbench.records.names import paths_of
    from regbench.report.content import gather

    runs = load(paths_of(dirs))
    question = Question(runs, split(by), split(cols), [metric], select, where, statuses, against, sort)
    content = gather(question, shlex.join(["regbench", *sys.argv[1:]]))
    for name, bytes_ in _files(content, chosen, path).items():
        write_file("--output", name, bytes_)
        click.echo(name)
    warn_of_unreadable(runs)


def _files(content: "Content", chosen: str, path: Path) -> Mapping[Path, bytes]:
    """Return the bytes of each file of a report."""
    if chosen == "html":
        from regbench.report.page import page

        return {path: page(content)}
    from regbench.report.markdown import files

    return files(content, path)


def _format(to: str | None, file: Path | None) -> tuple[str, Path]:
    """Return the format and the file: what --to says, or else the ending.

    Raises:
        UserError: the ending is of no format, or of another one than --to.
    """
    if file is None:
        return to or "html", Path(f"report.{to or 'html'}")
    ending = file.suffix[1:].lower()
    if ending not in _ENDINGS:
        known = no_such("format", ending, "the endings of reports", set(_ENDINGS.values()))
        reason = known if ending else "the name has no ending"
        raise UserError(f"--output {file}: {reason}")
    if to and _ENDINGS[ending] != to:
        raise UserError(f"--output {file}: the ending means {_ENDINGS[ending]}, and --to {to} another format")
    return _ENDINGS[ending], file
