"""The click group of all commands except train."""

import sys
from typing import Any

import click

from regbench.cli.about import axis_options, info
from regbench.cli.commands import effects, summary
from regbench.cli.completion import completion
from regbench.cli.curves import curves
from regbench.cli.inspection import diff, explain, reproduce, show
from regbench.cli.mistakes import line_of
from regbench.cli.plot import plot
from regbench.cli.report import report
from regbench.cli.runs import ls, rm
from regbench.cli.studies import note, studies
from regbench.cli.use import export, predict
from regbench.cli.watch import watch
from regbench.errors import INTERRUPTED, UserError, leave, no_such

_FIRST = """\
regbench train norm=batch                              train a run; regbench train --help: what can be set
regbench train -m norm=none,batch 'seed=range(0,6)'    train every combination
regbench summary --baseline norm=none                  compare the runs
regbench ls                                            list the runs
regbench --help                                        all commands; regbench options norm: what an axis offers"""
_OF_TRAIN = ("-m", "--multirun", "--plan", "--cfg", "-c")


class _Commands(click.Group):
    """A click group that shows a mistake as one line on stderr with exit code 2, as train does."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command and leave with its exit code."""
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.Abort:
            sys.exit(INTERRUPTED)
        except click.ClickException as error:
            leave(line_of(error))
        except UserError as error:
            leave(str(error))
        except RuntimeError as error:
            if "lost sys.std" not in str(error):
                raise
            leave("cannot ask: there is no standard input. Add --yes to remove without a question")
        sys.exit(code or 0)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse what belongs behind `train`."""
        if args and ("=" in args[0].lstrip("-") or args[0] in _OF_TRAIN):
            raise UserError(f"{args[0]}: a command comes first: regbench train {' '.join(args)}")
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command.

        Raises:
            UserError: there is no such command.
        """
        if self.get_command(ctx, args[0]) is None:
            raise UserError(no_such("command", args[0], "regbench", self.list_commands(ctx)))
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="regbench", prog_name="regbench", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Which training technique helps, by how much, and is the difference real?"""
    if context.invoked_subcommand is None:
        click.echo(_FIRST)


@click.command("help")
@click.argument("command", required=False)
@click.pass_context
def _help(context: click.Context, command: str | None) -> None:
    """Show this text, or the help of a COMMAND."""
    parent = context.parent
    assert parent is not None
    if command is None:
        click.echo(parent.get_help())
    else:
        main.main([command, "--help"])


# `cli.main` hands train to Hydra before click sees it; it is here for the help.
_train = click.Command("train", help="Train one run, or with -m a sweep: see regbench train --help.")
for _command in (
    _train,
    ls,
    rm,
    studies,
    note,
    summary,
    watch,
    curves,
    plot,
    report,
    effects,
    explain,
    show,
    diff,
    reproduce,
    export,
    predict,
    axis_options,
    info,
    completion,
    _help,
):
    main.add_command(_command)
