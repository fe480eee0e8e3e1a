"""Each run draws its dropout masks alone, whatever runs it trains with."""

import pytest
import torch

from regbench.models.architectures import build
from regbench.training import masks as module
from regbench.training.masks import Masks
from regbench.training.network import Network
from regbench.training.replay import WARM_UP
from regbench.training.stack import Stack
from support import CPU, batch

TINY = ("model.hidden=[16]", "batch_size=8")


def drawn(configs, epochs, steps=2, samples=8):
    """The masks of the one dropout layer in each step, [K, samples, width]."""
    masks = Masks(configs, Network([build(config) for config in configs]))
    found = []
    for epoch in epochs:
        masks.begin_epoch(epoch)
        for _ in range(steps):
            (mask,) = masks.next(samples)
            found.append(mask.unflatten(0, (len(configs), samples)))
    return found


def test_each_step_has_new_masks_and_an_epoch_always_the_same(make_config):
    masks = drawn([make_config(*TINY, "dropout=0.5")], epochs=(0, 1, 0))
    assert masks[0].shape == (1, 8, 16)
    assert not torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
    assert torch.equal(masks[0], masks[4])
    assert torch.equal(masks[1], masks[5])


def test_a_run_s_masks_are_those_that_it_draws_alone(make_config):
    configs = [make_config(*TINY, f"dropout={rate}", "seed=3") for rate in (0.5, 0.0, 0.2)]
    together = drawn(configs, (0, 1))
    for run in (0, 2):
        for masks, (alone,) in zip(together, drawn([configs[run]], (0, 1)), strict=True):
            assert torch.equal(masks[run], alone)
    assert all((masks[1] == 1).all() for masks in together)


def test_a_smaller_batch_takes_the_first_masks(make_config):
    configs = [make_config(*TINY, "dropout=0.5", f"seed={seed}") for seed in range(2)]
    (whole,), (part,) = drawn(configs, (0,), steps=1), drawn(configs, (0,), steps=1, samples=3)
    assert torch.equal(part, whole[:, :3])


def test_masks_of_several_steps_may_be_drawn_at_once(make_config, monkeypatch):
    monkeypatch.setitem(module.STEPS_AHEAD, "cpu", 3)
    masks = drawn([make_config(*TINY, "dropout=0.5")], epochs=(0, 0), steps=5)
    assert len({tuple(mask.flatten().tolist()) for mask in masks[:5]}) == 5
    assert all(torch.equal(one, other) for one, other in zip(masks[:5], masks[5:], strict=True))


@pytest.mark.parametrize("runs", [1, 2])
def test_every_step_drops_what_its_masks_say(make_config, runs):
    """Replayed steps too: nothing moves the weights here, so only the masks change the loss."""
    configs = [make_config(*TINY, "dropout=0.5", "optimizer=sgd", "optimizer.lr=0", f"seed={n}") for n in range(runs)]
    stack, models = Stack(configs, CPU), [build(config) for config in configs]
    stack.begin_epoch(0, steps=WARM_UP + 3)
    images, labels = batch(runs)
    for masks in drawn(configs, (0,), steps=WARM_UP + 3):
        logits = stack.step(images, labels).logits
        for run, model in enumerate(models):
            model.dense1.dropout.mask = masks[run]
            torch.testing.assert_close(logits[run], model(images[run]), rtol=1e-5, atol=1e-5)
