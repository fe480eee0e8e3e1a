import gc
import weakref

import pytest
import torch
from torch import nn

from regbench.config.registry import Option
from regbench.errors import UserError
from regbench.experiment.checks import check_machine, check_techniques
from regbench.models.architectures import MODELS, build, skeleton
from regbench.techniques.dropout import Dropout
from regbench.techniques.layers import weighted_layers
from regbench.training.stack import Stack
from regbench.training.stacking import most_as_one

SMALL_CNN = ("model=cnn", "model.channels=[4,8,8]", "model.dense=[12]")
EVERYTHING = ("norm=batch", "dropout=0.5", "activation=leaky_relu", "activation.negative_slope=0.2")


def images(samples=3):
    return torch.randn(samples, 28, 28, generator=torch.Generator().manual_seed(0))


def parts(model):
    """The names of a model's layers, and in brackets those within each."""
    return [(name, [inner for inner, _ in layer.named_children()]) for name, layer in model.named_children()]


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


# shapes and sizes


COUNTS = [
    (["model=mlp"], 784 * 256 + 256 + 256 * 256 + 256 + 256 * 10 + 10),
    (["model=mlp", "model.hidden=[]"], 784 * 10 + 10),
    (["model=mlp", "model.hidden=[5,6,7]"], 784 * 5 + 5 + 5 * 6 + 6 + 6 * 7 + 7 + 7 * 10 + 10),
    (["model=mlp", "norm=batch"], 784 * 256 + 256 + 256 * 256 + 256 + 256 * 10 + 10 + 4 * 256),
    (
        ["model=cnn"],  # 28 × 28, then 14 × 14, then 7 × 7 of 64 feature maps
        (9 * 16 + 16) + (9 * 16 * 32 + 32) + (9 * 32 * 64 + 64) + (7 * 7 * 64 * 100 + 100) + (100 * 10 + 10),
    ),
    (["model=cnn", "model.channels=[2]", "model.dense=[]"], (9 * 2 + 2) + (28 * 28 * 2 * 10 + 10)),
    (
        ["model=cnn", "norm=layer", "model.channels=[2,3]", "model.dense=[4]"],
        (9 * 2 + 2 + 2 * 28 * 28 * 2)
        + (9 * 2 * 3 + 3 + 3 * 28 * 28 * 2)
        + (14 * 14 * 3 * 4 + 4 + 2 * 4)
        + (4 * 10 + 10),
    ),
]


def test_every_model_is_counted_here(make_config):
    assert {make_config(*overrides).model.name for overrides, _ in COUNTS} == set(MODELS)


@pytest.mark.parametrize(("overrides", "parameters"), COUNTS, ids=str)
def test_parameters_are_as_counted_by_hand(make_config, overrides, parameters):
    assert count(build(make_config(*overrides))) == parameters


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=mlp"],
        ["model=mlp", "model.hidden=[]"],
        ["model=mlp", "model.hidden=[3]", *EVERYTHING],
        [*SMALL_CNN, *EVERYTHING],
        ["model=cnn", "model.channels=[2]", "model.dense=[]"],
        ["model=cnn", "model.channels=[2,2,2,2,2]", "model.dense=[5,4]", "norm=instance"],
    ],
    ids=str,
)
def test_images_become_ten_logits(make_config, overrides):
    model = build(make_config(*overrides))
    logits = model.eval()(images(3))
    assert (logits.shape, logits.dtype) == ((3, 10), torch.float32)
    assert logits.isfinite().all()
    assert {p.device.type for p in model.parameters()} == {"cpu"}
    assert all(p.requires_grad and p.dtype == torch.float32 for p in model.parameters())


def test_mlp_is_the_formula(make_config):
    model = build(make_config("model.hidden=[7,6]", "init.bias=0.1"))
    x = images()
    w1, b1, w2, b2, w3, b3 = model.parameters()
    hidden = (x.reshape(3, 784) @ w1.T + b1).clamp(min=0)
    hidden = (hidden @ w2.T + b2).clamp(min=0)
    torch.testing.assert_close(model(x), hidden @ w3.T + b3)


def test_first_convolution_is_the_formula(make_config):
    layer = build(make_config(*SMALL_CNN, "init.bias=0.1"))
    x = images()
    weight, bias = layer.conv1.affine.weight, layer.conv1.affine.bias
    framed = torch.zeros(3, 30, 30)
    framed[:, 1:29, 1:29] = x
    expected = torch.zeros(3, 4, 28, 28) + bias.reshape(4, 1, 1)
    for row in range(3):
        for column in range(3):
            shifted = framed[:, row : row + 28, column : column + 28]
            expected = expected + weight[:, 0, row, column].reshape(4, 1, 1) * shifted[:, None]
    torch.testing.assert_close(layer.conv1(layer.channel(x)), expected.clamp(min=0))


# layers and their order


def test_mlp_s_blocks_hold_their_techniques_in_order(make_config):
    block = ["affine", "norm", "activation", "dropout"]
    model = build(make_config("model.hidden=[8,6]", *EVERYTHING))
    assert parts(model) == [("flatten", []), ("dense1", block), ("dense2", block), ("output", [])]


