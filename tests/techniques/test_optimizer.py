from math import sqrt

import numpy as np
import pytest
import torch

from regbench.errors import UserError
from regbench.techniques.optimizer import OPTIMIZERS

STEPS = 5

# One step of each optimizer, as its paper and torch's documentation write it: w, gradient, memory, the step's number.


def sgd(w, g, memory, t, *, lr, momentum, dampening, weight_decay, nesterov):
    g = g + weight_decay * w
    if momentum:
        memory["b"] = g if t == 1 else momentum * memory["b"] + (1 - dampening) * g
        g = g + momentum * memory["b"] if nesterov else memory["b"]
    return w - lr * g


def adam(w, g, memory, t, *, lr, betas, eps, weight_decay, amsgrad):
    g = g + weight_decay * w
    memory["m"] = betas[0] * memory.get("m", 0) + (1 - betas[0]) * g
    memory["v"] = betas[1] * memory.get("v", 0) + (1 - betas[1]) * g * g
    memory["top"] = np.maximum(memory.get("top", 0), memory["v"]) if amsgrad else memory["v"]
    unbiased_m = memory["m"] / (1 - betas[0] ** t)
    unbiased_v = memory["top"] / (1 - betas[1] ** t)
    return w - lr * unbiased_m / (np.sqrt(unbiased_v) + eps)


def adamw(w, g, memory, t, *, lr, weight_decay, **rest):
    return adam(w - lr * weight_decay * w, g, memory, t, lr=lr, weight_decay=0, **rest)


def rmsprop(w, g, memory, t, *, lr, alpha, eps, weight_decay, momentum, centered):
    g = g + weight_decay * w
    memory["v"] = alpha * memory.get("v", 0) + (1 - alpha) * g * g
    memory["mean"] = alpha * memory.get("mean", 0) + (1 - alpha) * g
    variance = memory["v"] - memory["mean"] ** 2 if centered else memory["v"]
    memory["b"] = momentum * memory.get("b", 0) + g / (np.sqrt(variance) + eps)
    return w - lr * memory["b"]


def adagrad(w, g, memory, t, *, lr, lr_decay, weight_decay, initial_accumulator_value, eps):
    g = g + weight_decay * w
    memory["sum"] = memory.get("sum", initial_accumulator_value) + g * g
    return w - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(memory["sum"]) + eps)


REFERENCES = {function.__name__: function for function in (sgd, adam, adamw, rmsprop, adagrad)}
TORCH = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}
CASES = [
    *[(name, {}) for name in OPTIMIZERS],
    ("sgd", {"lr": 0.5, "weight_decay": 0.1}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("sgd", {"momentum": 0.8, "nesterov": True}),
    ("sgd", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.2}),
    *[(name, {"lr": 0.1, "betas": [0.5, 0.7], "eps": 0.1}) for name in ("adam", "adamw")],
    *[(name, {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "betas": [0.8, 0.5]}) for name in ("adam", "adamw")],
    *[(name, {"lr": 0.1, "weight_decay": 0.0}) for name in ("adam", "adamw")],
    ("adam", {"betas": [0.0, 0.0], "weight_decay": 0.2}),
    ("rmsprop", {"momentum": 0.9, "alpha": 0.7}),
    ("rmsprop", {"centered": True, "eps": 0.1}),
    ("rmsprop", {"centered": True, "momentum": 0.5, "weight_decay": 0.2, "lr": 0.1}),
    ("adagrad", {"lr_decay": 0.2, "weight_decay": 0.1}),
    ("adagrad", {"initial_accumulator_value": 0.5, "lr": 0.3}),
]


def start():
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in ((3, 4), (5,))]


def gradients():
    """One gradient for each step and parameter, of changing size and sign."""
    rng = np.random.default_rng(1)
    return [[rng.normal(size=w.shape) * 3.0 ** rng.integers(-2, 2) for w in start()] for _ in range(STEPS)]


