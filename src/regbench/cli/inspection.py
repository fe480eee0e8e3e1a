"""The commands that look into runs: explain, show, diff, reproduce."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regbench.cli import options
from regbench.cli.options import Command, split
from regbench.cli.output import format_of, warn_of_unreadable
from regbench.cli.runs import put
from regbench.errors import FAILED, UserError
from regbench.tables.choices import RUN_LIST_FORMATS
from regbench.text import printable

if TYPE_CHECKING:
    from regbench.experiment.reproduce import Outcome


@click.command(cls=Command)
@click.argument("words", nargs=-1, required=True, metavar="KEY=VALUE... [DIRS]...")
@click.option("--long", is_flag=True, help="Show of each run its command, versions and machine too.")
@options.tune
@options.output_format(*RUN_LIST_FORMATS)
@options.output_file
def explain(words: tuple[str, ...], long: bool, tune: tuple[str, ...], output: str | None, file: Path | None) -> None:
    """Show the runs behind a cell of a table.

    A cell is norm=batch init=xavier, say. Its runs have their figures, the mean and the commit; csv and json hold the
    commands, versions and machines as well.
    """
    from regbench.analysis.baseline import spec
    from regbench.records.frame import load
    from regbench.records.names import run_path_of
    from regbench.tables import cell

    wanted = [word for word in words if "=" in word]
    dirs = [run_path_of(word) for word in words if "=" not in word]
    if not wanted:
        places = " ".join(str(path) for path in dirs if path.is_dir()) or "runs"
        raise UserError(f"explain {words[0]}: needs a cell, as in norm=batch. To list all runs: regbench ls {places}")
    runs = load(dirs or ("runs",))
    found = cell.runs_behind(runs, spec(wanted, option=""), split(tune))
    warn_of_unreadable(runs)
    writers = {"table": cell.to_lines if long else cell.to_table, "csv": cell.to_csv, "json": cell.to_json}
    put(writers[format_of(output, file, list(writers))](found), file)


@click.command(cls=Command)
@click.argument("first")
@click.argument("second")
@click.option("--long", is_flag=True, help="Show all figures, and the arguments of options that differ.")
@options.output_format(*RUN_LIST_FORMATS)
@options.output_file
def diff(first: str, second: str, long: bool, output: str | None, file: Path | None) -> None:
    """Show how two runs differ: config, data, versions, figures."""
    from regbench.console import console
    from regbench.records.names import run_path_of
    from regbench.tables import difference

    differing = difference.between(run_path_of(first), run_path_of(second))
    chosen = format_of(output, file, ["table", *RUN_LIST_FORMATS])
    if chosen == "table":
        terminal = console()
        with terminal.capture() as captured:
            difference.show(differing, terminal, long)
        put(captured.get(), file)
    else:
        put(getattr(difference, RUN_LIST_FORMATS[chosen])(differing), file)


@click.command(cls=Command)
@click.argument("run")
@options.output_format("json")
@options.output_file
def show(run: str, output: str | None, file: Path | None) -> None:
    """Show RUN up close.

    What it changes, its curves, figures, classes and layers with hints, its time and command.
    """
    from regbench.console import console
    from regbench.experiment.reporter import scores
    from regbench.records.names import run_path_of
    from regbench.records.run_status import RunStatus
    from regbench.tables import run_document, run_page

    chosen = format_of(output, file, ["table", "json"])
    page = run_page.read(run_path_of(run))
    if chosen == "json":
        put(run_document.to_json(page), file)
        return
    result = RunStatus.read(page.path, page.record.identity).result
    terminal = console()
    with terminal.capture() as captured:
        run_page.show(page, scores(result) if result else [], terminal)
    put(captured.get(), file)


@click.command(cls=Command)
@click.argument("run")
@options.output_format("json")
@options.output_file
def reproduce(run: str, output: str | None, file: Path | None) -> None:
    """Retrain RUN and check that every number matches.

    It is trained in a temporary folder. The exit code is 1 if a number differs.
    """
    from regbench.records.names import check_is_run, run_path_of

    check_is_run(run_path_of(run))  # before torch is imported
    from regbench.experiment.reporter import Reporter
    from regbench.experiment.reproduce import reproduce as again
    from regbench.tables import as_json

    chosen = format_of(output, file, ["table", "json"])
    outcome = again(run_path_of(run), Reporter("plain" if chosen == "table" and file is None else "off"))
    if chosen == "json":
        put(as_json.document("reproduce", outcome.finite()), file)
    else:
        put(_words(outcome), file)
    if outcome.verdict == "different":
        sys.exit(FAILED)


def _words(outcome: "Outcome") -> str:
    """Say how the two runs compare, and where they differ first."""
    images = f", {outcome.flipped:,} of {outcome.images:,} test images classified differently" if outcome.images else ""
    lines = [f"{outcome.verdict}: {outcome.figures} figures compared{images}"]
    if outcome.first:
        limit = f"largest relative difference {outcome.largest:.2g} (limit {outcome.limit:g})"
        lines.append(f"first at {printable(outcome.first)}; {limit}")
    return "\n".join(lines) + "\n"
