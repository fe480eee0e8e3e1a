import io
from math import sqrt

import numpy as np
import pytest
import torch

from regbench.errors import UserError
from regbench.techniques.optimizer import OPTIMIZERS, has_momentum, set_momentum

STEPS = 8  # radam is rectified from the sixth on

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


def nadam(w, g, memory, t, *, lr, betas, eps, weight_decay, momentum_decay, decoupled_weight_decay):
    w, g = decayed(w, g, lr, weight_decay, decoupled_weight_decay)
    now, following = (betas[0] * (1 - 0.96 ** (n * momentum_decay) / 2) for n in (t, t + 1))
    memory["product"] = memory.get("product", 1) * now
    memory["m"] = betas[0] * memory.get("m", 0) + (1 - betas[0]) * g
    memory["v"] = betas[1] * memory.get("v", 0) + (1 - betas[1]) * g * g
    ahead = following * memory["m"] / (1 - memory["product"] * following) + (1 - now) * g / (1 - memory["product"])
    return w - lr * ahead / (np.sqrt(memory["v"] / (1 - betas[1] ** t)) + eps)


def radam(w, g, memory, t, *, lr, betas, eps, weight_decay, decoupled_weight_decay):
    w, g = decayed(w, g, lr, weight_decay, decoupled_weight_decay)
    memory["m"] = betas[0] * memory.get("m", 0) + (1 - betas[0]) * g
    memory["v"] = betas[1] * memory.get("v", 0) + (1 - betas[1]) * g * g
    unbiased = memory["m"] / (1 - betas[0] ** t)
    top = 2 / (1 - betas[1]) - 1
    rho = top - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
    if rho <= 5:
        return w - lr * unbiased
    rectified = sqrt((rho - 4) * (rho - 2) * top / ((top - 4) * (top - 2) * rho))
    return w - lr * unbiased * rectified * sqrt(1 - betas[1] ** t) / (np.sqrt(memory["v"]) + eps)


def decayed(w, g, lr, weight_decay, decoupled):
    return (w - lr * weight_decay * w, g) if decoupled else (w, g + weight_decay * w)


def adamax(w, g, memory, t, *, lr, betas, eps, weight_decay):
    g = g + weight_decay * w
    memory["m"] = betas[0] * memory.get("m", 0) + (1 - betas[0]) * g
    memory["u"] = np.maximum(betas[1] * memory.get("u", 0), np.abs(g) + eps)
    return w - lr / (1 - betas[0] ** t) * memory["m"] / memory["u"]


def adadelta(w, g, memory, t, *, lr, rho, eps, weight_decay):
    g = g + weight_decay * w
    memory["v"] = rho * memory.get("v", 0) + (1 - rho) * g * g
    change = np.sqrt(memory.get("u", 0) + eps) / np.sqrt(memory["v"] + eps) * g
    memory["u"] = rho * memory.get("u", 0) + (1 - rho) * change * change
    return w - lr * change


def asgd(w, g, memory, t, *, lr, lambd, alpha, t0, weight_decay):
    g = g + weight_decay * w
    eta = lr / (1 + lambd * lr * (t - 1)) ** alpha
    return w * (1 - lambd * eta) - eta * g


def rprop(w, g, memory, t, *, lr, etas, step_sizes):
    turned = np.sign(g * memory.get("g", 0))
    factor = np.where(turned > 0, etas[1], np.where(turned < 0, etas[0], 1))
    memory["length"] = np.clip(memory.get("length", lr) * factor, *step_sizes)
    memory["g"] = np.where(turned < 0, 0, g)
    return w - memory["length"] * np.sign(memory["g"])


def sparse_adam(w, g, memory, t, *, lr, betas, eps):
    there = g != 0
    memory["m"] = np.where(there, betas[0] * memory.get("m", 0) + (1 - betas[0]) * g, memory.get("m", 0))
    memory["v"] = np.where(there, betas[1] * memory.get("v", 0) + (1 - betas[1]) * g * g, memory.get("v", 0))
    rate = lr * sqrt(1 - betas[1] ** t) / (1 - betas[0] ** t)
    return w - there * rate * memory["m"] / (np.sqrt(memory["v"]) + eps)


def outer(rows, columns, least):
    return np.outer(rows, columns) / max(rows.mean(), least)


