import math

import pytest
import torch
from torch import nn

from regbench.techniques.activation import ACTIVATIONS, activation_gain
from regbench.techniques.init import initialize

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # [Klambauer 2017], equation 14


def phi(x):
    """The distribution function of the standard normal distribution."""
    return (1 + math.erf(x / math.sqrt(2))) / 2


def phi_by_tanh(x):
    """Its approximation [Hendrycks & Gimpel 2016], section 2."""
    return (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


def slope(function, x, step=1e-4):
    """By central differences of fourth order."""
    near, far = function(x + step) - function(x - step), function(x + 2 * step) - function(x - 2 * step)
    return (8 * near - far) / (12 * step)


FORMULAS = {
    "relu": lambda x: max(0.0, x),
    "leaky_relu": lambda x, negative_slope: x if x > 0 else negative_slope * x,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": lambda x: (math.exp(2 * x) - 1) / (math.exp(2 * x) + 1),
    "elu": lambda x, alpha: x if x > 0 else alpha * (math.exp(x) - 1),
    "selu": lambda x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * (math.exp(x) - 1)),
    "gelu": lambda x, approximate: x * (phi(x) if approximate == "none" else phi_by_tanh(x)),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "identity": lambda x: x,
}
SLOPES = {
    "relu": lambda x: float(x > 0),
    "leaky_relu": lambda x, negative_slope: 1.0 if x > 0 else negative_slope,
    "sigmoid": lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2,
    "tanh": lambda x: 4 / (math.exp(x) + math.exp(-x)) ** 2,
    "elu": lambda x, alpha: 1.0 if x > 0 else alpha * math.exp(x),
    "selu": lambda x: SELU_SCALE * (1.0 if x > 0 else SELU_ALPHA * math.exp(x)),
    "gelu": lambda x, approximate: slope(lambda x: FORMULAS["gelu"](x, approximate), x),
    "silu": lambda x: (1 + math.exp(-x) * (1 + x)) / (1 + math.exp(-x)) ** 2,
    "identity": lambda x: 1.0,
}
CASES = [
    *[(name, {}) for name in ACTIVATIONS],
    ("leaky_relu", {"negative_slope": 0.0}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("leaky_relu", {"negative_slope": 1.5}),
    ("elu", {"alpha": 0.0}),
    ("elu", {"alpha": 0.7}),
    ("gelu", {"approximate": "tanh"}),
]


def test_every_activation_has_its_formula_here():
    assert set(FORMULAS) == set(SLOPES) == set(ACTIVATIONS)


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_values_and_slopes_are_the_formula_s(make_option, name, changes):
    args = make_option("activation", name, **changes).args
    x = torch.linspace(-6, 6, 25, dtype=torch.float64, requires_grad=True)
    y = ACTIVATIONS[name](**args)(x)
    y.sum().backward()
    points = x.tolist()
    torch.testing.assert_close(y.tolist(), [FORMULAS[name](point, **args) for point in points])
    torch.testing.assert_close(x.grad.tolist(), [SLOPES[name](point, **args) for point in points])


def test_leaky_relu_leaks_a_hundredth(make_option):
    assert make_option("activation", "leaky_relu").args == {"negative_slope": 0.01}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4, 4)])
def test_input_is_kept_and_shape_too(make_option, name, shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    assert ACTIVATIONS[name](**make_option("activation", name).args)(x).shape == shape
    assert torch.equal(x, before)


def test_gelu_s_approximation_is_as_close_as_its_yaml_says(make_option):
    x = torch.linspace(-8, 8, 10_001, dtype=torch.float64)
    exact, approximate = (ACTIVATIONS["gelu"](approximate=kind)(x) for kind in ("none", "tanh"))
    assert 4e-4 < (exact - approximate).abs().max() < 5e-4


def test_selu_has_its_fixed_point_at_mean_0_and_variance_1(make_option):
    """Lecun's weights keep standard normal inputs standard normal [Klambauer 2017]."""
    z = torch.linspace(-10, 10, 100_001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2)
    y = ACTIVATIONS["selu"]()(z)
    mean = (density * y).sum() / density.sum()
    assert mean.item() == pytest.approx(0, abs=1e-6)
    assert ((density * y.square()).sum() / density.sum()).item() == pytest.approx(1, abs=1e-6)


# gain


@pytest.mark.parametrize(
    ("activation", "args", "gain"),
    [
        ("relu", {}, math.sqrt(2)),
        ("leaky_relu", {}, math.sqrt(2 / (1 + 0.01**2))),
        ("leaky_relu", {"negative_slope": 0.5}, math.sqrt(2 / 1.25)),
        ("leaky_relu", {"negative_slope": 0.0}, math.sqrt(2)),
        ("leaky_relu", {"negative_slope": 1.0}, 1.0),
        ("sigmoid", {}, 1.0),
        ("tanh", {}, 5 / 3),
        ("selu", {}, 3 / 4),
        ("identity", {}, 1.0),
        ("elu", {"alpha": 1.0}, 1.2451983),  # the rule for the rest: 1 / √E[f(z)²], here by scipy.integrate.quad
        ("elu", {"alpha": 0.0}, math.sqrt(2)),
        ("gelu", {}, 1.5335304),
        ("silu", {}, 1.6765325),
    ],
)
def test_gain_is_that_of_torch_or_of_the_rule(make_option, activation, args, gain):
    assert activation_gain(make_option("activation", activation, **args)) == pytest.approx(gain, rel=1e-6)


@pytest.mark.parametrize("activation", ["elu", "gelu", "silu"])
def test_the_rule_for_other_gains_keeps_the_variance_of_a_layer_s_outputs(make_option, activation):
    option = make_option("activation", activation)
    layers = nn.Sequential(*[nn.Linear(800, 800) for _ in range(2)])
    initialize(layers, make_option("init", "kaiming"), activation_gain(option), 0, bias=0.0)
    x = torch.randn(800, 800, generator=torch.Generator().manual_seed(3))  # outputs of variance 1
    for layer in layers:
        x = layer(ACTIVATIONS[activation](**option.args)(x))
        assert x.var().item() == pytest.approx(1, rel=0.1)
