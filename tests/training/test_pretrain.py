import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from regbench.config.location import cache_dir
from regbench.data.split import load_split
from regbench.errors import UserError
from regbench.models.architectures import build, skeleton
from regbench.records.rows import Progress
from regbench.rng import Stream, generator
from regbench.techniques.dropout import Dropout
from regbench.techniques.init import INITS, initialize
from regbench.techniques.layers import weighted_layers
from regbench.training.pretrain import PHASES, BoltzmannMachine, pretrain, rescaled

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
FEW = ("data.train_size=1000", "model.hidden=[40,30]", "activation=sigmoid")
RBM = (*FEW, "init=rbm", "init.epochs=3", "init.batch_size=10")
LSUV = ("init=lsuv", "data.train_size=300")
SMALL_CNN = ("model=cnn", "model.channels=[4,8]", "model.dense=[12]")


def pretrained(config):
    """A model after both phases, the rows that were reported, and the images."""
    split = load_split(config.data, config.seed, CPU, cache_dir(None))
    model, rows = build(config), []
    pretrain(model, config, split, rows.append)
    return model, rows, split


def same(first, second):
    pairs = zip(first.state_dict().items(), second.state_dict().values(), strict=True)
    return [name for name, one, other in ((name, a, b) for (name, a), b in pairs) if not torch.equal(one, other)] == []


@pytest.mark.parametrize("name", sorted(INITS.keys() - PHASES.keys()))
def test_other_options_need_no_images(make_config, make_option, name):
    config = make_config(*FEW).model_copy(update={"init": make_option("init", name)})
    model, rows, _ = pretrained(config)
    assert rows == []
    assert same(model, build(config))


@pytest.mark.parametrize("overrides", [RBM, (*LSUV, *SMALL_CNN, "norm=batch", "dropout=0.5")], ids=["rbm", "lsuv"])
def test_a_seed_pretrains_to_the_same_bits_and_leaves_the_rest_alone(make_config, overrides):
    before = torch.get_rng_state()
    first, rows, _ = pretrained(make_config(*overrides))
    again, rows_again, _ = pretrained(make_config(*overrides))
    other, rows_other, _ = pretrained(make_config(*overrides, "seed=1"))
    assert same(first, again) and not same(first, other)
    assert rows == rows_again != rows_other
    assert torch.equal(torch.get_rng_state(), before)
    drawn = build(make_config(*overrides)).state_dict()
    changed = {name for name, tensor in first.state_dict().items() if not torch.equal(tensor, drawn[name])}
    assert changed and {name.rpartition(".")[0].endswith(("affine", "output")) for name in changed} == {True}
    assert all(p.requires_grad and p.grad is None for p in first.parameters())


def test_a_row_as_the_log_has_it():
    assert (
        str(Progress("dense1", 3, "reconstruction_error", 0.0153219)) == "dense1, step 3: reconstruction_error 0.01532"
    )


# lsuv


@pytest.mark.parametrize(("norm", "position"), [("none", "pre"), ("batch", "pre"), ("batch", "post")])
@pytest.mark.parametrize("model", [["model.hidden=[50,40,30]", "activation=tanh"], SMALL_CNN], ids=["mlp", "cnn"])
def test_outputs_of_every_layer_have_unit_variance_on_the_batch(make_config, make_option, norm, position, model):
    config = make_config(*LSUV, *model, f"norm={norm}", f"norm_position={position}", "dropout=0.5")
    config = config.model_copy(update={"init": make_option("init", "lsuv", bias=None, tol=0.01)})
    network, rows, split = pretrained(config)
    drawn = torch.randperm(300, generator=generator(0, Stream.PRETRAIN))
    images, _ = split.batch(split.train[drawn])
    variances = {}
    for name, layer in network.named_modules():
        if layer in weighted_layers(network):
            layer.register_forward_hook(lambda _, __, y, name=name: variances.update({name: y.double().var().item()}))
        layer.train(not isinstance(layer, Dropout))
    network(images)
    assert len(variances) == len(weighted_layers(network))
    assert list(variances.values()) == pytest.approx([1] * len(variances), abs=0.011)
    last = {row.layer: row.value for row in rows}
    assert list(last) == [name.partition(".")[0] for name in variances]
    assert list(last.values()) == pytest.approx(list(variances.values()), abs=1e-3)
    assert [row.step for row in rows if row.layer == "output"] == list(range(rows[-1].step + 1))


def test_weights_stay_orthogonal(make_config):
    model, _, _ = pretrained(make_config(*LSUV, "model.hidden=[50,40]"))
    for layer in weighted_layers(model):
        square = layer.weight @ layer.weight.T
        scale = square.diagonal().mean()
        torch.testing.assert_close(square / scale, torch.eye(len(square)), rtol=0, atol=1e-4)