def steps_of(optimizer_of):
    """The parameters after each step of a torch optimizer, float64."""
    parameters = [torch.tensor(w, requires_grad=True) for w in start()]
    optimizer = optimizer_of(parameters)
    path = []
    for gradient in gradients():
        for parameter, g in zip(parameters, gradient, strict=True):
            parameter.grad = torch.tensor(g)
        optimizer.step()
        path.append([parameter.detach().numpy().copy() for parameter in parameters])
    return path


def reference_steps(name, args):
    weights, memories, path = start(), [{}, {}], []
    for t, gradient in enumerate(gradients(), start=1):
        weights = [
            REFERENCES[name](w, g, memory, t, **args) for w, g, memory in zip(weights, gradient, memories, strict=True)
        ]
        path.append(weights)
    return path


def assert_same(path, expected, rtol):
    for step, wanted in zip(path, expected, strict=True):
        for w, right in zip(step, wanted, strict=True):
            np.testing.assert_allclose(w, right, rtol=rtol, atol=1e-14)


def test_every_optimizer_has_its_formula_here():
    assert set(REFERENCES) == set(TORCH) == set(OPTIMIZERS)


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_steps_are_the_formula_s(make_option, name, changes):
    args = make_option("optimizer", name, **changes).args
    path = steps_of(lambda parameters: OPTIMIZERS[name](parameters, **args))
    assert_same(path, reference_steps(name, args), rtol=1e-10)
    assert not np.allclose(path[0][0], start()[0], rtol=1e-5)


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_steps_are_the_torch_class_s(make_option, name, changes):
    args = make_option("optimizer", name, **changes).args
    path = steps_of(lambda parameters: OPTIMIZERS[name](parameters, **args))
    assert_same(path, steps_of(lambda parameters: TORCH[name](parameters, **args, foreach=False)), rtol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_yaml_s_defaults_but_the_rate_are_torch_s(make_option, name):
    args = {key: value for key, value in make_option("optimizer", name).args.items() if key != "lr"}
    defaults = TORCH[name]([torch.zeros(1)]).defaults
    assert {key: defaults[key] for key in args} == args


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rate_zero_leaves_the_weights(make_option, name):
    args = make_option("optimizer", name, lr=0.0).args
    path = steps_of(lambda parameters: OPTIMIZERS[name](parameters, **args))
    assert_same(path, [start()] * STEPS, rtol=0)


def test_adam_s_first_step_is_the_rate_whatever_the_gradient(make_option):
    args = make_option("optimizer", "adam", lr=0.25, eps=0.0).args
    first = steps_of(lambda parameters: OPTIMIZERS["adam"](parameters, **args))[0]
    for before, after, g in zip(start(), first, gradients()[0], strict=True):
        np.testing.assert_allclose(before - after, 0.25 * np.sign(g), rtol=1e-12)


def test_adagrad_s_second_step_on_a_constant_gradient_is_shorter_by_root_two(make_option):
    w = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = OPTIMIZERS["adagrad"]([w], **make_option("optimizer", "adagrad", lr=1.0).args)
    lengths = []
    for _ in range(2):
        before = w.item()
        w.grad = torch.tensor([4.0], dtype=torch.float64)
        optimizer.step()
        lengths.append(before - w.item())
    assert lengths == pytest.approx([1, 1 / sqrt(2)])


@pytest.mark.parametrize("changes", [{"momentum": 0.0}, {"momentum": 0.9, "dampening": 0.1}])
def test_nesterov_needs_undamped_momentum(make_option, changes):
    args = make_option("optimizer", "sgd", nesterov=True, **changes).args
    line = r"^optimizer\.nesterov=true: needs optimizer\.momentum above 0 and optimizer\.dampening=0$"
    with pytest.raises(UserError, match=line):
        OPTIMIZERS["sgd"]([torch.zeros(1)], **args)
