"""A data set's images and labels in memory, and the values of a pixel."""

from dataclasses import dataclass

from torch import Tensor

SIDE = 28
LEVELS = 256  # of a uint8 pixel
WHITE = LEVELS - 1


@dataclass(frozen=True, eq=False)
class Images:
    """A data set: uint8 images [n, 28, 28] and int64 labels [n], the official training and test images apart."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