def test_a_layer_within_the_tolerance_is_left_alone(make_config, make_option):
    tolerant = make_config(*LSUV).model_copy(update={"init": make_option("init", "lsuv", tol=1e6)})
    model, rows, _ = pretrained(tolerant)
    assert same(model, build(tolerant))
    assert [row.step for row in rows] == [0] * 3


def test_a_layer_that_biases_hold_back_is_rescaled_at_most_max_iter_times():
    layer = nn.Linear(30, 20)
    with torch.no_grad():
        nn.init.normal_(layer.bias, 0.0, 3.0, generator=torch.Generator().manual_seed(0))  # variance 9
        variances = list(rescaled(layer, torch.randn(50, 30, generator=torch.Generator().manual_seed(1)), 0.1, 4))
    assert len(variances) == 5
    assert variances[-1] > 1.1


def test_a_layer_with_equal_outputs_is_left_alone():
    layer = nn.Linear(30, 20)
    nn.init.zeros_(layer.bias)
    with torch.no_grad():
        assert list(rescaled(layer, torch.zeros(50, 30), 0.1, 4)) == [0.0]
    assert layer.weight.isfinite().all()


def test_all_images_are_taken_where_there_are_fewer_than_asked_for(make_config):
    _, rows, _ = pretrained(make_config("init=lsuv", "data.train_size=10", "model.hidden=[20]"))
    assert {row.layer: row.value for row in rows} == pytest.approx({"dense1": 1, "output": 1}, abs=0.1)


# rbm


def test_reconstruction_error_falls_on_real_images(make_config):
    model, rows, _ = pretrained(make_config(*RBM))
    assert [(row.layer, row.step) for row in rows] == [(f"dense{i}", epoch) for i in (1, 2) for epoch in (1, 2, 3)]
    errors = {layer: [row.value for row in rows if row.layer == layer] for layer in ("dense1", "dense2")}
    assert all(values == sorted(values, reverse=True) and values[2] < 0.85 * values[0] for values in errors.values())
    start = build(make_config(*RBM))
    assert torch.equal(model.output.weight, start.output.weight)


def test_features_separate_digits_better_than_random_ones(make_config):
    """The mean image of each class is nearer to its own images after pre-training than in a random network."""

    def accuracy(*overrides):
        model, _, split = pretrained(make_config(*FEW, *overrides))
        images, labels = split.batch(split.train)
        features = model[:-1](images)
        centres = torch.stack([features[labels == digit].mean(0) for digit in range(10)])
        return (torch.cdist(features, centres).argmin(1) == labels).double().mean().item()

    assert accuracy(*RBM) > accuracy("init=small_normal") + 0.05


@pytest.mark.parametrize("scaling", ["unit", "none"])
def test_the_scaling_of_pixels_makes_no_difference(make_config, scaling):
    standard, rows, split = pretrained(make_config(*RBM))
    other, same_rows, other_split = pretrained(make_config(*RBM, f"data.scaling={scaling}"))
    assert rows == same_rows
    (images, _), (raw, _) = split.batch(split.val[:100]), other_split.batch(split.val[:100])
    assert not torch.allclose(images, raw)
    torch.testing.assert_close(standard.dense1(standard.flatten(images)), other.dense1(other.flatten(raw)))


def test_the_first_layer_does_to_scaled_pixels_what_its_machine_does_to_pixels_in_0_1(make_config):
    config = make_config(*RBM, "init.epochs=1", "init.batch_size=1000", "init.momentum=0", "init.weight_decay=0.01")
    model, (row, _), split = pretrained(config)
    rng = generator(0, Stream.PRETRAIN)
    pixels = split.train_images[split.train[torch.randperm(1000, generator=rng)]].flatten(1) / 255
    start = build(config).dense1.affine
    machine = BoltzmannMachine(start.weight.detach(), start.bias.detach(), rng)
    assert machine.step(pixels, 1, 0.1, 0.0, 0.01).item() == pytest.approx(row.value, rel=1e-6)
    x, _ = split.batch(split.val[:50])
    raw = split.train_images[split.val[:50]].flatten(1) / 255
    torch.testing.assert_close(model.dense1(x.flatten(1)), machine.hidden(raw))


def machine_of(weight, hidden_bias):
    return BoltzmannMachine(weight.clone(), hidden_bias.clone(), torch.Generator().manual_seed(5))


