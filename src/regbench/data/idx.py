"""Images and labels from gzipped idx files, the format that MNIST came in and its successors kept, as tensors."""

from collections.abc import Callable

import torch
from torch import Tensor

from regbench.data.unpacked import FILES, unpacked
from regbench.images import Images


def read(content: Callable[[str], bytes]) -> Images:
    """Read a data set, whose four files `content` returns by name.

    Raises:
        UserError: a file that `decode` refuses.
    """
    train_images, train_labels, test_images, test_labels = (
        decode(content(name), name, dimensions) for name, dimensions in FILES.items()
    )
    return Images(train_images, train_labels.long(), test_images, test_labels.long())


def decode(packed: bytes, name: str, dimensions: int) -> Tensor:
    """The uint8 tensor in a gzipped idx file.

    Raises:
        UserError: as `unpacked`.
    """
    return torch.from_numpy(unpacked(packed, name, dimensions))