def adafactor(w, g, memory, t, *, lr, beta2_decay, eps1, eps2, d, weight_decay):
    eps1 = np.finfo(np.float64).eps if eps1 is None else eps1
    rate = max(eps2, np.sqrt((w * w).mean())) * min(lr, 1 / sqrt(t))
    new = t**beta2_decay
    squares = {"v": g * g} if g.ndim == 1 else {"rows": (g * g).mean(1), "columns": (g * g).mean(0)}
    for key, value in squares.items():
        memory[key] = (1 - new) * memory.get(key, 0) + new * value
    second = memory["v"] if g.ndim == 1 else outer(memory["rows"], memory["columns"], eps1)
    update = g / np.sqrt(np.maximum(second, eps1 * eps1))
    return w * (1 - lr * weight_decay) - rate * update / max(1, np.sqrt((update * update).mean()) / d)


REFERENCES = {
    function.__name__: function
    for function in (
        *(sgd, adam, adamw, rmsprop, adagrad, nadam, radam),
        *(adamax, adadelta, asgd, rprop, sparse_adam, adafactor),
    )
}
TORCH = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "adamax": torch.optim.Adamax,
    "adadelta": torch.optim.Adadelta,
    "asgd": torch.optim.ASGD,
    "rprop": torch.optim.Rprop,
}
SINGLE = {"nadam": 1e-5, "asgd": 1e-5}  # relative: torch keeps a factor of theirs in float32
BY_CLOSURE = {"lbfgs"}  # which needs gradients that follow the weights
NO_FORMULA = {"lbfgs", "muon"}  # held to torch's classes below
CASES = [
    *[(name, {}) for name in OPTIMIZERS if name not in NO_FORMULA],
    *[(name, {"lr": 0.1, "betas": [0.7, 0.8], "eps": 0.1}) for name in ("nadam", "radam", "adamax", "sparse_adam")],
    *[(name, {"lr": 0.1, "weight_decay": 0.3, "decoupled_weight_decay": True}) for name in ("nadam", "radam")],
    *[(name, {"lr": 0.1, "weight_decay": 0.3}) for name in ("nadam", "radam", "adamax", "adadelta", "asgd")],
    ("nadam", {"momentum_decay": 0.5}),
    ("adadelta", {"lr": 0.3, "rho": 0.5, "eps": 0.01}),
    ("asgd", {"lr": 0.3, "lambd": 0.2, "alpha": 0.5, "t0": 3}),
    ("rprop", {"lr": 0.1, "etas": [0.3, 2.0], "step_sizes": [0.05, 0.5]}),
    ("adafactor", {"lr": 0.9, "beta2_decay": -0.5, "weight_decay": 0.2}),
    ("adafactor", {"eps1": 0.5, "eps2": 10.0, "d": 3.0}),
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
    return [rng.normal(size=shape) for shape in ((3, 4), (5,), (4, 3), (2, 4))]


def gradients():
    """One gradient for each step and parameter, of changing size and sign, some elements 0."""
    rng = np.random.default_rng(1)
    return [
        [rng.normal(size=w.shape) * 3.0 ** rng.integers(-2, 2) * (rng.random(w.shape) < 0.9) for w in start()]
        for _ in range(STEPS)
    ]


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
    weights, path = start(), []
    memories = [{} for _ in weights]
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
    assert set(REFERENCES) | NO_FORMULA == set(OPTIMIZERS)
    assert set(TORCH) == set(REFERENCES) - {"sparse_adam", "adafactor"}, "whose arguments are not torch's"


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_steps_are_the_formula_s(make_option, name, changes):
    args = make_option("optimizer", name, **changes).args
    path = steps_of(lambda parameters: OPTIMIZERS[name](parameters, **args))
    assert_same(path, reference_steps(name, args), rtol=SINGLE.get(name, 1e-10))
    assert not np.allclose(path[0][0], start()[0], rtol=1e-5)


@pytest.mark.parametrize(("name", "changes"), [case for case in CASES if case[0] in TORCH])
def test_steps_are_the_torch_class_s(make_option, name, changes):
    args = make_option("optimizer", name, **changes).args
    path = steps_of(lambda parameters: OPTIMIZERS[name](parameters, **args))
    assert_same(path, steps_of(lambda parameters: TORCH[name](parameters, **args, foreach=False)), rtol=1e-12)


@pytest.mark.parametrize("changes", [{}, {"lr": 0.9, "weight_decay": 0.2, "d": 2.0, "beta2_decay": -0.5}])
def test_adafactor_is_the_torch_class(make_option, changes):
    args = make_option("optimizer", "adafactor", **changes).args
    theirs = {key: value for key, value in args.items() if not key.startswith("eps")}
    path = steps_of(lambda parameters: OPTIMIZERS["adafactor"](parameters, **args))
    assert_same(path, steps_of(lambda parameters: torch.optim.Adafactor(parameters, **theirs)), rtol=1e-12)


def test_sparse_adam_is_the_torch_class_on_sparse_gradients(make_option):
    args = make_option("optimizer", "sparse_adam", lr=0.1).args
    parameters = [torch.tensor(w, requires_grad=True) for w in start()]
    optimizer = torch.optim.SparseAdam(parameters, **args)
    path = []
    for gradient in gradients():
        for parameter, g in zip(parameters, gradient, strict=True):
            parameter.grad = torch.tensor(g).to_sparse()
        optimizer.step()
        path.append([parameter.detach().numpy().copy() for parameter in parameters])
    assert_same(steps_of(lambda parameters: OPTIMIZERS["sparse_adam"](parameters, **args)), path, rtol=1e-12)


def test_sparse_adam_leaves_the_gradients_dense(make_option):
    w = torch.zeros(3, requires_grad=True)
    w.grad = gradient = torch.tensor([0.0, 1.0, 0.0])
    OPTIMIZERS["sparse_adam"]([w], **make_option("optimizer", "sparse_adam").args).step()
    assert w.grad is gradient
    assert (w != 0).tolist() == [False, True, False]


MUON_CASES = [
    {},
    {"lr": 0.1, "weight_decay": 0.0, "momentum": 0.5, "nesterov": False, "adamw_lr_ratio": 0.3},
    {"adjust_lr_fn": "original", "ns_steps": 3, "ns_coefficients": [2.0, -1.5, 0.5], "adamw_betas": [0.5, 0.6]},
]


@pytest.mark.parametrize("changes", MUON_CASES, ids=str)
def test_muon_is_torch_s_for_hidden_matrices_and_adamw_for_the_rest(make_option, changes):
    args = make_option("optimizer", "muon", **changes).args
    muon_args = {key: value for key, value in args.items() if not key.startswith("adamw_")}

    def muon(parameters):
        return torch.optim.Muon([parameters[2]], **muon_args)

    def adamw(parameters):
        rate, decay = args["lr"] * args["adamw_lr_ratio"], args["weight_decay"]
        others = [parameter for index, parameter in enumerate(parameters) if index != 2]
        return torch.optim.AdamW(others, rate, args["adamw_betas"], args["adamw_eps"], decay)

    hidden, rest = steps_of(muon), steps_of(adamw)
    expected = [[b[0], b[1], a[2], b[3]] for a, b in zip(hidden, rest, strict=True)]
    assert_same(steps_of(lambda parameters: OPTIMIZERS["muon"](parameters, **args)), expected, rtol=1e-12)
    assert not np.allclose(hidden[0][2], start()[2])


def test_muon_s_update_is_nearly_orthogonal(make_option):
    args = make_option("optimizer", "muon", lr=1.0, weight_decay=0.0, adjust_lr_fn="original").args
    update = start()[2] - steps_of(lambda parameters: OPTIMIZERS["muon"](parameters, **args))[0][2]
    singular = np.linalg.svd(update / sqrt(4 / 3), compute_uv=False)
    assert (singular > 0.5).all() and (singular < 1.5).all()


def test_muon_needs_a_hidden_matrix(make_option):
    args = make_option("optimizer", "muon").args
    with pytest.raises(UserError, match=r"^optimizer=muon: needs a dense layer between [^\n]*$"):
        OPTIMIZERS["muon"]([torch.zeros(3, 4), torch.zeros(3), torch.zeros(2, 3), torch.zeros(2)], **args)


def minimized(optimizer_of, steps):
    """The parameters after each step down a valley (Rosenbrock's), whose gradients follow the weights."""
    w = torch.tensor([[-1.2, 1.0]], dtype=torch.float64, requires_grad=True)
    optimizer, path = optimizer_of([w]), []

    def closure():
        optimizer.zero_grad()
        loss = 100 * (w[0, 1] - w[0, 0] ** 2) ** 2 + (1 - w[0, 0]) ** 2
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
        path.append([w.detach().numpy().copy()])
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lr": 1e-3, "line_search_fn": None},
        {"max_iter": 3, "history_size": 2, "max_eval": 5},
        {"lr": 1e-3, "line_search_fn": None, "tolerance_grad": 100.0, "tolerance_change": 0.1},
    ],
    ids=str,
)
def test_lbfgs_is_the_torch_class(make_option, changes):
    args = make_option("optimizer", "lbfgs", **changes).args
    path = minimized(lambda parameters: OPTIMIZERS["lbfgs"](parameters, **args), 3)
    assert_same(path, minimized(lambda parameters: torch.optim.LBFGS(parameters, **args), 3), rtol=1e-12)


