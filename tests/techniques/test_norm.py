import pytest
import torch
from torch import nn

from regbench.errors import UserError
from regbench.techniques.norm import NORMS

EPS = 0.01
DENSE, MAPS = (12,), (6, 4, 5)
SHAPES = [DENSE, MAPS]
DEFAULTS = {
    "batch": {"bias": True, "track_running_stats": True},
    "instance": {"momentum": 0.1, "bias": True, "track_running_stats": False},
    "layer": {"bias": True},
    "group": {"bias": True},
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def features(shape, samples=7, seed=0):
    """Features whose channels differ in mean and spread."""
    rng = seeded(seed)
    channels = torch.randn(2, shape[0], *[1] * (len(shape) - 1), generator=rng, dtype=torch.float64)
    return torch.randn(samples, *shape, generator=rng, dtype=torch.float64) * channels[0].exp() + 3 * channels[1]


def made(name, shape, **args):
    """The layer in float64 with a scale and shift unlike 1 and 0."""
    layer = NORMS[name](shape, eps=EPS, **(DEFAULTS.get(name, {}) | args)).double()
    rng = seeded(9)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, 1.0, 0.5, generator=rng)
    return layer


def over(dims):
    """Mean and variance over these dimensions, by the definition."""

    def moments(x):
        n = 1
        for dim in dims:
            n *= x.shape[dim]
        mean = x.sum(dims, keepdim=True) / n
        return mean, ((x - mean) ** 2).sum(dims, keepdim=True) / n, n

    return moments


def per_channel(vector, x):
    return vector.reshape(1, -1, *[1] * (x.ndim - 2))


def standardized(x, mean, variance):
    return (x - mean) / (variance + EPS).sqrt()


def batch_dims(x):
    return tuple(dim for dim in range(x.ndim) if dim != 1)


# batch


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_trains_on_the_moments_of_the_batch(shape):
    layer, x = made("batch", shape, momentum=0.1, affine=True), features(shape)
    mean, variance, _ = over(batch_dims(x))(x)
    expected = standardized(x, mean, variance) * per_channel(layer.weight, x) + per_channel(layer.bias, x)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("momentum", [0.0, 0.1, 0.7, 1.0])
def test_batch_evaluates_by_its_running_statistics(shape, momentum):
    layer = made("batch", shape, momentum=momentum, affine=True)
    running_mean, running_variance = torch.zeros(shape[0]).double(), torch.ones(shape[0]).double()
    for step in range(4):
        x = features(shape, samples=5 + step, seed=step)
        layer(x)
        mean, variance, n = over(batch_dims(x))(x)
        running_mean = (1 - momentum) * running_mean + momentum * mean.flatten()
        running_variance = (1 - momentum) * running_variance + momentum * variance.flatten() * n / (n - 1)
    torch.testing.assert_close(layer.running_mean, running_mean)
    torch.testing.assert_close(layer.running_var, running_variance)
    layer.eval()
    x = features(shape, samples=3, seed=99)
    by_running = standardized(x, per_channel(running_mean, x), per_channel(running_variance, x))
    expected = by_running * per_channel(layer.weight, x) + per_channel(layer.bias, x)
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer(x[:1]), expected[:1])
    torch.testing.assert_close(layer.running_mean, running_mean)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_without_running_statistics_evaluates_by_those_of_the_batch(shape):
    layer, x = made("batch", shape, momentum=0.1, affine=True, track_running_stats=False), features(shape)
    layer(features(shape, seed=5))
    mean, variance, _ = over(batch_dims(x))(x)
    expected = standardized(x, mean, variance) * per_channel(layer.weight, x) + per_channel(layer.bias, x)
    assert dict(layer.named_buffers()) == {}
    torch.testing.assert_close(evaluated_as_trained(layer, x), expected)


def test_batch_s_value_check(make_option):
    layer = NORMS["batch"]((3,), **make_option("norm", "batch").args)
    rows = torch.tensor([[-0.6577, -0.5797, 0.6360], [0.7392, 0.2145, 1.523], [0.2432, 0.5662, 0.322]])
    expected = torch.tensor([[-1.3246, -1.3492, -0.3756], [1.0912, 0.3077, 1.3685], [0.2334, 1.0415, -0.9930]])
    torch.testing.assert_close(layer(rows).detach(), expected, rtol=0, atol=1e-4)


