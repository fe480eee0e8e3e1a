import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from regbench.errors import UserError
from regbench.models.architectures import build
from regbench.techniques.init import INITS, initialize
from regbench.techniques.layers import weighted_layers

RELU_GAIN = math.sqrt(2)
SHAPES = [(200, 300), (300, 120), (64, 32, 3, 3), (48, 30, 5, 3)]
CONSTANT = {"constant"}
NORMS = ["none", "batch", "layer"]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def affine(shape):
    """The layer whose weight has this shape."""
    outputs, inputs, *kernel = shape
    return nn.Conv2d(inputs, outputs, kernel) if kernel else nn.Linear(inputs, outputs)


def fan_in_out(shape):
    """Connections into an output and out of an input, counted by hand for (outputs, inputs, height, width)."""
    pixels = shape[2] * shape[3] if len(shape) == 4 else 1
    return shape[1] * pixels, shape[0] * pixels


def drawn(make_option, name, shape, activation_gain=RELU_GAIN, seed=0, **changes):
    layer = affine(shape)
    option = make_option("init", name, **changes)
    initialize(layer, option, activation_gain, seed, bias=option.args["bias"])
    return layer


def normal(std, mean=0.0):
    return stats.norm(mean, std)


def uniform(bound):
    return stats.uniform(-bound, 2 * bound)


def of_std(distribution, std):
    return normal(std) if distribution == "normal" else uniform(math.sqrt(3) * std)


def assert_distributed(values, law):
    """Moments within five standard errors, no draw outside the law's support, and the shape by Kolmogorov-Smirnov."""
    values = values.detach().double().flatten()
    n, std = len(values), law.std()
    low, high = (float(torch.tensor(edge, dtype=torch.float32)) for edge in law.support())  # weights are float32
    assert low <= values.min() <= values.max() <= high
    assert values.mean().item() == pytest.approx(law.mean(), abs=5 * std / n**0.5)
    assert values.std().item() == pytest.approx(std, rel=5 / (2 * n) ** 0.5)
    assert stats.kstest(values.numpy(), law.cdf).pvalue > 1e-3


# the law of each option, by the catalogue's formula; gain is that of relu, √2, unless given

LAWS = [
    ("default", {}, lambda fan_in, fan_out: uniform(1 / math.sqrt(fan_in))),
    ("uniform", {}, lambda fan_in, fan_out: uniform(0.05)),
    ("uniform", {"a": -1.0, "b": 3.0}, lambda fan_in, fan_out: stats.uniform(-1, 4)),
    ("normal", {}, lambda fan_in, fan_out: normal(1.0)),
    ("normal", {"mean": 0.7, "std": 0.2}, lambda fan_in, fan_out: normal(0.2, 0.7)),
    ("small_normal", {}, lambda fan_in, fan_out: normal(0.02)),
    ("rbm", {}, lambda fan_in, fan_out: normal(0.01)),  # before the pre-training
    ("truncated_normal", {}, lambda fan_in, fan_out: stats.truncnorm(-2, 2, scale=0.02)),
    (
        "truncated_normal",
        {"mean": 1.0, "std": 2.0, "a": 0.0, "b": 5.0},
        lambda fan_in, fan_out: stats.truncnorm(-0.5, 2, 1, 2),
    ),
    *[
        (
            "xavier",
            {"distribution": distribution, "gain": gain},
            lambda fan_in, fan_out, d=distribution, g=gain: of_std(
                d, (g or math.sqrt(2)) * math.sqrt(2 / (fan_in + fan_out))
            ),
        )
        for distribution in ("normal", "uniform")
        for gain in (None, 0.5)
    ],
    *[
        (
            "kaiming",
            {"distribution": distribution, "mode": mode, "gain": gain},
            lambda fan_in, fan_out, d=distribution, m=mode, g=gain: of_std(
                d, (g or math.sqrt(2)) / math.sqrt(fan_in if m == "fan_in" else fan_out)
            ),
        )
        for distribution in ("normal", "uniform")
        for mode, gain in (("fan_in", None), ("fan_out", None), ("fan_out", 3.0))
    ],
    ("lecun", {"distribution": "normal"}, lambda fan_in, fan_out: normal(1 / math.sqrt(fan_in))),
    ("lecun", {"distribution": "uniform"}, lambda fan_in, fan_out: uniform(math.sqrt(3 / fan_in))),
]
OTHERWISE = CONSTANT | {"lsuv", "orthogonal", "sparse"}  # tested below