def test_lbfgs_finds_the_end_of_the_valley(make_option):
    args = make_option("optimizer", "lbfgs", line_search_fn="strong_wolfe").args
    path = minimized(lambda parameters: OPTIMIZERS["lbfgs"](parameters, **args), 8)
    np.testing.assert_allclose(path[-1][0], [[1, 1]], atol=1e-4)


def test_lbfgs_takes_gradients_in_any_memory_format(make_option):
    w = torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last).requires_grad_()
    optimizer = OPTIMIZERS["lbfgs"]([w], **make_option("optimizer", "lbfgs").args)

    def closure():
        w.grad = 2 * w.detach()
        return w.square().sum()

    optimizer.step(closure)
    assert w.abs().max() < 1e-5


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
def test_lbfgs_at_rate_zero_leaves_the_weights(make_option, line_search):
    args = make_option("optimizer", "lbfgs", lr=0.0, line_search_fn=line_search).args
    path = minimized(lambda parameters: OPTIMIZERS["lbfgs"](parameters, **args), 2)
    assert_same(path, [[np.array([[-1.2, 1.0]])]] * 2, rtol=0)


@pytest.mark.parametrize("name", TORCH)
def test_yaml_s_defaults_but_the_rate_are_torch_s(make_option, name):
    args = {key: value for key, value in make_option("optimizer", name).args.items() if key != "lr"}
    defaults = TORCH[name]([torch.zeros(1)]).defaults
    assert {key: defaults[key] for key in args} == args


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("lbfgs", torch.optim.LBFGS),
        ("sparse_adam", torch.optim.SparseAdam),
        ("adafactor", torch.optim.Adafactor),
        ("muon", torch.optim.Muon),
    ],
)
def test_yaml_s_defaults_of_the_adapted_are_torch_s_but_for_what_is_meant(make_option, name, theirs):
    args = {key: value for key, value in make_option("optimizer", name).args.items() if not key.startswith("adamw_")}
    args |= {"eps": (args.pop("eps1"), args.pop("eps2"))} if name == "adafactor" else {}
    defaults = {key: value for key, value in theirs([torch.zeros(1, 1)]).defaults.items() if key in args}
    meant = {
        "muon": {"adjust_lr_fn": "match_rms_adamw"},  # the rate fits adamw's
        "lbfgs": {
            "max_eval": None,
            "line_search_fn": "strong_wolfe",
            "history_size": 10,
        },  # torch's diverge, and take long
    }
    assert args == {**defaults, **meant.get(name, {})}


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - BY_CLOSURE))
def test_interrupted_and_loaded_it_takes_the_same_steps(make_option, name):
    args = make_option("optimizer", name).args
    whole, halved = (
        [torch.tensor(w, dtype=torch.float32, requires_grad=True) for w in start()] for _ in ("whole", "halved")
    )
    optimizer, again = OPTIMIZERS[name](whole, **args), OPTIMIZERS[name](halved, **args)
    for number, gradient in enumerate(gradients()):
        if number == 3:
            file = io.BytesIO()
            torch.save(again.state_dict(), file)
            file.seek(0)
            again = OPTIMIZERS[name](halved, **args)
            again.load_state_dict(torch.load(file, weights_only=True))
        for parameter, other, g in zip(whole, halved, gradient, strict=True):
            parameter.grad, other.grad = (torch.tensor(g, dtype=torch.float32) for _ in range(2))
        optimizer.step()
        again.step()
    assert all(map(torch.equal, whole, halved))


