"""The commands that use what a run has trained: predict, export."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from regbench.cli import options
from regbench.cli.options import Command
from regbench.cli.output import format_of, is_standard, write_file
from regbench.cli.runs import put
from regbench.config.trackers import TRACKERS
from regbench.errors import FAILED, UserError, leave
from regbench.tables.choices import RUN_LIST_FORMATS
from regbench.text import plural

if TYPE_CHECKING:
    from regbench.experiment.prediction import Invert

_ENDINGS = {"onnx": "onnx", "torchscript": "pt", "safetensors": "safetensors"}
_PLACES = f"  [default: {', '.join(TRACKERS.values())}]"


@click.command(cls=Command)
@click.argument("run")
@click.argument("images", nargs=-1, required=True)
@click.option(
    "--invert",
    type=click.Choice(["auto", "yes", "no"]),
    default="auto",
    show_default=True,
    help="Turn dark on light into light on dark, as MNIST is; auto: where the border is light.",
)
@click.option(
    "--seen",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw what the network saw into a .png, .svg or .pdf file.",
)
@options.output_format(*RUN_LIST_FORMATS)
@options.output_file
def predict(
    run: str, images: tuple[str, ...], invert: "Invert", seen: Path | None, output: str | None, file: Path | None
) -> None:
    """Classify IMAGES with the network of RUN.

    IMAGES are files or folders. Shown are the likeliest classes and their probabilities. Any image will do: it is
    turned upright, made grey and resized to 28×28. csv and json hold every class.
    """
    from regbench.records.names import check_is_run, run_path_of

    check_is_run(run_path_of(run))  # before torch is imported
    from regbench.experiment.prediction import predict as answers_of
    from regbench.experiment.trained import load_model
    from regbench.tables import answers

    chosen = format_of(output, file, ["table", *RUN_LIST_FORMATS])
    if seen and seen.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"--seen {seen}: the ending must be .png, .svg or .pdf")
    found = answers_of(load_model(run_path_of(run)), images, invert)
    if seen:
        from regbench.figures import seen as pictures
        from regbench.figures import style

        with style.applied():
            titles = [(answer.pixels, f"{name} {share:.0%}") for answer in found for name, share in answer.ranking[:1]]
            write_file("--seen", seen, style.encoded(pictures.draw(titles, run), seen.suffix.removeprefix(".")))
    put(answers.to_table(found) if chosen == "table" else getattr(answers, RUN_LIST_FORMATS[chosen])(found), file)


@click.command(cls=Command)
@click.argument("dirs", nargs=-1, metavar="[RUN or DIRS]...")
@click.option(
    "--to",
    "kind",
    type=click.Choice([*TRACKERS, *_ENDINGS]),
    required=True,
    help="A tracker, or a format of a network.",
)
@click.option("--store", metavar="PLACE", help=f"Where the tracker keeps it: a folder; of mlflow an address.{_PLACES}")
@options.file_option("The file of a network.  [default: the run's name with the ending of the format]")
def export(dirs: tuple[str, ...], kind: str, store: str | None, file: Path | None) -> None:
    """Write runs into a tracker, or the network of RUN into a file.

    A tracker gets configs, figures of epochs and layers, final figures and status of all runs below DIRS (default:
    runs), those that are training too. Again adds only what is new. A network takes pixels [n, 28, 28] from 0 to 255.
    """
    if kind in _ENDINGS:
        if store:
            raise UserError(f"--store {store}: is for trackers: {', '.join(TRACKERS)}")
        _export_weights(dirs, kind, file)
    elif file:
        raise UserError(f"--output {file}: is for networks: {', '.join(_ENDINGS)}. A tracker has --store")
    else:
        _tell(dirs, kind, store)


def _tell(dirs: tuple[str, ...], kind: str, place: str | None) -> None:
    from regbench.records.names import paths_of
    from regbench.trackers import export as exports

    opened = exports.store(kind, place)
    try:
        told = exports.export(paths_of(dirs), opened)
    except UserError:
        raise
    except Exception as error:  # whatever the tracker raises
        leave(f"{kind}: {opened.place} cannot be written: {type(error).__name__}: {error}", FAILED)
    new = f"{plural(told.runs, 'new run')}, {plural(told.epochs, 'new epoch')} of {plural(told.seen, 'run')}"
    click.echo(f"{opened.place}: {new}")


def _export_weights(dirs: tuple[str, ...], kind: str, file: Path | None) -> None:
    """Write the network of one run into a file, and say which."""
    from regbench.records.names import check_is_run, run_path_of

    if len(dirs) != 1:
        raise UserError(f"export --to {kind}: needs one run, not {len(dirs) or 'none'}: regbench ls lists them")
    if file is not None and is_standard(file):
        raise UserError(f"{kind} is binary: --output must be a file")
    run = run_path_of(dirs[0])
    check_is_run(run)
    from regbench.experiment.trained import load_model  # torch takes a second to import
    from regbench.experiment.weights_export import encode

    content = encode(load_model(run), kind)
    path = file or Path(f"{run.name}.{_ENDINGS[kind]}")
    write_file("--output", path, content)
    click.echo(f"{path}: {len(content):,} bytes")
