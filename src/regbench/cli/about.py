"""The commands about regbench itself: info."""

from pathlib import Path

import click

from regbench.cli import options
from regbench.cli.options import Command
from regbench.cli.output import format_of
from regbench.cli.runs import put


@click.command(cls=Command)
@options.output_format("json")
@options.output_file
def info(output: str | None, file: Path | None) -> None:
    """Show versions, machine, data, places and extras: paste them into a report of a fault."""
    from regbench.experiment.installation import installation
    from regbench.tables import as_json, sections

    known = installation()
    writers = {"table": lambda: sections.to_text(known), "json": lambda: as_json.document("info", known)}
    put(writers[format_of(output, file, list(writers))](), file)
