"""The options that commands share, and how they are read."""

import errno
import os
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import click

from regbench.analysis.corrections import CORRECTIONS, Correction
from regbench.cli.words import EMPTY
from regbench.errors import UserError, no_such
from regbench.records.files import STATES
from regbench.records.metrics import SELECTIONS

if TYPE_CHECKING:
    from regbench.analysis.table import Against

GIVEN = "regbench.given"  # where a command's context keeps the values as they were typed
_MAY_BE_EMPTY = ("text",)  # of a note: it takes the text away
_Function = TypeVar("_Function", bound=Callable[..., Any])


class Command(click.Command):
    """A command that takes an option of one value once, and all keys that follow an option for keys.

    `--rows norm init --cols seed` is `--rows norm --rows init --cols seed`.
    """

    spread: ClassVar = ("--by", "--rows", "--cols", "--show", "--tune")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each further value: anything except an option, KEY=VALUE or a directory."""
        names = {name for option in self.params for name in option.opts} & set(self.spread)
        spread: list[str] = []
        option, first = "", False
        for word in map(_with_home, args):
            if word.startswith("-"):
                option, first = (word if word in names else ""), True
            elif option and not first:
                option = "" if "=" in word or Path(word).is_dir() else option
                spread += [option] if option else []
            else:
                first = False
            spread.append(word)
        self._check_dashes(ctx, spread)
        self._check_once(ctx, spread)
        self._check_filled(ctx)
        return super().parse_args(ctx, spread)

    def _check_dashes(self, ctx: click.Context, args: list[str]) -> None:
        """Raise UserError for `-sort`: click would read the options -s, -o, -r and -t."""
        short = {name for option in self.get_params(ctx) for name in option.opts if len(name) == 2}
        names = [name for option in self.get_params(ctx) for name in option.opts if name.startswith("--")]
        for before, word in pairwise(["", *args]):
            if re.match(r"-[a-z]{2,}", word) and word[:2] not in short and not before.startswith("-"):
                raise UserError(no_such("option", word.partition("=")[0], f"regbench {ctx.info_name}", names))

    def _check_once(self, ctx: click.Context, args: list[str]) -> None:
        """Raise UserError if an option that takes one value is given twice: click would drop the first."""
        try:
            ctx.meta[GIVEN], _, order = self.make_parser(ctx).parse_args(args=list(args))
        except click.UsageError as error:
            error.ctx = ctx  # which the line about the mistake names
            raise
        for option, times in Counter(order).items():
            if times > 1 and isinstance(option, click.Option) and not (option.multiple or option.is_flag):
                raise UserError(f"{max(option.opts, key=len)}: is given {times} times, and takes one value")

    def _check_filled(self, ctx: click.Context) -> None:
        """Raise UserError if a value is empty: `rm "$STUDY"` with an unset variable means no folder, not this one."""
        for parameter in self.params:
            given = ctx.meta[GIVEN].get(parameter.name)
            values = given if isinstance(given, list | tuple) else [given]
            if parameter.name not in _MAY_BE_EMPTY and any(isinstance(v, str) and not v.strip() for v in values):
                option = f"{parameter.opts[0]} " if isinstance(parameter, click.Option) else ""
                raise UserError(f"{option}'': {EMPTY}")


def _with_home(word: str) -> str:
    """Write `~/x` and `--csv=~/x` with the home folder, as a shell does not after an equals sign or within quotes."""
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return f"{option}{equals}{os.path.expanduser(value)}" if value.startswith("~") else word  # noqa: PTH111 - without an error


def choices_of(parameter: click.Parameter) -> list[str]:
    """Return the words that an option or argument allows; none where it takes any."""
    from regbench.config.run_config import AXES
    from regbench.figures.choices import KINDS

    if parameter.metavar == "AXIS":
        return list(AXES)
    if "KIND" in (parameter.metavar or ""):
        return list(KINDS)
    return list(parameter.type.choices) if isinstance(parameter.type, click.Choice) else []


def split(texts: tuple[str, ...]) -> list[str]:
    """Split the values of an option for several keys at commas and blanks."""
    return [key for text in texts for key in re.split(r"[,\s]+", text) if key]


dirs = click.argument("dirs", nargs=-1)
where = click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="Only runs for which it holds: norm=batch, or \"optimizer.lr<0.01 and norm!='none'\". Keys, study and "
    "figures; accuracies are fractions. All of several must hold.",
)
status = click.option(
    "--status", "statuses", multiple=True, type=click.Choice(STATES), help="Only runs that ended so; may be repeated."
)
select = click.option(
    "--select",
    type=click.Choice(sorted(SELECTIONS)),
    default="best_val",
    show_default=True,
    help="Which epoch to report: that of the best validation loss, or the last.",
)
by = click.option(
    "--by",
    "--rows",
    "by",
    multiple=True,
    metavar="KEY",
    help="Group by norm, optimizer.lr, seed, …: several with blanks or commas.  [default: what differs, seed aside]",
)
baseline = click.option(
    "--baseline",
    multiple=True,
    metavar="KEY=VALUE",
    help="Compare each row with the one that differs from it in this: norm=none. Several with commas. default: compare "
    "each row with the default run.",
)
margin = click.option(
    "--margin",
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    help="Differences smaller than this do not matter, in percentage points for accuracies: tests equivalence.",
)
correction = click.option(
    "--correction",
    type=click.Choice(CORRECTIONS),
    default="holm",
    show_default=True,
    help="For many comparisons: Holm, Benjamini-Hochberg, none.",
)
sort = click.option(
    "--sort",
    metavar="COLUMN",
    help="By a key, or by n, mean, best, worst, diff, p, won, verdict; -COLUMN reverses.  [default: best first]",
)
anytime = click.option(
    "--anytime",
    is_flag=True,
    help="With --baseline: p, intervals and verdicts that stay valid however often you look and add seeds.",
)
tune = click.option(
    "--tune",
    multiple=True,
    metavar="KEY",
    help="Show each row at its own best values of these keys, which validation on the seeds before a seed chooses.",
)
shrink = click.option(
    "--shrink", is_flag=True, help="Add means without what is luck: drawn to each other as far as noise explains them."
)
searched = click.option(
    "--searched",
    is_flag=True,
    help="Show intervals, p and verdicts even over runs that a search chose by the figures of others.",
)
x = click.option(
    "--x", type=click.Choice(["epoch", "step", "seconds"]), default="epoch", help="What the axis of curves counts."
)


def _reachable(_: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a file in a folder that there is not, before any work is done for it."""
    if path and not path.expanduser().parent.is_dir():
        raise UserError(f"{option.opts[0]} {path}: cannot be written: {os.strerror(errno.ENOENT)}")
    return path