def test_the_norm_may_follow_the_activation(make_config):
    post = ["affine", "activation", "norm", "dropout"]
    assert parts(build(make_config("model.hidden=[8]", *EVERYTHING, "norm_position=post")))[1] == ("dense1", post)
    pooled = ["affine", "activation", "norm", "pool", "dropout"]
    assert parts(build(make_config(*SMALL_CNN, *EVERYTHING, "norm_position=post")))[2] == ("conv2", pooled)
    assert parts(build(make_config("model.hidden=[8]", "norm_position=post")))[1] == (
        "dense1",
        ["affine", "activation"],
    )


@pytest.mark.parametrize("position", ["pre", "post"])
def test_the_position_of_the_norm_is_the_formula(make_config, position):
    model = build(make_config("model.hidden=[7]", "norm=batch", f"norm_position={position}", "init.bias=0.1"))
    x = images(6)
    with torch.no_grad():
        z = x.reshape(6, 784) @ model.dense1.affine.weight.T + 0.1
        a = z if position == "pre" else z.clamp(min=0)
        a = (a - a.mean(0)) / (a.var(0, correction=0) + 1e-5).sqrt()
        a = a.clamp(min=0) if position == "pre" else a
    torch.testing.assert_close(model.dense1(model.flatten(x)), a)


def test_cnn_s_blocks_pool_from_the_second_on(make_config):
    first, pooled = ["affine", "norm", "activation", "dropout"], ["affine", "norm", "activation", "pool", "dropout"]
    assert parts(build(make_config(*SMALL_CNN, *EVERYTHING))) == [
        ("channel", []),
        ("conv1", first),
        ("conv2", pooled),
        ("conv3", pooled),
        ("flatten", []),
        ("dense1", first),
        ("output", []),
    ]


@pytest.mark.parametrize("model", [["model=mlp", "model.hidden=[8]"], SMALL_CNN], ids=["mlp", "cnn"])
def test_a_technique_that_does_nothing_leaves_no_module(make_config, model):
    names = {name.split(".")[-1] for name, _ in build(make_config(*model, "norm=none", "dropout=0")).named_modules()}
    assert names.isdisjoint({"norm", "dropout"})


@pytest.mark.parametrize("model", [["model=mlp"], SMALL_CNN], ids=["mlp", "cnn"])
def test_the_last_layer_is_plain(make_config, model):
    last = build(make_config(*model, *EVERYTHING)).output
    assert isinstance(last, nn.Linear)
    assert last.out_features == 10


def test_modules_are_the_chosen_ones(make_config):
    model = build(make_config(*SMALL_CNN, *EVERYTHING))
    assert type(model.conv2.affine) is nn.Conv2d
    assert type(model.conv2.norm) is nn.BatchNorm2d
    assert type(model.dense1.norm) is nn.BatchNorm1d
    assert model.conv2.activation.negative_slope == model.dense1.activation.negative_slope == 0.2


def test_feature_maps_halve_from_the_second_convolution_on(make_config):
    model, x, sizes = build(make_config("model=cnn", "model.channels=[2,2,2,2,2]", "model.dense=[]")), images(), []
    for name, layer in model.named_children():
        x = layer(x)
        if name.startswith("conv"):
            sizes.append(tuple(x.shape[1:]))
    assert sizes == [(2, 28, 28), (2, 14, 14), (2, 7, 7), (2, 3, 3), (2, 1, 1)]


def test_norms_see_the_feature_maps_before_pooling(make_config):
    model = build(make_config(*SMALL_CNN, "norm=layer"))
    shapes = [model.get_submodule(name).norm.normalized_shape for name in ("conv1", "conv2", "conv3", "dense1")]
    assert shapes == [(4, 28, 28), (8, 28, 28), (8, 14, 14), (12,)]


def test_instance_norm_leaves_a_cnn_s_dense_layers_without(make_config):
    model = build(make_config(*SMALL_CNN, "norm=instance", "norm.affine=true"))
    assert [type(model.get_submodule(f"conv{i}").norm) for i in (1, 2, 3)] == [nn.InstanceNorm2d] * 3
    assert not hasattr(model.dense1, "norm")


def test_norms_start_as_torch_s_own(make_config):
    state = build(make_config(*SMALL_CNN, "norm=batch", "init=constant")).state_dict()
    norms = {key: tensor for key, tensor in state.items() if ".norm." in key}
    assert len(norms) == 4 * 5
    for key, tensor in norms.items():
        assert (tensor == (1 if key.endswith(("weight", "running_var")) else 0)).all(), key


# dropout


def rates(model):
    return {name.split(".")[0]: layer.rate for name, layer in model.named_modules() if isinstance(layer, Dropout)}


