"""The commands about regbench itself: info, options."""

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
    """Show versions, machine, data, places and extras.

    Paste them into a report of a fault.
    """
    from regbench.experiment.installation import installation
    from regbench.tables import as_json, sections

    known = installation()
    writers = {"table": lambda: sections.to_text(known), "json": lambda: as_json.document("info", known)}
    put(writers[format_of(output, file, list(writers))](), file)


@click.command("options", cls=Command)
@click.argument("axis", metavar="AXIS")
@options.output_format("json")
@options.output_file
def axis_options(axis: str, output: str | None, file: Path | None) -> None:
    """List what can be chosen on an AXIS.

    Each option has its arguments, with defaults and ranges.
    """
    from regbench.config.location import config_dir, user_config_dirs
    from regbench.config.vocabulary import Vocabulary
    from regbench.experiment.catalogue import choices
    from regbench.tables import choice_list

    found = choices(axis, Vocabulary([*user_config_dirs(), config_dir()]))
    writers = {"table": choice_list.to_text, "json": choice_list.to_json}
    put(writers[format_of(output, file, list(writers))](axis, found), file)