csv_file = click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path),
    callback=_reachable,
    metavar="FILE",
    help="Write the table as CSV too; - is the standard output. null is written (null).",
)
decimal_comma = click.option(
    "--decimal-comma", is_flag=True, help="CSV with semicolons and decimal commas, for Excel where numbers have them."
)


def file_option(help: str) -> Callable[[_Function], _Function]:
    """Offer --output FILE, `-o` for short."""
    path = click.Path(path_type=Path)
    return click.option("--output", "-o", "file", type=path, metavar="FILE", callback=_reachable, help=help)


output_file = file_option(
    "Print into a file; without --format, its ending says the format: .txt .csv .md .tex .json .html .parquet."
)


def against(
    baseline: tuple[str, ...], margin: float | None, correction: Correction, anytime: bool = False
) -> "Against | None":
    """Return what --baseline, --margin, --correction and --anytime ask for.

    Raises:
        UserError: there is a margin or --anytime, and no baseline.
    """
    if margin is not None and not baseline:
        raise UserError(f"--margin {margin:g}: needs a --baseline to be equivalent to")
    if anytime and not baseline:
        raise UserError("--anytime: needs a --baseline, as it is about the verdicts")
    from regbench.analysis.table import Against  # scipy.special takes a while to import

    return Against(baseline, margin, correction, anytime) if baseline else None


def output_format(*formats: str) -> Callable[[_Function], _Function]:
    """Offer formats, by default a table in the terminal."""
    return click.option(
        "--format",
        "output",
        type=click.Choice(["table", *formats]),
        help="How to print the table; csv, json and parquet have full precision.  [default: table]",
    )