@pytest.mark.parametrize(
    ("overrides", "conv", "dense"),
    [
        (["dropout=0.3"], 0.3, 0.3),
        (["dropout=0.3", "dropout_conv=0.1"], 0.1, 0.3),
        (["dropout=0.3", "dropout_conv=0"], None, 0.3),
        (["dropout_conv=0.2"], 0.2, None),
        ([], None, None),
    ],
    ids=str,
)
def test_feature_maps_are_dropped_as_units_unless_told(make_config, overrides, conv, dense):
    expected = {"conv1": conv, "conv2": conv, "conv3": conv, "dense1": dense}
    actual = rates(build(make_config(*SMALL_CNN, *overrides)))
    assert actual == {name: rate for name, rate in expected.items() if rate is not None}


def test_masks_are_of_whole_maps_and_of_single_units(make_config):
    model = build(make_config(*SMALL_CNN, "dropout=0.5"))
    shapes = [layer.shape for layer in model.modules() if isinstance(layer, Dropout)]
    assert shapes == [(4, 1, 1), (8, 1, 1), (8, 1, 1), (12,)]


def test_dropout_conv_changes_no_mlp(make_config):
    assert rates(build(make_config("dropout_conv=0.5"))) == {}


# skeleton and mistakes


@pytest.mark.parametrize("model", [["model=mlp"], SMALL_CNN], ids=["mlp", "cnn"])
def test_skeleton_is_the_model_without_memory(make_config, model):
    config = make_config(*model, *EVERYTHING)
    bare, whole = skeleton(config).state_dict(), build(config).state_dict()
    assert {tensor.device.type for tensor in bare.values()} == {"meta"}
    assert {key: tensor.shape for key, tensor in bare.items()} == {key: t.shape for key, t in whole.items()}


def test_the_same_config_builds_the_same_model_apart_from_the_first(make_config):
    config = make_config(*SMALL_CNN, *EVERYTHING)
    first, second = build(config), build(config)
    for (name, a), b in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b), name
        assert a.data_ptr() != b.data_ptr()


def test_the_seed_draws_the_weights(make_config):
    first, second = build(make_config()), build(make_config("seed=1"))
    assert not any(torch.equal(a.weight, b.weight) for a, b in zip(*map(weighted_layers, (first, second)), strict=True))


def test_too_many_convolutions_are_refused(make_config):
    config = make_config("model=cnn", "model.channels=[1,2,3,4,5,6]")
    line = r"^model\.channels=\[1,2,3,4,5,6\]: must be at most 5 widths: pooling halves 28 pixels$"
    with pytest.raises(UserError, match=line):
        skeleton(config)


@pytest.mark.parametrize("make", [skeleton, build])
@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["norm=instance"], r"^norm=instance: needs spatial dimensions"),
        (["norm=group", "norm.groups=7"], r"^norm\.groups=7: must divide the layer's width 256"),
        (["norm=group", "model=cnn", "norm.groups=8"], r"^norm\.groups=8: must divide the layer's width 100"),
        (["norm=group", "model.hidden=[8,1]"], r"^norm=group: averages over 1 feature"),
        (["norm=group", "model.hidden=[8,1]", "norm.groups=8"], r"^norm=group: averages over 1 feature"),
        (["norm=layer", "model.hidden=[1]"], r"^norm=layer: averages over 1 feature"),
        (["norm=rms", "model=cnn", "model.dense=[1]"], r"^norm=rms: averages over 1 feature"),
        (["norm=group", "model=cnn", "norm.groups=5"], r"^norm\.groups=5: must divide the layer's width 16"),
    ],
    ids=str,
)
def test_norms_that_do_not_fit_are_refused_at_once(make_config, make, overrides, line):
    with pytest.raises(UserError, match=line):
        make(make_config(*overrides))


# made once


@pytest.fixture
def made(monkeypatch):
    """The models whose layers are made from now on, by their hidden widths."""
    original, widths = MODELS["mlp"], []

    def mlp(config, *, hidden):
        widths.append(hidden)
        return original(config, hidden=hidden)

    monkeypatch.setitem(MODELS, "mlp", mlp)
    return widths


def test_a_run_and_those_of_its_shape_make_their_layers_once(make_config, made):
    for seed in range(3):
        single = ("data.train_size=1001", "batch_size=1000")  # a last batch of one image, which some norms refuse
        config = make_config("model.hidden=[19,23]", "norm=layer", *single, f"seed={seed}")
        check_techniques(config)
        most_as_one(config, check_machine(config))
        Stack([config], torch.device("cpu"))
    assert made == [[19, 23]]


def test_models_share_no_layer_and_no_memory(make_config):
    config = make_config("model.hidden=[19]", "norm=batch")
    bare, one, other = skeleton(config), build(config), build(config)
    assert {tensor.device.type for tensor in bare.state_dict().values()} == {"meta"}
    assert not {*one.modules()} & {*other.modules()}
    with torch.no_grad():
        one.output.weight.zero_()
    assert other.output.weight.any()


def test_few_skeletons_are_kept(make_config):
    first = weakref.ref(skeleton(make_config("model.hidden=[1]")))
    for width in range(2, 40):
        skeleton(make_config("model.hidden=[5]").model_copy(update={"model": Option("mlp", {"hidden": [width]})}))
    gc.collect()
    assert first() is None
