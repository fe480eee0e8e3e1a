"""docs/gallery.md and docs/pictures: every kind of picture, drawn from real runs: `scripts/gallery FOLDER`.

The sweeps train in FOLDER; what is trained there already stays, so that a second call only draws.
"""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from regbench.figures.choices import KINDS

DOCS = Path(__file__).resolve().parent.parent / "docs"
HEAD = """\
# Gallery

Every kind of picture, from real runs. Each section begins with the sweep that trains them, minutes at most on two
cores; below each picture's title is the command that draws it. [plots.md](plots.md) explains the options. This page and
its pictures are made by `scripts/gallery FOLDER`, which trains in that folder.
"""
DEEP = "data.train_size=1000 epochs=3 'model.hidden=[64,64,64,64,64,64,64,64,64,64]' runtime.threads=1"


class Picture(NamedTuple):
    """A picture of the page: its kind, what it shows, the words of its command, its file in docs/pictures."""

    kind: str
    shows: str
    words: str
    file: str

    def command(self, study: str) -> str:
        """The command that draws it from the runs of a study."""
        return f"regbench plot {self.kind} runs/{study} {self.words} -o {self.file}".replace("  ", " ")


class Sweep(NamedTuple):
    """A section of the page: a sweep and the pictures of its runs."""

    study: str
    title: str
    words: str
    pictures: tuple[Picture, ...]

    @property
    def command(self) -> str:
        """The command that trains its runs."""
        return f"regbench train -m {self.words} study={self.study}"