def test_every_init_has_its_law_here():
    assert {name for name, _, _ in LAWS} | OTHERWISE == set(INITS)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("name", "changes", "law"), LAWS)
def test_weights_are_distributed_by_the_law(make_option, name, changes, law, shape):
    weight = drawn(make_option, name, shape, **changes).weight
    assert_distributed(weight, law(*fan_in_out(shape)))


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("xavier", lambda fan_in, fan_out: math.sqrt(6 / (fan_in + fan_out))),
        ("kaiming", lambda fan_in, fan_out: math.sqrt(2) * math.sqrt(3 / fan_in)),
        ("lecun", lambda fan_in, fan_out: math.sqrt(3 / fan_in)),
        ("default", lambda fan_in, fan_out: 1 / math.sqrt(fan_in)),
    ],
)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_uniform_draws_reach_for_their_bound(make_option, name, bound, shape):
    changes = {} if name == "default" else {"distribution": "uniform"}
    weight, limit = drawn(make_option, name, shape, **changes).weight, bound(*fan_in_out(shape))
    assert 0.999 * limit < weight.abs().max().item() <= limit * (1 + 1e-6)
    assert weight.min() < 0 < weight.max()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_default_draws_as_torch_s_layers_do(make_option, shape):
    n = 5
    with torch.random.fork_rng():
        torch.manual_seed(1)
        torch_s = [affine(shape) for _ in range(n)]
    ours = [drawn(make_option, "default", shape, seed=seed) for seed in range(n)]
    for name in ("weight", "bias"):
        theirs = torch.cat([getattr(layer, name).detach().flatten() for layer in torch_s])
        mine = torch.cat([getattr(layer, name).detach().flatten() for layer in ours])
        assert mine.abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=0.05)
        assert stats.ks_2samp(mine.numpy(), theirs.numpy()).pvalue > 1e-3


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_constant_is_one_value_everywhere(make_option, shape):
    assert (drawn(make_option, "constant", shape, value=-0.25).weight == -0.25).all()


@pytest.mark.parametrize("shape", [*SHAPES, (50, 50), (3, 40, 2, 2)], ids=str)
@pytest.mark.parametrize("gain", [None, 0.5])
def test_orthogonal_has_orthogonal_rows_or_columns(make_option, shape, gain):
    matrix = drawn(make_option, "orthogonal", shape, gain=gain).weight.detach().double().flatten(1)
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    expected = torch.eye(len(short), dtype=torch.float64) * (gain or math.sqrt(2)) ** 2
    torch.testing.assert_close(short @ short.T, expected, rtol=0, atol=1e-5)


def test_orthogonal_leaves_no_direction_out(make_option):
    matrix = drawn(make_option, "orthogonal", (400, 400), gain=1.0).weight
    assert_distributed(matrix, normal(1 / math.sqrt(400)))


@pytest.mark.parametrize("shape", [*SHAPES, (7, 50), (1, 20)], ids=str)
@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_sparse_has_its_zeros_in_every_column(make_option, shape, sparsity):
    columns = drawn(make_option, "sparse", shape, sparsity=sparsity).weight.flatten(1)
    assert ((columns == 0).sum(0) == math.ceil(sparsity * shape[0])).all()


def test_sparse_is_normal_elsewhere(make_option):
    weight = drawn(make_option, "sparse", (300, 400), sparsity=0.6, std=0.3).weight
    assert_distributed(weight[weight != 0], normal(0.3))