def test_lbfgs_interrupted_and_loaded_takes_the_same_steps(make_option):
    args = make_option("optimizer", "lbfgs", lr=1e-3, max_iter=3).args
    whole = minimized(lambda parameters: OPTIMIZERS["lbfgs"](parameters, **args), 4)
    kept = {}

    def first(parameters):
        kept["first"] = OPTIMIZERS["lbfgs"](parameters, **args)
        return kept["first"]

    half = minimized(first, 2)

    def second(parameters):
        with torch.no_grad():
            parameters[0].copy_(torch.tensor(half[-1][0]))
        optimizer = OPTIMIZERS["lbfgs"](parameters, **args)
        file = io.BytesIO()
        torch.save(kept["first"].state_dict(), file)
        file.seek(0)
        optimizer.load_state_dict(torch.load(file, weights_only=True))
        return optimizer

    assert_same(minimized(second, 2), whole[2:], rtol=0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_setting_is_in_the_parameter_groups(make_option, name):
    args = make_option("optimizer", name).args
    groups = OPTIMIZERS[name]([torch.tensor(w) for w in start()], **args).param_groups
    values = [value for group in groups for key, value in group.items() if key != "params"]
    flat = [*values, *(item for value in values if isinstance(value, tuple) for item in value)]
    missing = {key for key, value in args.items() if value not in flat}
    assert missing <= ({"max_eval"} if name == "lbfgs" else set()), "null is resolved"


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - BY_CLOSURE))
def test_rate_zero_leaves_the_weights(make_option, name):
    first_length = {"lr": 0.0, "step_sizes": [0.0, 1.0]} if name == "rprop" else {}  # all that rprop's rate is
    args = make_option("optimizer", name, **first_length).args

    def still(parameters):
        optimizer = OPTIMIZERS[name](parameters, **args)
        for group in optimizer.param_groups:
            group["lr"] = 0.0
        return optimizer

    if name == "asgd":
        args["lr"] = 0.0  # its first step's rate is fixed when it is made
    assert_same(steps_of(still), [start()] * STEPS, rtol=0)


