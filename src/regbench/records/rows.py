"""What the tables of a run hold: an epoch, a layer, a step of pre-training."""

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Rights = NDArray[np.bool_]  # which test images are classified rightly
Classes = NDArray[np.integer[Any]]  # of test images, from 0


@dataclass(frozen=True)
class LayerFigures:
    """One row of layers.csv, None where a column makes no sense.

    A layer is an affine one with everything up to the next affine one.

    Features and gradient are of `IMAGES` training images, the same in each epoch and not augmented, in training mode
    with the weights after the epoch; nothing is dropped. Standard deviations are over all values (divisor n).
    """

    epoch: int  # from 1
    layer: str
    before_mean: float  # over images, units and pixels: of the norm's input, or else of the affine layer's output
    before_std: float
    after_mean: float | None = None  # of the norm's output
    after_std: float | None = None
    dead: float | None = None  # share of relu's units (channels of feature maps) that are 0 for every image and pixel
    saturated: float | None = None  # share of sigmoid's or tanh's outputs whose slope is below FLAT of the greatest
    grad_norm: float | None = None  # 2-norm over the layer's parameters; of the whole loss, before clipping
    weight_norm: float | None = None  # 2-norm, without bias and norm; as the next two
    near_zero: float | None = None  # share of weights within ±NEAR_ZERO
    update_ratio: float | None = (
        None  # ‖Δw‖ / ‖w‖ of the epoch's last step, w before it; of everything that moves weights
    )


Quantity = Literal["before", "after", "weight", "gradient"]
BINS = 64


class Histogram(NamedTuple):
    """How the values of a layer are spread after an epoch: BINS equal bins from `low` to `high`.

    The ends are the least and the greatest value, or five standard deviations from the mean where that is nearer; what
    lies beyond is counted in the outermost bins.
    """

    epoch: int  # from 1
    layer: str
    quantity: Quantity  # features before and after the norm, as in `LayerFigures`; weights and their gradient
    low: float
    high: float
    counts: NDArray[np.integer[Any]]  # [BINS]


@dataclass(frozen=True)
class Epoch:
    """One row of metrics.csv. Losses are mean cross-entropies without the penalty, accuracies fractions."""

    epoch: int  # from 1
    lr: float
    train_loss: float  # running mean over the epoch's batches, like train_acc
    train_acc: float
    val_loss: float | None  # over all validation images after the epoch; None without any
    val_acc: float | None
    gap: float | None  # of generalization: val_loss - train_loss
    penalty: float  # mean over the steps, like grad_norm and clipped
    grad_norm: float  # before clipping
    clipped: float  # share of the steps whose gradient was clipped
    weight_norm: float  # after the epoch
    seconds: float  # training and validation

    @property
    def diverged(self) -> bool:
        """Whether a loss stopped being finite."""
        return not all(math.isfinite(loss) for loss in (self.train_loss, self.penalty, self.val_loss or 0.0))


class Progress(NamedTuple):
    """One row of pretrain.csv."""

    layer: str  # dense1
    step: int  # rbm: the epoch, from 1; lsuv: how often the weights have been rescaled
    figure: str  # what the value is: reconstruction_error (rbm, mean over the epoch) or variance (lsuv, of the outputs)
    value: float

    def __str__(self) -> str:
        """`dense1, step 3: reconstruction_error 0.01532`, as train.log has it."""
        return f"{self.layer}, step {self.step}: {self.figure} {self.value:.5f}"
