"""The click group of all commands except train."""

import sys
from typing import Any

import click

from regbench.cli.commands import effects, summary
from regbench.cli.inspection import diff, explain, reproduce
from regbench.cli.runs import ls, rm
from regbench.errors import INTERRUPTED, MISTAKE, UserError


class _Commands(click.Group):
    """A click group that shows a mistake as one line on stderr with exit code 2, as train does."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command and leave with its exit code."""
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.Abort:
            sys.exit(INTERRUPTED)
        except (click.ClickException, UserError) as error:
            message = error.format_message() if isinstance(error, click.ClickException) else str(error)
            click.echo(f"error: {' '.join(message.split())}", err=True)
            sys.exit(MISTAKE)
        sys.exit(code or 0)


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="regbench", prog_name="regbench", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Which training technique helps, by how much, and is the difference real?"""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


# `cli.main` hands train to Hydra before click sees it; it is here for the help.
_train = click.Command("train", help="Train one run, or with -m a sweep: see regbench train --help.")
for _command in (_train, ls, rm, summary, effects, explain, diff, reproduce):
    main.add_command(_command)
