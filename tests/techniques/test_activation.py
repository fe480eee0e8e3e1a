import math

import pytest
import torch

from regbench.techniques.activation import ACTIVATIONS

FORMULAS = {
    "relu": lambda x: max(0.0, x),
    "leaky_relu": lambda x, negative_slope: x if x > 0 else negative_slope * x,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": lambda x: (math.exp(2 * x) - 1) / (math.exp(2 * x) + 1),
}
SLOPES = {
    "relu": lambda x: float(x > 0),
    "leaky_relu": lambda x, negative_slope: 1.0 if x > 0 else negative_slope,
    "sigmoid": lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2,
    "tanh": lambda x: 4 / (math.exp(x) + math.exp(-x)) ** 2,
}
CASES = [
    *[(name, {}) for name in ACTIVATIONS],
    ("leaky_relu", {"negative_slope": 0.0}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("leaky_relu", {"negative_slope": 1.5}),
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