def test_adam_s_first_step_is_the_rate_whatever_the_gradient(make_option):
    args = make_option("optimizer", "adam", lr=0.25, eps=0.0).args
    first = steps_of(lambda parameters: OPTIMIZERS["adam"](parameters, **args))[0]
    for before, after, g in zip(start(), first, gradients()[0], strict=True):
        np.testing.assert_allclose((before - after)[g != 0], 0.25 * np.sign(g[g != 0]), rtol=1e-12)


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


STEERED = {*("sgd", "rmsprop", "muon"), *("adam", "adamw", "nadam", "radam", "adamax", "sparse_adam")}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_schedule_sets_the_momentum_of_those_that_have_one(make_option, name):
    """Those whose momentum torch's schedules set, too; they refuse the others."""
    args = make_option("optimizer", name).args
    optimizer = OPTIMIZERS[name]([torch.tensor(w, requires_grad=True) for w in start()], **args)
    assert has_momentum(make_option("optimizer", name)) == (name in STEERED)
    if name in STEERED:
        set_momentum(optimizer, None)
        assert 0.7 not in momenta(optimizer)
        set_momentum(optimizer, 0.7)
        assert set(momenta(optimizer)) == {0.7}
        assert all(group["betas"][1:] == args.get("betas", args.get("adamw_betas"))[1:] for group in kept(optimizer))


def kept(optimizer):
    return [group for group in optimizer.param_groups if "betas" in group]


def momenta(optimizer):
    return [group["betas"][0] if "betas" in group else group["momentum"] for group in optimizer.param_groups]


@pytest.mark.parametrize("name", sorted(STEERED - {"muon"}))
def test_steps_of_a_changing_momentum_are_the_formula_s(make_option, name):
    args = make_option("optimizer", name, lr=0.1).args
    path, (weights, memories) = [], (start(), [{} for _ in start()])
    parameters = [torch.tensor(w, requires_grad=True) for w in start()]
    optimizer = OPTIMIZERS[name](parameters, **args)
    for t, gradient in enumerate(gradients(), start=1):
        momentum = 0.95 - 0.1 * t / STEPS
        set_momentum(optimizer, momentum)
        changed = {"betas": (momentum, args["betas"][1])} if "betas" in args else {"momentum": momentum}
        for parameter, g in zip(parameters, gradient, strict=True):
            parameter.grad = torch.tensor(g)
        optimizer.step()
        path.append([parameter.detach().numpy().copy() for parameter in parameters])
        weights = [
            REFERENCES[name](w, g, memory, t, **{**args, **changed})
            for w, g, memory in zip(weights, gradient, memories, strict=True)
        ]
        assert_same([path[-1]], [weights], rtol=SINGLE.get(name, 1e-9))
