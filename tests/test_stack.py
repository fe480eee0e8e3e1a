import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from regbench.data import load_split
from regbench.stack import Stack
from regbench.techniques.dropout import Dropout
from regbench.trainer import Trainer

CPU = torch.device("cpu")
TINY = ("model.hidden=[16]", "data.train_size=500", "data.val_size=300", "epochs=2")
PAIRS = [
    [("seed=0",), ("seed=1",)],
    [("optimizer=sgd",), ("optimizer=sgd", "optimizer.lr=0.01")],
    [("dropout=0.1",), ("dropout=0.6",)],
    [("norm=batch", "init=xavier"), ("norm=batch", "init=orthogonal", "seed=4")],
]


def batch(runs: int, samples: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return torch.rand(runs, samples, 28, 28, generator=rng), torch.randint(10, (runs, samples), generator=rng)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: " | ".join(",".join(run) for run in pair))
def test_a_run_of_a_stack_trains_as_it_does_alone(make_config, pair):
    configs = [make_config(*TINY, *overrides) for overrides in pair]
    splits = [load_split(config.data, config.seed, CPU, Path("unused")) for config in configs]
    together = Trainer(configs, splits, CPU)
    columns = list(zip(*together.epochs(lambda images: None), strict=True))
    for index, (config, split) in enumerate(zip(configs, splits, strict=True)):
        alone = Trainer([config], [split], CPU)
        rows = [row for (row,) in alone.epochs(lambda images: None)]
        for one, other in zip(rows, columns[index], strict=True):
            assert {**vars(one), "seconds": 0} == {**vars(other), "seconds": 0}
        assert all(torch.equal(value, together.weights(index)[name]) for name, value in alone.weights(0).items())


def test_a_step_returns_the_figures_of_each_run(make_config):
    configs = [make_config(*TINY, "clip_norm=1e-3"), make_config(*TINY, "regularizer=l1", "seed=1")]
    stack = Stack(configs, CPU)
    assert stack.begin_epoch(0) == [1e-3, 1e-3]
    images, labels = batch(2)
    runs = zip(stack.members, images, labels, strict=True)
    before = [F.cross_entropy(member.model(x), y).item() for member, x, y in runs]
    figures = stack.step(images, labels)
    assert {figure.shape for figure in figures} == {(2,)}
    assert figures.loss.tolist() == pytest.approx(before)
    assert all(0 <= hits <= 8 and hits == int(hits) for hits in figures.hits.tolist())
    assert figures.penalty[0] == 0
    assert figures.penalty[1] > 0
    assert (figures.grad_norm > 0).all()
    assert figures.clipped.tolist() == [True, False]


def test_the_rate_follows_each_run_s_schedule(make_config):
    stack = Stack(
        [
            make_config(*TINY, "scheduler=step", "scheduler.step_size=1", "scheduler.gamma=0.5"),
            make_config(*TINY, "scheduler=cosine", "optimizer.lr=0.01"),
            make_config(*TINY),
        ],
        CPU,
    )
    assert stack.begin_epoch(0) == pytest.approx([1e-3, 0.01, 1e-3])
    assert stack.begin_epoch(1) == pytest.approx([5e-4, 0.005, 1e-3])
    assert [member.optimizer.param_groups[0]["lr"] for member in stack.members] == pytest.approx([5e-4, 0.005, 1e-3])


def test_by_step_the_rate_changes_before_every_step(make_config):
    config = make_config(*TINY, "scheduler=linear", "scheduler.interval=step", "scheduler.warmup_epochs=1")
    stack = Stack([config], CPU)
    found = []
    for epoch in range(2):
        found += stack.begin_epoch(epoch, steps=4)
        for _ in range(4):
            stack.step(*batch(1))
            found.append(stack.members[0].optimizer.param_groups[0]["lr"])
    up, down = [0, 0, 0.25, 0.5, 0.75], [1, 1, 0.75, 0.5, 0.25]
    assert found == pytest.approx([1e-3 * share for share in up + down])


def test_the_plateau_is_one_of_the_run_s_own_losses(make_config):
    config = make_config(*TINY, "scheduler=reduce_on_plateau", "scheduler.patience=0")
    stack = Stack([config, config], CPU)
    assert stack.begin_epoch(2, losses=[[0.5, 0.4], [0.4, 0.5]]) == pytest.approx([1e-3, 1e-4])


def test_lbfgs_reports_the_batch_before_its_step(make_config):
    stack = Stack([make_config(*TINY, "optimizer=lbfgs", "dropout=0.5")], CPU)
    stack.begin_epoch(0)
    images, labels = batch(1)
    member = stack.members[0]
    first = stack.step(images, labels)
    assert first.loss.item() == pytest.approx(math.log(10), rel=0.5)
    assert F.cross_entropy(member.model(images[0]), labels[0]) < first.loss / 10, "with the same masks all along"


def test_a_learning_rate_of_zero_moves_no_weight(make_config):
    stack = Stack([make_config(*TINY, "optimizer=sgd", "optimizer.lr=0", "norm=batch")], CPU)
    member = stack.members[0]
    before = [parameter.clone() for parameter in member.parameters]
    stack.begin_epoch(0)
    stack.step(*batch(1))
    assert all(torch.equal(one, other) for one, other in zip(before, member.parameters, strict=True))


def test_masks_are_drawn_anew_for_each_step_and_again_for_the_same_epoch(make_config):
    stack = Stack([make_config(*TINY, "dropout=0.5")], CPU)
    (layer,) = [module for module in stack.members[0].model.modules() if isinstance(module, Dropout)]
    masks = []
    for epoch in (0, 1, 0):
        stack.begin_epoch(epoch)
        for _ in range(2):
            stack.step(*batch(1))
            masks.append(layer.mask.clone())
    assert masks[0].shape == (8, 16)
    assert not torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
    assert torch.equal(masks[0], masks[4])
    assert torch.equal(masks[1], masks[5])


def test_the_weight_norm_is_that_of_all_weights_as_one_vector(make_config):
    stack = Stack([make_config(*TINY, "norm=batch", "init=constant", "init.value=0.5", "init.bias=3")], CPU)
    assert stack.members[0].weight_norm() == pytest.approx(0.5 * (784 * 16 + 16 * 10) ** 0.5)
