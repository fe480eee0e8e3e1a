"""A data set as one run sees it: uint8 tensors on the device, split by seed, batches by index."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from regbench.config.registry import Option, Share
from regbench.data.datasets import DATASETS, load, load_on
from regbench.errors import UserError
from regbench.images import LEVELS, WHITE, Images
from regbench.rng import Stream, generator

_Scaling = Literal["none", "unit", "standard"]


@dataclass(frozen=True, eq=False)
class Split(Images):
    """A data set as one run sees it: rows to train on, others to validate on; pixels become pixel · scale + shift."""

    train: Tensor  # int64 rows of train_images; a smaller train_size takes the first of them
    val: Tensor  # int64 rows of train_images, none of them in train
    scale: float
    shift: float

    def sees_as(self, other: "Split") -> bool:
        """Whether a row of the training images gives both the same image and label."""
        same = self.train_images is other.train_images and self.train_labels is other.train_labels
        return same and (self.scale, self.shift) == (other.scale, other.shift)

    def batch(self, rows: Tensor, changed: Callable[[Tensor], Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Scaled images [..., 28, 28] and labels [...] of rows [...] of the training images.

        `changed` turns the raw pixels, floats [N, 28, 28], into what the model sees instead, of the same shape.
        """
        flat = rows.flatten()  # index_select takes a sixth of the time of train_images[rows] on a CPU
        images = self.train_images.index_select(0, flat)
        if changed is not None:
            images = changed(images.float())
        labels = self.train_labels.index_select(0, flat)
        return self.scaled(images.view(*rows.shape, *images.shape[1:])), labels.view(rows.shape)

    def scaled(self, images: Tensor) -> Tensor:
        """What the model sees of uint8 images of any shape: float32."""
        # one pass over the pixels where .to(float32).mul_().add_() takes three: half the time
        return torch.add(torch.tensor(self.shift), images, alpha=self.scale)


def load_split(option: Option, seed: int, device: torch.device, cache: Path) -> Split:
    """Load the chosen data set to a device, split and scaled as the option's arguments say.

    Raises:
        UserError: files that are damaged or cannot be downloaded; more images are asked for than there are.
    """
    args = {key: value for key, value in option.args.items() if key != "path"}
    return prepare(load_on(device, option.name, cache, option.args.get("path")), seed, **args)


def training_size(option: Option, cache: Path) -> int:
    """The number of images that the option's arguments leave to train on.

    Raises:
        UserError: as `load_split`.
    """
    available = len(load(option.name, cache, option.args.get("path")).train_labels)
    val_size, train_size = option.args["val_size"], option.args["train_size"]
    _check_sizes(val_size, train_size, available)
    return int(available - val_size if train_size is None else train_size)


def prepare(
    images: Images,
    seed: int,
    *,
    val_size: NonNegativeInt,
    train_size: PositiveInt | None,
    scaling: _Scaling,
    mean: float | None,
    std: PositiveFloat | None,
    label_noise: Share,
) -> Split:
    """Split off validation images and fix the scaling; `mean` and `std` are of pixels in [0, 1], null computes them.

    `label_noise` is the share of the images trained on whose label is wrong; those to validate on keep theirs.

    Validation is the end of one stratified order of the training images and training its beginning: neither
    `train_size` nor the scaling moves a validation image.

    Raises:
        UserError: more images are asked for than there are.
    """
    labels = images.train_labels
    _check_sizes(val_size, train_size, len(labels))
    last = len(labels) - val_size
    rows = stratified_order(labels.cpu(), seed).to(labels.device)
    train = rows[: last if train_size is None else train_size]
    scale, shift = affine(images.train_images, train, scaling, mean, std)
    given = vars(images) | {"train_labels": noisy(labels, train, seed, label_noise)}
    return Split(**given, train=train, val=rows[last:], scale=scale, shift=shift)


DATASETS.shared(prepare)  # as a decorator it would widen the type of prepare to that of the registry's functions


def _check_sizes(val_size: int, train_size: int | None, available: int) -> None:
    """Refuse to split off more images than there are, or to leave none to train on."""
    if val_size >= available:
        raise UserError(f"data.val_size={val_size}: must be below {available}, the number of training images")
    if train_size is not None and train_size > available - val_size:
        raise UserError(
            f"data.train_size={train_size}: must be at most {available - val_size}, "
            f"what data.val_size={val_size} leaves of {available} images"
        )


def stratified_order(labels: Tensor, seed: int) -> Tensor:
    """All rows in a random order; every prefix of it holds the classes in the proportions of the whole.

    Image r of the n of its class, in random order, goes to the place (r + ½) / n of the whole.
    """
    shuffled = torch.randperm(len(labels), generator=generator(seed, Stream.SPLIT))
    place = torch.empty(len(labels), dtype=torch.float64)
    for label in range(int(labels.max()) + 1):
        (members,) = torch.where(labels[shuffled] == label)
        place[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return shuffled[place.argsort(stable=True)]


def noisy(labels: Tensor, rows: Tensor, seed: int, share: float) -> Tensor:
    """The labels; in a share of the rows replaced by another class, each as likely.

    An image's place in the order of replacement and its wrong label depend on the seed alone: more noise keeps what
    less noise has replaced, whatever the number of rows.
    """
    if share == 0:
        return labels
    rng = generator(seed, Stream.LABEL_NOISE)
    classes = int(labels.max()) + 1
    places, steps = torch.rand(len(labels), generator=rng), torch.randint(1, classes, (len(labels),), generator=rng)
    chosen = rows[places.to(rows.device)[rows].argsort(stable=True)[: round(share * len(rows))]]
    wrong = (labels + steps.to(labels.device)) % classes
    return labels.index_copy(0, chosen, wrong[chosen])


def affine(
    images: Tensor, train: Tensor, scaling: _Scaling, mean: float | None, std: float | None
) -> tuple[float, float]:
    """Scale and shift of raw pixels: 0 to 255 as they are, to [0, 1], or (pixel / 255 − mean) / std."""
    if scaling == "none":
        return 1.0, 0.0
    if scaling == "unit":
        return 1 / WHITE, 0.0
    if mean is None or std is None:
        computed = moments(images.index_select(0, train))
        mean = computed[0] if mean is None else mean
        std = computed[1] if std is None else std
    return 1 / (WHITE * std), -mean / std


def moments(images: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of uint8 images' pixels, seen in [0, 1]; the latter is 1 where all are equal.

    The histogram's counts are exact, so that every device finds the same numbers.
    """
    counts = torch.bincount(images.flatten(), minlength=LEVELS).cpu().to(torch.float64)
    share = counts / counts.sum()
    levels = torch.arange(LEVELS, dtype=torch.float64) / WHITE
    mean = share.dot(levels)
    std = share.dot((levels - mean).square()).sqrt()
    return mean.item(), std.item() or 1.0


def order(n: int, seed: int, epoch: int) -> Tensor:
    """The order, int64 [n], in which an epoch, counted from 0, goes through n training images."""
    return torch.randperm(n, generator=generator(seed, Stream.ORDER, epoch))