SWEEPS = (
    Sweep(
        "norms",
        "Five normalizations",
        "norm=none,batch,layer,rms,group 'seed=range(0,10)' data.train_size=2000",
        (
            Picture(
                "forest",
                "Each norm's difference from no norm, seed by seed, with its interval; the strip is the margin within "
                "which a difference does not matter.",
                "--baseline norm=none --margin 0.2",
                "forest.svg",
            ),
            Picture(
                "dots",
                "Every seed's accuracy, joined to that of the same seed without a norm: "
                "every line rises with batch norm.",
                "--baseline norm=none",
                "dots.svg",
            ),
            Picture("box", "How far seeds alone spread the accuracy of each norm.", "", "box.svg"),
            Picture(
                "cd",
                "The mean rank of each norm over the seeds; a bar joins norms that Nemenyi's test does not tell apart.",
                "",
                "cd.svg",
            ),
            Picture(
                "confusion",
                "Which digit is taken for which, and what batch norm changes about it: 4 is taken for 9 less often.",
                "--baseline norm=none --where \"norm in ['none', 'batch']\"",
                "confusion.svg",
            ),
            Picture(
                "mistakes",
                "The test images that a network with batch norm gets wrong more often than one without.",
                "--baseline norm=none --where \"norm in ['none', 'batch']\"",
                "mistakes.png",
            ),
            Picture(
                "histograms",
                "One run up close: batch norm brings what enters each activation to one scale, and the gradients "
                "shrink as training continues.",
                "--where norm=batch --where seed=0",
                "histograms.png",
            ),
        ),
    ),
    Sweep(
        "vanishing",
        "Ten hidden layers with sigmoid",
        f"init=normal,xavier,kaiming activation=sigmoid seed=0,1 optimizer=sgd {DEEP}",
        (
            Picture(
                "layers",
                "With sigmoid and xavier or kaiming the gradient vanishes on its way from the output back to the first "
                "layer: it is about 100,000 times as small there.",
                "--by init",
                "layers-sigmoid.svg",
            ),
        ),
    ),
    Sweep(
        "exploding",
        "Ten hidden layers with relu",
        f"init=normal,xavier,kaiming activation=relu seed=0,1 {DEEP}",
        (
            Picture(
                "layers",
                "With relu and weights of N(0, 1) the activations explode from layer to layer; with kaiming they "
                "keep their scale.",
                "--by init",
                "layers-relu.svg",
            ),
        ),
    ),
    Sweep(
        "dropout",
        "Rates of dropout on 1,000 images",
        "dropout=0,0.2,0.5 'seed=range(0,6)' data.train_size=1000 epochs=20 'model.hidden=[64,64]' runtime.threads=1",
        (
            Picture(
                "curves",
                "Without dropout the training loss keeps falling while the validation loss stays where it is: "
                "overfitting. With dropout the gap closes.",
                "--metric train_loss,val_loss --cols dropout --log y",
                "curves.svg",
            ),
        ),
    ),
    Sweep(
        "rates",
        "Learning rates × optimizers",
        "optimizer=sgd,adam,rmsprop optimizer.lr=1e-4,1e-3,1e-2,1e-1,1 seed=0,1,2 data.train_size=1000 "
        "'model.hidden=[64,64]' runtime.threads=1",
        (
            Picture(
                "sensitivity",
                "Each optimizer has a rate of its own: sgd is best at one ten to a hundred times adam's. A ring "
                "marks the default.",
                "--by optimizer.lr optimizer",
                "sensitivity.svg",
            ),
            Picture(
                "filters",
                "What the first layer looks for, as images: at adam's default rate the weights stay near the noise "
                "that they begin with, at ten times the rate shapes appear, at a hundred times blots.",
                "--where optimizer=adam --where 'optimizer.lr in [0.001, 0.01, 0.1]'",
                "filters.png",
            ),
        ),
    ),
    Sweep(
        "together",
        "Norms × learning rates",
        "norm=none,batch,layer optimizer=sgd optimizer.lr=0.01,0.1,0.5 'seed=range(0,4)' data.train_size=1000 "
        "'model.hidden=[64,64]' runtime.threads=1",
        (
            Picture(
                "heatmap",
                "The accuracy of each pair of norm and learning rate.",
                "--rows norm --cols optimizer.lr",
                "heatmap.svg",
            ),
            Picture(
                "effects",
                "Which key matters: the share of the variance that norm, rate and the two together explain.",
                "",
                "effects.svg",
            ),
            Picture(
                "interaction",
                "Lines that are not parallel: with a norm the network learns at a rate at which it fails without.",
                "--by optimizer.lr norm",
                "interaction.svg",
            ),
        ),
    ),
    Sweep(
        "schedules",
        "Schedules",
        "scheduler=constant,exponential,step,cosine,one_cycle optimizer=sgd data.train_size=1000 epochs=10 "
        "'model.hidden=[64,64]' runtime.threads=1",
        (Picture("lr", "The learning rate that each schedule sets, epoch by epoch.", "", "lr.svg"),),
    ),
)


def page() -> str:
    """Write the page."""
    return "\n".join([HEAD, *(line for sweep in SWEEPS for line in _section(sweep))])


def _section(sweep: Sweep) -> Iterator[str]:
    yield f"## {sweep.title}\n\n    {sweep.command}\n"
    for picture in sweep.pictures:
        yield f"### {picture.kind}\n\n{picture.shows}\n\n    {picture.command(sweep.study)}\n"
        yield f"![{KINDS[picture.kind]}](pictures/{picture.file})\n"


def _run(command: str, folder: Path) -> None:
    words = shlex.split(command)[1:]
    print(command, flush=True)
    subprocess.run([sys.executable, "-m", "regbench", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Train the sweeps in FOLDER, draw each picture into docs/pictures, and write docs/gallery.md."""
    folder.mkdir(parents=True, exist_ok=True)
    (DOCS / "pictures").mkdir(exist_ok=True)
    for sweep in SWEEPS:
        _run(sweep.command, folder)
        for picture in sweep.pictures:
            _run(picture.command(sweep.study), folder)
            shutil.copyfile(folder / picture.file, DOCS / "pictures" / picture.file)
    (DOCS / "gallery.md").write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
