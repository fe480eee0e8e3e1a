"""The command that draws: plot."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regbench.analysis.corrections import Correction
from regbench.cli import options
from regbench.cli.options import Command, split
from regbench.cli.output import warn_of_unreadable, write_file
from regbench.errors import UserError, no_such
from regbench.figures.choices import KINDS
from regbench.records.metrics import Selection

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FORMATS = ("png", "svg", "pdf")
_LOGS = ("x", "y", "xy")


class _Plot(Command):
    """A command whose help lists the kinds."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each kind with what it shows."""
        del ctx
        with formatter.section("Kinds"):
            formatter.write_dl(list(KINDS.items()))


@click.command(cls=_Plot)
@click.argument("words", nargs=-1, required=True, metavar="KIND... [DIRS]...")
@options.by
@click.option("--cols", multiple=True, metavar="KEY", help="A panel for each value of these keys; a heatmap's columns.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="As in summary; of curves any column of metrics.csv, or several: train_loss,val_loss.  "
    "[default: test_acc; curves: val_acc]",
)
@options.select
@options.where
@options.status
@options.baseline
@options.margin
@options.anytime
@options.correction
@options.tune
@options.shrink
@options.sort
@options.x
@click.option("--log", type=click.Choice(_LOGS), default=None, help="Logarithmic axes.")
@click.option("--each", is_flag=True, help="Draw each run as a thin line too.")
@click.option("--dark", is_flag=True, help="A dark background, for slides.")
@options.file_option("The picture: .png, .svg or .pdf. Of several kinds, each adds its name.  [default: KIND.png]")
def plot(
    words: tuple[str, ...],
    by: tuple[str, ...],
    cols: tuple[str, ...],
    metrics: tuple[str, ...],
    select: Selection,
    where: tuple[str, ...],
    statuses: tuple[str, ...],
    baseline: tuple[str, ...],
    margin: float | None,
    anytime: bool,
    correction: Correction,
    tune: tuple[str, ...],
    shrink: bool,
    sort: str | None,
    x: str,
    log: str | None,
    each: bool,
    dark: bool,
    file: Path | None,
) -> None:
    """Draw runs: curves, verdicts, layers, mistakes.

    DIRS hold them (default: runs): regbench plot forest runs/norms --baseline norm=none. The same runs, rows and
    numbers as in summary. The name of each file that is written is printed.
    """
    kinds, dirs = _divided(words)
    files = _files(kinds, file)
    against = options.against(baseline, margin, correction, anytime)

    from regbench.analysis.question import Question
    from regbench.figures import style
    from regbench.figures.fitting import check
    from regbench.figures.kinds import draw
    from regbench.figures.wishes import Wishes
    from regbench.records.frame import load
    from regbench.records.names import paths_of

    question = Question(
        load(paths_of(dirs)),
        split(by),
        split(cols),
        split(metrics),
        select,
        where,
        statuses,
        against,
        sort,
        split(tune),
        shrink,
    )
    wishes = Wishes(x, log or "", each)  # type: ignore[arg-type]
    check(list(files), question, wishes)
    contents = {}
    for kind, path in files.items():
        with style.applied(dark=dark):
            contents[path] = style.encoded(draw(kind, question, wishes, _test_images), path.suffix[1:].lower())
    for path, content in contents.items():  # after all are drawn: a mistake leaves no file
        write_file("--output", path, content)
        click.echo(path)
    warn_of_unreadable(question.runs)


def _divided(words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Divide the words into kinds, which come first, and directories.

    Raises:
        UserError: the first word is no kind.
    """
    kinds: list[str] = []
    rest = [part for word in words for part in ([word] if Path(word).exists() else split((word,)))]
    while rest and rest[0] in KINDS and not (kinds and Path(rest[0]).exists()):
        kinds.append(rest.pop(0))
    if not kinds:
        raise UserError(f"plot {rest[0]}: {no_such('kind', rest[0], 'plot', KINDS)}")
    if rest and not Path(rest[0]).exists() and "/" not in rest[0] and not _is_part_of_id(rest[0]):
        raise UserError(f"plot {rest[0]}: {no_such('kind or directory', rest[0], 'plot', KINDS)}")
    return list(dict.fromkeys(kinds)), rest


def _is_part_of_id(word: str) -> bool:
    return len(word) >= 4 and set(word) <= set("0123456789abcdef")


def _files(kinds: list[str], file: Path | None) -> dict[str, Path]:
    """Return the file of each kind: KIND.png, or the one that is named; of several kinds each adds its name.

    Raises:
        UserError: the ending is of no format.
    """
    if file is None:
        return {kind: Path(f"{kind}.png") for kind in kinds}
    ending = file.suffix[1:].lower()
    if ending not in _FORMATS:
        reason = no_such("format", ending, "the endings of pictures", _FORMATS) if ending else "the name has no ending"
        raise UserError(f"--output {file}: {reason}" + ("" if ending else f", such as .{', .'.join(_FORMATS)}"))
    if len(kinds) == 1:
        return {kinds[0]: file}
    return {kind: file.with_name(f"{file.stem}-{kind}{file.suffix}") for kind in kinds}


def _test_images(run: Mapping[str, object], test_set: str) -> "NDArray[np.uint8]":
    """Read the test images of a run.

    Raises:
        UserError: they are not those that the run was tested on.
    """
    from regbench.data.unpacked import mnist_test
    from regbench.records.predictions import fingerprint

    name = str(run["data"])
    if name == "mnist":
        images, labels = mnist_test()
    else:
        from regbench.config.location import cache_dir
        from regbench.data.datasets import load  # torch takes seconds to import

        path, cache = run.get("data.path"), run.get("runtime.cache")
        found = load(
            name, cache_dir(str(cache) if isinstance(cache, str) else None), path if isinstance(path, str) else None
        )
        images, labels = found.test_images.numpy(), found.test_labels.numpy()
    if fingerprint(images, labels) != test_set:
        raise UserError(f"plot mistakes: the test images of data={name} are not those that the runs were tested on")
    return images