def test_sparse_puts_its_zeros_anywhere(make_option):
    zeros = drawn(make_option, "sparse", (100, 2_000), sparsity=0.3).weight == 0
    shares = zeros.double().mean(1)
    assert (shares - 0.3).abs().max() < 5 * (0.3 * 0.7 / 2_000) ** 0.5


# any shape


@st.composite
def shapes(draw):
    """Of a dense layer or of a convolution, with some thousand weights."""
    kernel = draw(st.sampled_from([(), (1, 1), (3, 3), (5, 2)]))
    inputs, pixels = draw(st.integers(1, 60)), math.prod(kernel)
    return (draw(st.integers(math.ceil(2_000 / (inputs * pixels)), 3_000 // inputs)), inputs, *kernel)


@pytest.mark.parametrize(("name", "changes", "law"), LAWS)
@settings(deadline=None, max_examples=5)
@given(shape=shapes(), seed=st.integers(0, 2**32))
def test_moments_and_bounds_hold_for_every_shape(make_option, name, changes, law, shape, seed):
    weight = drawn(make_option, name, shape, seed=seed, **changes).weight.detach().double()
    expected = law(*fan_in_out(shape))
    low, high = expected.support()
    n, std = weight.numel(), expected.std()
    assert low - 1e-6 <= weight.min() <= weight.max() <= high + 1e-6
    assert weight.mean().item() == pytest.approx(expected.mean(), abs=7 * std / n**0.5)
    assert weight.std().item() == pytest.approx(std, rel=7 / (2 * n) ** 0.5)


@settings(deadline=None, max_examples=20)
@given(shape=shapes(), seed=st.integers(0, 2**32))
@pytest.mark.parametrize("name", ["orthogonal", "lsuv"])
def test_orthogonality_holds_for_every_shape(make_option, name, shape, seed):
    changes = {"gain": 1.0} if name == "orthogonal" else {}
    matrix = drawn(make_option, name, shape, seed=seed, **changes).weight.detach().double().flatten(1)
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    torch.testing.assert_close(short @ short.T, torch.eye(len(short)).double(), rtol=0, atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(shape=shapes(), seed=st.integers(0, 2**32), sparsity=st.floats(0, 1))
def test_zero_shares_hold_for_every_shape(make_option, shape, seed, sparsity):
    columns = drawn(make_option, "sparse", shape, seed=seed, sparsity=sparsity).weight.flatten(1)
    assert set((columns == 0).sum(0).tolist()) == {math.ceil(sparsity * shape[0])}


# gain


@pytest.mark.parametrize("name", ["xavier", "kaiming", "orthogonal"])
def test_the_activation_s_gain_counts_unless_another_is_given(make_option, name):
    def weight(gain, of_activation):
        return drawn(make_option, name, (40, 30), of_activation, gain=gain).weight

    assert torch.equal(weight(None, 0.7), weight(0.7, 1.0))
    torch.testing.assert_close(weight(2.1, 0.7), 3 * weight(None, 0.7))


@pytest.mark.parametrize("name", sorted(INITS.keys() - {"kaiming", "xavier", "orthogonal"}))
def test_other_inits_are_the_same_before_every_activation(make_option, name):
    assert torch.equal(*(drawn(make_option, name, (20, 30), gain).weight for gain in (RELU_GAIN, 1.0)))


def test_relu_s_gain_keeps_the_size_of_activations_through_a_deep_network(make_option):
    x = torch.randn(200, 500, generator=seeded())
    layers = nn.Sequential(*[nn.Linear(500, 500) for _ in range(10)])
    initialize(layers, make_option("init", "kaiming"), RELU_GAIN, 0, bias=0.0)
    for layer in layers:
        x = layer(x).relu()
    assert x.square().mean().item() == pytest.approx(1, rel=0.5)  # without the gain: 2 ** -10


# biases


@pytest.mark.parametrize("name", INITS)
def test_biases_are_the_constant(make_option, name):
    assert (drawn(make_option, name, (30, 20), bias=0.25).bias == 0.25).all()


@pytest.mark.parametrize("name", INITS)
@pytest.mark.parametrize("shape", [(9_000, 3), (9_000, 2, 3, 2)], ids=str)
def test_null_draws_biases_as_torch_does(make_option, name, shape):
    bias = drawn(make_option, name, shape, bias=None).bias
    assert_distributed(bias, uniform(1 / math.sqrt(fan_in_out(shape)[0])))


@pytest.mark.parametrize("name", INITS)
def test_biases_change_no_weight(make_option, name):
    weights = [drawn(make_option, name, (20, 30), bias=bias).weight for bias in (0.0, None)]
    assert torch.equal(*weights)


@pytest.mark.parametrize("name", INITS)
def test_yaml_s_biases_are_zero_but_torch_s_by_default(make_option, name):
    assert make_option("init", name).args["bias"] == (None if name == "default" else 0.0)


# streams


def weights_of(model):
    return [layer.weight.detach() for layer in weighted_layers(model)]


@pytest.mark.parametrize("name", sorted(INITS.keys() - CONSTANT))
def test_a_seed_draws_its_weights_and_no_other_does(make_option, name):
    first, again, other = (drawn(make_option, name, (20, 30), seed=seed, bias=None) for seed in (4, 4, 5))
    for key in ("weight", "bias"):
        assert torch.equal(getattr(first, key), getattr(again, key))
        assert not torch.equal(getattr(first, key), getattr(other, key))


@pytest.mark.parametrize("name", INITS)
def test_layers_draw_apart_from_the_shapes_of_others(make_option, name):
    def third(*widths):
        model = nn.Sequential(*[nn.Linear(n, m) for n, m in pairwise(widths)])
        initialize(model, make_option("init", name), RELU_GAIN, 0, bias=None)
        return model[2]

    first, second = third(7, 5, 20, 30), third(3, 4, 20, 30, 2)
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


@pytest.mark.parametrize("name", sorted(INITS.keys() - CONSTANT))
def test_layers_of_one_shape_draw_differently(make_option, name):
    model = nn.Sequential(nn.Linear(20, 20), nn.Linear(20, 20))
    initialize(model, make_option("init", name), RELU_GAIN, 0, bias=0.0)
    assert not torch.equal(model[0].weight, model[1].weight)


@pytest.mark.parametrize("model", ["model=mlp", "model=cnn"])
def test_the_norm_changes_no_weight(make_config, model):
    models = [build(make_config(model, f"norm={norm}")) for norm in NORMS]
    for weights in zip(*map(weights_of, models), strict=True):
        assert all(torch.equal(weight, weights[0]) for weight in weights)


@pytest.mark.parametrize("name", sorted(INITS.keys() - {"rbm"}))
def test_the_global_generator_is_left_alone_and_without_effect(make_config, make_option, name):
    config = make_config("model=cnn", "model.channels=[4,8]", "norm=batch").model_copy(
        update={"init": make_option("init", name, bias=None)}
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        before = torch.get_rng_state()
        first = build(config).state_dict()
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(2)
        second = build(config).state_dict()
    assert all(torch.equal(tensor, second[key]) for key, tensor in first.items())


# mistakes


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("uniform", "init.a=2.0: must be at most init.b=1.0"),
        ("truncated_normal", "init.a=2.0: must be below init.b=1.0"),
    ],
)
def test_crossed_bounds_are_refused(make_option, name, line):
    with pytest.raises(UserError, match=f"^{line}$"):
        drawn(make_option, name, (4, 5), a=2.0, b=1.0)


def test_equal_bounds_of_uniform_are_a_constant(make_option):
    assert (drawn(make_option, "uniform", (4, 5), a=0.5, b=0.5).weight == 0.5).all()