@pytest.mark.parametrize("k", [1, 3])
def test_two_steps_are_those_of_hinton_s_guide(k):
    rng = torch.Generator().manual_seed(0)
    weight, hidden_bias = torch.randn(4, 6, generator=rng).double(), torch.randn(4, generator=rng).double()
    data = torch.rand(5, 6, generator=rng).double()
    machine, draws = machine_of(weight, hidden_bias), torch.Generator().manual_seed(5)
    lr, momentum, decay = 0.3, 0.5, 0.01
    b, velocity = torch.zeros(6).double(), [0, 0, 0]
    for _ in range(2):
        error = machine.step(data, k, lr, momentum, decay)
        p0 = p = 1 / (1 + torch.exp(-(data @ weight.T + hidden_bias)))
        for turn in range(k):
            h = (torch.rand(5, 4, generator=draws, dtype=torch.float64) < p).double()
            v = 1 / (1 + torch.exp(-(h @ weight + b)))
            p = 1 / (1 + torch.exp(-(v @ weight.T + hidden_bias)))
            if turn == 0:
                expected = ((data - v) ** 2).mean()
        slopes = [
            sum(torch.outer(p0[n], data[n]) - torch.outer(p[n], v[n]) for n in range(5)) / 5 - decay * weight,
            (p0 - p).sum(0) / 5,
            (data - v).sum(0) / 5,
        ]
        velocity = [momentum * old + lr * slope for old, slope in zip(velocity, slopes, strict=True)]
        weight, hidden_bias, b = weight + velocity[0], hidden_bias + velocity[1], b + velocity[2]
        assert error.item() == pytest.approx(expected.item(), rel=1e-12)
        torch.testing.assert_close(machine.weight, weight)
        torch.testing.assert_close(machine.hidden_bias, hidden_bias)
        torch.testing.assert_close(machine.visible_bias, b)


def test_enough_training_learns_a_distribution():
    """Two patterns of four units: reconstructions become the patterns themselves."""
    data = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]]).repeat(10, 1)
    machine = machine_of(0.1 * torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(3))
    errors = [machine.step(data, 1, 0.5, 0.5, 0.0).item() for _ in range(500)]
    assert errors[0] > 0.2
    assert sum(errors[-20:]) / 20 < 0.01
    torch.testing.assert_close(F.threshold(machine.visible(machine.hidden(data)), 0.5, 0.0).ceil(), data)


def test_a_network_without_hidden_layers_has_nothing_to_pretrain(make_config):
    config = make_config("init=rbm", "model.hidden=[]", "data.train_size=100")
    model, rows, _ = pretrained(config)
    assert rows == [] and same(model, build(config))


@pytest.mark.parametrize("make", [skeleton, build])
def test_a_cnn_is_refused(make_config, make):
    with pytest.raises(UserError, match=r"^init=rbm: .*convolutions\. Allowed here: .*lsuv, normal"):
        make(make_config("model=cnn", "init=rbm"))


def test_the_first_phase_leaves_all_to_the_second(make_option):
    layers = nn.Sequential(nn.Linear(30, 20), nn.Linear(20, 50))
    initialize(layers, make_option("init", "lsuv"), 1.0, 0, bias=0.0)
    torch.testing.assert_close(layers[0].weight @ layers[0].weight.T, torch.eye(20), rtol=0, atol=1e-5)
    torch.testing.assert_close(layers[1].weight.T @ layers[1].weight, torch.eye(20), rtol=0, atol=1e-5)
    assert math.isclose(layers[0].bias.abs().sum().item(), 0)


# in a run


def test_a_run_whose_pretraining_overflows_diverges(train):
    ended = train("init=rbm", "init.lr=1e38", "model.hidden=[8]", "data.train_size=300", "epochs=1", "data.val_size=0")
    assert (ended.code, ended.err) == (0, "")
    assert "diverged: the loss stopped being finite in epoch 1" in ended.out


def test_a_run_keeps_what_pretraining_did(train):
    ended = train(
        "init=rbm", "activation=sigmoid", "init.epochs=2", "data.train_size=300", "epochs=1", "data.val_size=0"
    )
    assert ended.code == 0
    assert "dense1, step 2: reconstruction_error 0." in ended.out
    (folder,) = Path("runs/default").iterdir()
    lines = (folder / "pretrain.csv").read_text().splitlines()
    assert lines[0] == "layer,step,figure,value"
    assert [line.split(",")[:3] for line in lines[1:]] == [
        [f"dense{layer}", str(epoch), "reconstruction_error"] for layer in (1, 2) for epoch in (1, 2)
    ]
    assert (folder / "train.log").read_text().count("reconstruction_error") == 4