# the others: the same in training and evaluation


def evaluated_as_trained(layer, x):
    trained = layer(x)
    assert torch.equal(layer.eval()(x), trained)
    return trained


@pytest.mark.parametrize("shape", SHAPES)
def test_layer_is_over_all_features_of_a_sample(shape):
    layer, x = made("layer", shape, affine=True), features(shape)
    mean, variance, n = over(tuple(range(1, x.ndim)))(x)
    assert n == torch.Size(shape).numel()
    assert layer.weight.shape == layer.bias.shape == shape
    torch.testing.assert_close(
        evaluated_as_trained(layer, x), standardized(x, mean, variance) * layer.weight + layer.bias
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_rms_keeps_the_mean(shape):
    layer, x = made("rms", shape, affine=True), features(shape)
    dims = tuple(range(1, x.ndim))
    square = (x**2).sum(dims, keepdim=True) / torch.Size(shape).numel()
    assert layer.weight.shape == shape
    torch.testing.assert_close(evaluated_as_trained(layer, x), x / (square + EPS).sqrt() * layer.weight)


@pytest.mark.parametrize("affine", [False, True])
def test_instance_is_over_height_and_width(affine):
    layer, x = made("instance", MAPS, affine=affine), features(MAPS)
    mean, variance, n = over((2, 3))(x)
    assert n == 4 * 5
    expected = standardized(x, mean, variance)
    if affine:
        expected = expected * per_channel(layer.weight, x) + per_channel(layer.bias, x)
    torch.testing.assert_close(evaluated_as_trained(layer, x), expected)


@pytest.mark.parametrize("momentum", [0.0, 0.1, 1.0])
def test_instance_evaluates_by_running_statistics_if_told(momentum):
    layer = made("instance", MAPS, momentum=momentum, affine=True, track_running_stats=True)
    running_mean, running_variance = torch.zeros(6).double(), torch.ones(6).double()
    for step in range(3):
        x = features(MAPS, samples=4 + step, seed=step)
        mean, variance, n = over((2, 3))(x)
        expected = standardized(x, mean, variance) * per_channel(layer.weight, x) + per_channel(layer.bias, x)
        torch.testing.assert_close(layer(x), expected)
        running_mean = (1 - momentum) * running_mean + momentum * mean.mean((0, 2, 3))
        running_variance = (1 - momentum) * running_variance + momentum * variance.mean((0, 2, 3)) * n / (n - 1)
    layer.eval()
    x = features(MAPS, samples=3, seed=99)
    by_running = standardized(x, per_channel(running_mean, x), per_channel(running_variance, x))
    torch.testing.assert_close(layer(x), by_running * per_channel(layer.weight, x) + per_channel(layer.bias, x))


@pytest.mark.parametrize(
    ("name", "shape", "more", "dims"),
    [
        *[("batch", shape, {"momentum": 0.1}, batch_dims) for shape in SHAPES],
        *[("layer", shape, {}, lambda x: tuple(range(1, x.ndim))) for shape in SHAPES],
        *[("group", shape, {"groups": 1}, lambda x: tuple(range(1, x.ndim))) for shape in SHAPES],
        ("instance", MAPS, {}, lambda x: (2, 3)),
    ],
)
def test_without_a_shift_there_is_a_scale_alone(name, shape, more, dims):
    layer, x = made(name, shape, affine=True, bias=False, **more), features(shape)
    mean, variance, _ = over(dims(x))(x)
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    scale = layer.weight if name == "layer" else per_channel(layer.weight, x)
    torch.testing.assert_close(layer(x), standardized(x, mean, variance) * scale)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_group_is_over_a_group_s_channels_of_a_sample(shape, groups):
    layer, x = made("group", shape, groups=groups, affine=True), features(shape)
    size = shape[0] // groups
    parts = []
    for first in range(0, shape[0], size):
        part = x[:, first : first + size]
        mean, variance, n = over(tuple(range(1, x.ndim)))(part)
        assert n == torch.Size(shape).numel() // groups
        parts.append(standardized(part, mean, variance))
    expected = torch.cat(parts, 1) * per_channel(layer.weight, x) + per_channel(layer.bias, x)
    torch.testing.assert_close(evaluated_as_trained(layer, x), expected)


def test_none_is_no_module():
    assert NORMS["none"](MAPS) is None


# all of them


def every(shape):
    return [name for name in NORMS if name != "none" and (name != "instance" or len(shape) == 3)]


@pytest.mark.parametrize(("name", "shape"), [(name, shape) for shape in SHAPES for name in every(shape)])
def test_without_affine_nothing_is_learned(make_option, name, shape):
    changes = {"groups": 2} if name == "group" else {}
    layer = NORMS[name](shape, **make_option("norm", name, affine=False, **changes).args)
    assert list(layer.parameters()) == []


@pytest.mark.parametrize(("name", "shape"), [(name, shape) for shape in SHAPES for name in every(shape)])
def test_learned_scale_starts_at_one_and_shift_at_zero(make_option, name, shape):
    changes = {"groups": 2} if name == "group" else {}
    layer = NORMS[name](shape, **make_option("norm", name, affine=True, **changes).args)
    start = dict(layer.named_parameters())
    assert set(start) == ({"weight"} if name == "rms" else {"weight", "bias"})
    assert (start["weight"] == 1).all()
    assert name == "rms" or (start["bias"] == 0).all()


def test_yaml_s_defaults_are_torch_s(make_option):
    def options(name):
        return make_option("norm", name).args

    def attributes(layer, *keys):
        return {key: getattr(layer, key) for key in keys}

    running = ("eps", "momentum", "affine", "track_running_stats")
    assert options("batch") == {"bias": True, **attributes(nn.BatchNorm2d(1), *running)}
    assert options("instance") == {"bias": True, **attributes(nn.InstanceNorm2d(1), *running)}
    assert options("group") == {"groups": None, "bias": True, **attributes(nn.GroupNorm(1, 1), "eps", "affine")}
    assert options("layer") == {"eps": nn.LayerNorm(1).eps, "affine": True, "bias": True}


# mistakes


def test_instance_on_dense_features_is_refused():
    with pytest.raises(UserError, match=r"^norm=instance: needs spatial dimensions.* Allowed here: .*batch.*$"):
        made("instance", DENSE, affine=True)


@pytest.mark.parametrize(
    ("shape", "groups", "nearest"),
    [((256,), 7, 8), ((100,), 8, 10), ((32, 14, 14), 9, 8), ((3,), 8, 1), ((4, 1, 1), 4, 2)],
)
def test_groups_that_do_not_divide_the_width_are_refused(shape, groups, nearest):
    with pytest.raises(UserError, match=rf"^norm\.groups={groups}: .*width {shape[0]}\b") as caught:
        NORMS["group"](shape, groups=groups, eps=EPS, affine=True, bias=True)
    assert f"Nearest: {nearest}." in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((256,), 8), ((100,), 5), ((16, 28, 28), 8), ((6, 3, 3), 6), ((6,), 3), ((7,), 1), ((7, 3, 3), 7), ((101,), 1)],
)
def test_groups_of_null_divide_the_width(shape, expected):
    assert NORMS["group"](shape, groups=None, eps=EPS, affine=True, bias=True).num_groups == expected


LEFT = {"layer": "0", "rms": "its sign", "group": "0", "instance": "0"}
SINGLE = [
    ("layer", (1,)),
    ("rms", (1,)),
    ("group", (1,)),
    ("layer", (1, 1, 1)),
    ("rms", (1, 1, 1)),
    ("group", (1, 1, 1)),
]


@pytest.mark.parametrize(("name", "shape"), [*SINGLE, ("instance", (1, 1, 1)), ("instance", (64, 1, 1))])
def test_a_mean_over_a_single_feature_is_refused(make_option, name, shape):
    args = make_option("norm", name).args
    line = rf"^norm={name}: averages over 1 feature, of which it leaves {LEFT[name]}: needs a layer of 2 or more$"
    with pytest.raises(UserError, match=line):
        NORMS[name](shape, **args)


@pytest.mark.parametrize("shape", [(2,), (1, 2, 1), (2, 3, 3)])
@pytest.mark.parametrize("name", sorted(NORMS.keys() - {"none", "batch"}))
def test_features_that_a_norm_takes_keep_their_differences(make_option, name, shape):
    if name == "instance" and len(shape) == 1:
        return
    made = NORMS[name](shape, **make_option("norm", name).args)
    x = features(shape).float()
    assert made(x).std() > 0.1
