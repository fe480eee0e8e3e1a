"""Images and labels from gzipped idx files, the format that MNIST came in and its successors kept."""

import math
import zlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from regbench.errors import UserError
from regbench.images import Images

FILES = {  # name -> dimensions, in the order of the fields of Images
    "train-images-idx3-ubyte.gz": 3,
    "train-labels-idx1-ubyte.gz": 1,
    "t10k-images-idx3-ubyte.gz": 3,
    "t10k-labels-idx1-ubyte.gz": 1,
}
_UNSIGNED_BYTE = 8
_GZIP = 31  # zlib's wbits for a gzip header and the largest window


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
    """The uint8 tensor in a gzipped idx file: 4 bytes magic, each dimension in 4 bytes (big-endian), the elements.

    Raises:
        UserError: not gzip, not unsigned bytes in that many dimensions, or more or fewer elements than announced.
    """
    try:
        data = bytearray(zlib.decompress(packed, wbits=_GZIP))  # a tensor needs memory that may be written
    except zlib.error as error:
        raise UserError(f"{name}: not a whole gzip file ({error})") from None
    magic = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    if data[:4] != magic:
        raise UserError(f"{name}: starts with {data[:4].hex() or 'nothing'}, an idx file like it with {magic.hex()}")
    header = 4 + 4 * dimensions
    shape = [int.from_bytes(data[at : at + 4], "big") for at in range(4, header, 4)]
    if len(data) != header + math.prod(shape):
        raise UserError(f"{name}: {len(data)} bytes unpacked, must be {header + math.prod(shape)} for shape {shape}")
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=header).reshape(shape))
