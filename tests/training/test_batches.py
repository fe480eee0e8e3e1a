"""Each run sees its images in its order, whatever runs it trains with."""

import pytest
import torch

from regbench.data.split import order
from regbench.training.batches import Batches
from support import CPU, SMALL, split_of


def batches_of(configs):
    return Batches(configs, [split_of(config) for config in configs], CPU, torch.float32)


def assert_same(batch, other, run):
    for tensor, expected in zip(batch, other, strict=True):
        assert torch.equal(tensor[run], expected[0])


@pytest.mark.parametrize("scaling", [(), ("data.mean=null", "data.std=null")], ids=["of all", "of each run"])
@pytest.mark.parametrize("augment", ["none", "affine"])
def test_a_run_sees_what_it_sees_alone(make_config, scaling, augment):
    configs = [make_config(*SMALL, *scaling, f"augment={augment}", f"seed={seed}") for seed in range(3)]
    together, alone = batches_of(configs), [batches_of([config]) for config in configs]
    steps = together.begin_epoch(1)
    for run, batches in enumerate(alone):
        for rows, expected in zip(steps, batches.begin_epoch(1), strict=True):
            assert torch.equal(rows[run], expected[0])
        assert_same(together.diagnosis(), batches.diagnosis(), run)
        for kind in ("validation", "test"):
            for batch, other in zip(getattr(together, kind)(), getattr(batches, kind)(), strict=True):
                assert_same(batch, other, run)
    for rows in steps:
        batch = together.training(rows)
        for run, batches in enumerate(alone):
            assert_same(batch, batches.training(rows[run : run + 1]), run)


def test_runs_may_be_augmented_in_different_ways(make_config):
    configs = [make_config(*SMALL, f"augment={augment}") for augment in ("none", "affine")]
    batches = batches_of(configs)
    images, labels = batches.training(batches.begin_epoch(0)[0])
    assert torch.equal(labels[0], labels[1])
    assert not torch.equal(images[0], images[1])


@pytest.mark.parametrize(("drop_last", "sizes"), [("false", [40, 40, 40, 30]), ("true", [40, 40, 40])])
def test_an_epoch_is_in_the_seed_s_order(make_config, drop_last, sizes):
    config = make_config(*SMALL, "batch_size=40", f"drop_last={drop_last}", "seed=5")
    batches = batches_of([config])
    steps = batches.begin_epoch(3)
    assert [rows.shape for rows in steps] == [(1, size) for size in sizes]
    assert (batches.images_per_epoch, batches.steps_per_epoch) == (sum(sizes), len(sizes))
    expected = split_of(config).train[order(150, 5, 3)]
    assert torch.equal(torch.cat(steps, 1)[0], expected[: sum(sizes)])
