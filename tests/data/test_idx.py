import gzip
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regbench.data import idx
from regbench.errors import UserError
from support import pack_idx


@settings(deadline=None)
@given(shape=st.lists(st.integers(0, 5), min_size=1, max_size=3), seed=st.integers(0, 99))
def test_decode_gives_back_what_was_packed(shape, seed):
    rng = torch.Generator().manual_seed(seed)
    array = torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8)
    decoded = idx.decode(pack_idx(array), "file", len(shape))
    assert decoded.dtype == torch.uint8
    assert torch.equal(decoded, array)


def test_decode_gives_torch_memory_that_may_be_written():
    torch.set_warn_always(True)  # torch warns of read-only memory, but only once per process
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            idx.decode(pack_idx(torch.zeros(3, dtype=torch.uint8)), "file", 1)
    finally:
        torch.set_warn_always(False)


RAW = gzip.decompress(pack_idx(torch.arange(6, dtype=torch.uint8).view(2, 3)))


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (b"", "f.gz: not a whole gzip file"),
        (b"<html>not here</html>", "f.gz: not a whole gzip file"),
        (gzip.compress(RAW, mtime=0)[:-1], "f.gz: not a whole gzip file"),
        (gzip.compress(b"", mtime=0), "f.gz: starts with nothing, an idx file like it with 00000802"),
        (
            gzip.compress(b"\x00\x00\x0d" + RAW[3:], mtime=0),
            "f.gz: starts with 00000d02, an idx file like it with 00000802",
        ),
        (pack_idx(torch.zeros(6, dtype=torch.uint8)), "f.gz: starts with 00000801"),
        (gzip.compress(RAW[:6], mtime=0), "f.gz: 6 bytes unpacked, must be"),
        (gzip.compress(RAW[:-1], mtime=0), r"f.gz: 17 bytes unpacked, must be 18 for shape \[2, 3\]"),
        (gzip.compress(RAW + b"x", mtime=0), r"f.gz: 19 bytes unpacked, must be 18 for shape \[2, 3\]"),
    ],
)
def test_decode_refuses_what_is_no_such_file(packed, message):
    with pytest.raises(UserError, match=message) as refusal:
        idx.decode(packed, "f.gz", 2)
    assert "\n" not in str(refusal.value)
