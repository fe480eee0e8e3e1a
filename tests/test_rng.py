import random
from itertools import product

import numpy as np
import pytest
import torch

from regbench.rng import Stream, generator

PURPOSES = list(product((0, 1, 2, 12345), Stream, range(4)))


def test_streams_keep_their_numbers():
    assert {stream.name: stream.value for stream in Stream} == {
        "SPLIT": 0,
        "INIT": 1,
        "ORDER": 2,
        "DROPOUT": 3,
        "AUGMENT": 4,
        "PRETRAIN": 5,
        "LABEL_NOISE": 6,
    }


@pytest.mark.parametrize("seed", [0, 7, 2**63])
@pytest.mark.parametrize("stream", Stream)
def test_a_stream_s_parts_are_grandchildren_of_the_seed_s_sequence(seed, stream):
    children = np.random.SeedSequence(seed).spawn(max(Stream) + 1)
    for index, part in enumerate(children[stream].spawn(3)):
        assert generator(seed, stream, index).initial_seed() == part.generate_state(1, np.uint64)[0]


def test_the_first_part_is_meant_where_none_is_named():
    assert generator(3, Stream.SPLIT).initial_seed() == generator(3, Stream.SPLIT, 0).initial_seed()


def test_the_same_purpose_draws_the_same():
    for purpose in PURPOSES:
        first, second = (torch.rand(8, generator=generator(*purpose)) for _ in range(2))
        assert torch.equal(first, second)


def test_every_seed_stream_and_index_draws_something_else():
    draws = {tuple(torch.rand(4, generator=generator(*purpose)).tolist()) for purpose in PURPOSES}
    assert len(draws) == len(PURPOSES)


def test_streams_are_uncorrelated():
    n = 2_000
    draws = torch.stack([torch.randn(n, generator=generator(*purpose), dtype=torch.float64) for purpose in PURPOSES])
    correlations = torch.corrcoef(draws) - torch.eye(len(PURPOSES), dtype=torch.float64)
    assert correlations.abs().max() < 5 / n**0.5
    assert correlations.square().sum() / (len(PURPOSES) * (len(PURPOSES) - 1)) == pytest.approx(1 / n, rel=0.1)


def test_global_generators_are_left_alone():
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    torch.rand(5, generator=generator(1, Stream.ORDER, 2))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


def test_global_seed_changes_nothing():
    expected = torch.rand(5, generator=generator(1, Stream.ORDER, 2))
    with torch.random.fork_rng():
        torch.manual_seed(99)
        assert torch.equal(torch.rand(5, generator=generator(1, Stream.ORDER, 2)), expected)
