"""The arrays in gzipped idx files, and the package's own MNIST files: without torch, which takes seconds to import."""

import hashlib
import math
import zlib
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from regbench.errors import UserError

FILES = {  # name -> dimensions, in the order of the fields of Images
    "train-images-idx3-ubyte.gz": 3,
    "train-labels-idx1-ubyte.gz": 1,
    "t10k-images-idx3-ubyte.gz": 3,
    "t10k-labels-idx1-ubyte.gz": 1,
}
MNIST_SHA256 = {
    "train-images-idx3-ubyte.gz": "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971",
    "train-labels-idx1-ubyte.gz": "1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203",
    "t10k-images-idx3-ubyte.gz": "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be",
    "t10k-labels-idx1-ubyte.gz": "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b",
}
_UNSIGNED_BYTE = 8
_GZIP = 31  # zlib's wbits for a gzip header and the largest window
_PIECE = 2**14  # bytes of a compressed file


def embedded(file: str) -> bytes:
    """One of the package's MNIST files, still compressed.

    Raises:
        UserError: it is missing, or not as published.
    """
    path = resources.files("regbench") / "mnist" / file
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != MNIST_SHA256[file]:
        raise UserError(f"data=mnist: the package's file {path} is missing or damaged: install regbench again")
    return content


def _decompressed(packed: bytes) -> bytearray:
    """Decompress gzip into memory that may be written, as a tensor needs.

    Piece by piece it takes two thirds of the time of all at once and a copy.

    Raises:
        zlib.error: it is no gzip, or not all of it.
    """
    decompressor, data = zlib.decompressobj(wbits=_GZIP), bytearray()
    for start in range(0, len(packed), _PIECE):
        data += decompressor.decompress(memoryview(packed)[start : start + _PIECE])
    if not decompressor.eof:
        raise zlib.error("incomplete or truncated")
    return data


def unpacked(packed: bytes, name: str, dimensions: int) -> NDArray[np.uint8]:
    """The array in a gzipped idx file: 4 bytes magic, each dimension in 4 bytes (big-endian), the elements.

    Raises:
        UserError: not gzip, not unsigned bytes in that many dimensions, or more or fewer elements than announced.
    """
    try:
        data = _decompressed(packed)
    except zlib.error as error:
        raise UserError(f"{name}: not a whole gzip file ({error})") from None
    magic = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    if data[:4] != magic:
        raise UserError(f"{name}: starts with {data[:4].hex() or 'nothing'}, an idx file like it with {magic.hex()}")
    header = 4 + 4 * dimensions
    shape = [int.from_bytes(data[at : at + 4], "big") for at in range(4, header, 4)]
    if len(data) != header + math.prod(shape):
        raise UserError(f"{name}: {len(data)} bytes unpacked, must be {header + math.prod(shape)} for shape {shape}")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def mnist_test() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The official test images [10000, 28, 28] of MNIST and their labels.

    Raises:
        UserError: a file of the package is damaged.
    """
    images, labels = (unpacked(embedded(name), name, FILES[name]) for name in list(FILES)[2:])
    return images, labels.astype(np.int64)
