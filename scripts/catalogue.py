"""Train every option of every axis on both models: a run, or the line that refuses it.

`scripts/catalogue > docs/catalogue.md` makes that page.
"""

import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from regbench.cli import train
from regbench.config.run_config import AXES
from regbench.experiment.checks import registries
from regbench.records.files import RUN

HEAD = """\
# Every option at a glance

Test accuracy in % after one epoch on 2,000 images: every option trains on both models or says why not. It is no
measure of an option's worth. In 20 steps a schedule by epoch does not yet change the rate, and what slows the start
(dropout, sigmoid, far too large or equal weights, radam's rectification, plain SGD in the cnn) is still near guessing,
10 %. A refused option has its line below the table.

Made by `scripts/catalogue{overrides} > docs/catalogue.md`: for each option

    regbench train model=M AXIS=OPTION epochs=1 data.train_size=2000{overrides}
"""
_FEW = {"epochs": "1", "data.train_size": "2000", "runtime.progress": "off"}
_VALUES = (  # techniques that are no axis
    *("dropout=0.5", "dropout_conv=0.2", "norm=batch norm_position=post", "label_smoothing=0.1", "max_norm=1"),
    *("norm=group norm.groups=4", "clip_norm=0.1", "clip_norm=0.1 clip_norm_type=inf", "clip_value=0.01"),
)


@click.command()
@click.option("--axis", "axes", multiple=True, type=click.Choice([*AXES[1:], "values"]), help="Only this axis.")
@click.option("--model", "models", multiple=True, type=click.Choice([*registries()["model"]]), help="Only this one.")
@click.argument("overrides", nargs=-1)
def main(axes: tuple[str, ...], models: tuple[str, ...], overrides: tuple[str, ...]) -> None:
    """Train each option for one epoch on 2,000 images with OVERRIDES; exit code 1 if a run failed."""
    models = models or tuple(registries()["model"])
    chosen = [words for axis, words in choices() if not axes or axis in axes]
    few = [f"{key}={value}" for key, value in (_FEW | dict(word.split("=", 1) for word in overrides)).items()]
    cells = {(words, model): "" for words in chosen for model in models}
    errors = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (words, model) in enumerate(track(cells, "training", console=Console(stderr=True), transient=True)):
            place = (f"runtime.dir={folder}", f"study=cell{number}")
            result, error = trained([f"model={model}", *words.split(), *few, *place], Path(folder))
            cells[words, model] = result
            errors += [f"- `model={model} {words}` {error}"] * bool(error)
    click.echo(HEAD.format(overrides="".join(f" {word}" for word in overrides)))
    click.echo(f"| option | {' | '.join(models)} |\n|---|{'---:|' * len(models)}")
    for words in chosen:
        click.echo(f"| `{words}` | {' | '.join(cells[words, model] for model in models)} |")
    click.echo("\n".join(["", *errors]))
    sys.exit("failed" in cells.values())


def choices() -> Iterator[tuple[str, str]]:
    """Each axis with each of its options as an override, and the techniques that are values."""
    for axis, registry in registries().items():
        if axis != "model":
            yield from ((axis, f"{axis}={name}") for name in registry)
    yield from (("values", words) for words in _VALUES)


def trained(arguments: list[str], folder: Path) -> tuple[str, str]:
    """Train one run in this process: its test accuracy, or how it ended, and the line that says why."""
    stderr = io.StringIO()
    try:
        with contextlib.redirect_stderr(stderr):
            train.train(arguments)
    except SystemExit as end:
        if end.code == 2:
            return "refused", stderr.getvalue().splitlines()[-1]
    study = arguments[-1].removeprefix("study=")
    (path,) = (folder / study).glob(f"*/{RUN}")
    record = json.loads(path.read_bytes())
    if record["status"] != "completed":
        return record["status"], record["error"]
    return f"{record['result']['last']['test_acc']:.2%}"[:-1], ""


if __name__ == "__main__":
    main()
