import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from regbench.models.architectures import build
from regbench.techniques.layers import weighted_layers
from regbench.techniques.optimizer import OPTIMIZERS
from regbench.techniques.regularizer import REGULARIZERS, limited, penalty, smoothing
from regbench.training.epoch_figures import Sums
from regbench.training.stack import Stack

CPU = torch.device("cpu")
LAMBDA = 0.05

FORMULAS = {  # value and slope of one element's penalty
    "l1": (lambda w: abs(w), lambda w: sign(w)),
    "l2": (lambda w, half: w**2 * (0.5 if half else 1), lambda w, half: w * (1 if half else 2)),
    "elastic_net": (
        lambda w, alpha, half: alpha * abs(w) + (1 - alpha) * w**2 / (1 + half),
        lambda w, alpha, half: alpha * sign(w) + (1 - alpha) * 2 * w / (1 + half),
    ),
}
CASES = [
    ("l1", {}),
    ("l2", {"half": False}),
    ("l2", {"half": True}),
    *[("elastic_net", {"alpha": alpha, "half": half}) for alpha in (0.0, 0.3, 1.0) for half in (False, True)],
]


def sign(w):
    return (w > 0) - (w < 0)


def small_model():
    """19 parameters: a filter of 4, a scale and a shift of 2 each, a matrix of 6, and biases."""
    return nn.Sequential(
        nn.Conv2d(1, 2, (1, 2)), nn.BatchNorm2d(2), nn.Flatten(), nn.LayerNorm(2), nn.Linear(2, 3), nn.Linear(3, 1)
    ).double()


SIZES = {"conv": 4, "conv bias": 2, "batch": 4, "layer": 4, "dense": 6, "dense bias": 3, "last": 3, "last bias": 1}
WEIGHTS = [kind for kind, size in SIZES.items() for _ in range(size)]  # the kind of each element
values = st.lists(st.floats(-100, 100), min_size=len(WEIGHTS), max_size=len(WEIGHTS))


def counts(kind, on):
    return on == "all" or kind in ("conv", "dense", "last")


def test_every_penalty_has_its_formula_here():
    assert set(FORMULAS) | {"none"} == set(REGULARIZERS)
    assert {name for name, _ in CASES} == set(FORMULAS)


@pytest.mark.parametrize("on", ["weights", "all"])
@pytest.mark.parametrize(("name", "terms"), CASES)
@settings(deadline=None, max_examples=5)
@given(values=values, strength=st.floats(1e-6, 10))
def test_value_and_gradient_are_the_closed_form(make_option, name, terms, on, values, strength):
    model = small_model()
    vector_to_parameters(torch.tensor(values, dtype=torch.float64), model.parameters())
    option = make_option("regularizer", name, strength=strength, on=on, **terms)
    actual = penalty(model, option, strength=strength, on=on)
    actual.backward()
    value, slope = FORMULAS[name]
    chosen = [w if counts(kind, on) else None for kind, w in zip(WEIGHTS, values, strict=True)]
    assert actual.shape == ()
    assert actual.item() == pytest.approx(
        strength * math.fsum(value(w, **terms) for w in chosen if w is not None), rel=1e-12
    )
    gradient = torch.cat(
        [(p.grad if p.grad is not None else p.new_zeros(p.shape)).flatten() for p in model.parameters()]
    )
    expected = [0.0 if w is None else strength * slope(w, **terms) for w in chosen]
    assert gradient.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("model", ["model=mlp", "model=cnn"])
@pytest.mark.parametrize("name", FORMULAS)
def test_biases_and_norms_only_count_on_all(make_config, make_option, model, name):
    network = build(make_config(model, "norm=batch", "model.channels=[4,8]" if model == "model=cnn" else "seed=1"))
    before = {on: value_of(network, make_option("regularizer", name, on=on)) for on in ("weights", "all")}
    for key, parameter in network.named_parameters():
        if parameter.ndim == 1:
            parameter.data.fill_(3.0)
            assert value_of(network, make_option("regularizer", name, on="weights")) == before["weights"], key
    assert value_of(network, make_option("regularizer", name, on="all")) > 1.01 * before["all"]


def value_of(model, option):
    return penalty(model, option, strength=option.args["strength"], on=option.args["on"]).item()


def test_strength_zero_costs_nothing(make_option):
    assert value_of(small_model(), make_option("regularizer", "l2", strength=0.0)) == 0


def test_none_is_zero():
    assert REGULARIZERS["none"](torch.ones(3)).item() == 0


# weight decay


def trained(make_option, name, weight_decay, option, steps=60, **changes):
    """The parameters after each step of a small network in float64, trained on the same batches every time."""
    rng = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 4)).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0.0, 0.7, generator=rng)
    optimizer = OPTIMIZERS[name](
        list(model.parameters()), **make_option("optimizer", name, weight_decay=weight_decay, **changes).args
    )
    path = []
    for _ in range(steps):
        x = torch.randn(16, 6, generator=rng, dtype=torch.float64)
        labels = torch.randint(0, 4, (16,), generator=rng)
        loss = cross_entropy(model(x), labels)
        if option is not None:
            loss = loss + penalty(model, option, strength=option.args["strength"], on=option.args["on"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        path.append(parameters_to_vector(model.parameters()).detach().clone())
    return torch.stack(path)


@pytest.mark.parametrize("changes", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}], ids=str)
def test_half_l2_is_weight_decay_to_sgd_step_for_step(make_option, changes):
    half = make_option("regularizer", "l2", strength=LAMBDA, half=True, on="all")
    penalized = trained(make_option, "sgd", 0.0, half, **changes)
    decayed = trained(make_option, "sgd", LAMBDA, None, **changes)
    plain = trained(make_option, "sgd", 0.0, None, **changes)
    torch.testing.assert_close(penalized, decayed, rtol=1e-9, atol=1e-12)
    assert (decayed[-1] - plain[-1]).abs().max() > 0.01


def test_whole_l2_is_twice_the_weight_decay_to_sgd(make_option):
    whole = make_option("regularizer", "l2", strength=LAMBDA, half=False, on="all")
    decayed = trained(make_option, "sgd", 2 * LAMBDA, None)
    torch.testing.assert_close(trained(make_option, "sgd", 0.0, whole), decayed, rtol=1e-9, atol=1e-12)


def test_half_l2_is_coupled_weight_decay_to_adam_and_not_adamw_s(make_option):
    half = make_option("regularizer", "l2", strength=LAMBDA, half=True, on="all")
    penalized = trained(make_option, "adam", 0.0, half, lr=0.01)
    coupled = trained(make_option, "adam", LAMBDA, None, lr=0.01)
    decoupled = trained(make_option, "adamw", LAMBDA, None, lr=0.01)
    torch.testing.assert_close(penalized, coupled, rtol=1e-6, atol=1e-9)
    assert (penalized[-1] - decoupled[-1]).abs().max() > 0.01


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_decay_of_the_gradient_hardly_shrinks_what_adam_sees_large_gradients_of(make_option, name):
    """SGD and AdamW shrink every weight by lr · λ a step; Adam divides the decay by the size of the gradient too."""
    shrunk = []
    for size in (0.1, 10.0):
        ends = []
        for decay in (0.0, LAMBDA):
            w = torch.ones((), dtype=torch.float64, requires_grad=True)
            option = make_option("optimizer", name, lr=1e-4, weight_decay=decay)
            optimizer = OPTIMIZERS[name]([w], **option.args)
            for turn in (1, -1, 1, -1):
                w.grad = torch.full_like(w, size * turn)
                optimizer.step()
            ends.append(w.item())
        shrunk.append(ends[0] - ends[1])
    if name == "adam":
        assert shrunk[0] > 50 * shrunk[1] > 0
    else:
        assert shrunk == pytest.approx([4 * 1e-4 * LAMBDA] * 2, rel=0.01)


def test_a_run_trains_on_loss_plus_penalty(make_config):
    """Over weights alone, by the runs' own steps, against torch's decay of a group of weights."""
    overrides = ("model.hidden=[12]", "optimizer=sgd", "norm=batch", "init.bias=0.3")
    terms = ("regularizer=l2", f"regularizer.strength={LAMBDA}", "regularizer.half=true", "precision=fp64")
    stack = Stack([make_config(*overrides, *terms)], CPU)
    reference = build(make_config(*overrides)).double()
    groups = [
        {"params": [p for p in reference.parameters() if p.ndim > 1], "weight_decay": LAMBDA},
        {"params": [p for p in reference.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=stack.begin_epoch(0)[0])
    rng = torch.Generator().manual_seed(0)
    for _ in range(20):
        images = torch.randn(8, 28, 28, generator=rng, dtype=torch.float64)
        labels = torch.randint(0, 10, (8,), generator=rng)
        weights = [p for p in reference.parameters() if p.ndim > 1]
        expected = LAMBDA / 2 * sum(float((w.detach() ** 2).sum()) for w in weights)
        loss = cross_entropy(reference(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        figures = stack.step(images[None], labels[None])
        assert figures.penalty.item() == pytest.approx(expected, rel=1e-9)
        assert cross_entropy(figures.logits[0], labels).item() == pytest.approx(loss.item(), rel=1e-9)
        torch.testing.assert_close(
            parameters_to_vector(stack.models[0].parameters()),
            parameters_to_vector(reference.parameters()),
            rtol=1e-8,
            atol=1e-10,
        )


# label smoothing


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
@settings(deadline=None, max_examples=10)
@given(
    values=st.lists(st.floats(-30, 30), min_size=12, max_size=12),
    labels=st.lists(st.integers(0, 3), min_size=3, max_size=3),
)
def test_smoothing_makes_the_cross_entropy_that_to_smoothed_targets(share, values, labels):
    logits = torch.tensor(values, dtype=torch.float64).reshape(3, 4).requires_grad_()
    labels = torch.tensor(labels)
    loss = cross_entropy(logits, labels) + smoothing(logits, labels, share)
    (gradient,) = torch.autograd.grad(loss, logits)
    expected = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        total = math.log(math.fsum(math.exp(v - max(row)) for v in row)) + max(row)
        targets = [share / 4 + (1 - share) * (k == label) for k in range(4)]
        expected += sum(target * (total - v) for target, v in zip(targets, row, strict=True)) / 3
    assert loss.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)
    torch_s = cross_entropy(logits, labels, label_smoothing=share)
    torch.testing.assert_close(loss, torch_s)
    torch.testing.assert_close(gradient, torch.autograd.grad(torch_s, logits)[0])


def test_smoothed_loss_is_least_where_probabilities_are_the_targets():
    """Without smoothing it is least at infinity."""
    logits = torch.zeros(1, 5, dtype=torch.float64, requires_grad=True)
    for _ in range(500):
        loss = cross_entropy(logits, torch.tensor([2])) + smoothing(logits, torch.tensor([2]), 0.2)
        (gradient,) = torch.autograd.grad(loss, logits)
        logits = (logits - 2 * gradient).detach().requires_grad_()
    assert logits.softmax(1)[0].tolist() == pytest.approx([0.04, 0.04, 0.84, 0.04, 0.04], abs=1e-6)


@pytest.fixture(scope="module")
def batch():
    return torch.randn(16, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 10


def stacked(batch):
    """The batch of a stack of one."""
    return tuple(tensor[None] for tensor in batch)


def test_a_run_trains_on_smoothed_labels_and_evaluates_on_plain_ones(make_config, batch):
    member = Stack([make_config("label_smoothing=0.3", "model.hidden=[12]", "optimizer=sgd")], CPU)
    logits = member.models[0](batch[0])
    (expected,) = torch.autograd.grad(
        cross_entropy(logits, batch[1], label_smoothing=0.3), [member.models[0].output.weight], retain_graph=True
    )
    plain = cross_entropy(logits, batch[1]).item()
    member.begin_epoch(0)
    figures = member.step(*stacked(batch))
    torch.testing.assert_close(member.models[0].output.weight.grad, expected)
    sums = Sums()
    sums.add(figures, stacked(batch)[1])
    assert sums.means()[0].train_loss == pytest.approx(plain, rel=1e-6)
    assert figures.penalty.item() == pytest.approx(
        cross_entropy(logits, batch[1], label_smoothing=0.3).item() - plain, rel=1e-5
    )
    fresh = Stack([make_config("model.hidden=[12]", "optimizer=sgd")], CPU)
    fresh.models[0].load_state_dict(member.models[0].state_dict())
    assert member.evaluate([stacked(batch)]).scores == fresh.evaluate([stacked(batch)]).scores


def test_smoothing_and_a_regularizer_add_up(make_config, batch):
    def added(*overrides):
        member = Stack([make_config("model.hidden=[12]", *overrides)], CPU)
        member.begin_epoch(0)
        return member.step(*stacked(batch)).penalty.item()

    both = added("label_smoothing=0.1", "regularizer=l2")
    assert both == pytest.approx(added("label_smoothing=0.1") + added("regularizer=l2"), rel=1e-6)


# max-norm


@pytest.mark.parametrize("shape", [(6, 5), (6, 3, 2, 2)], ids=str)
@pytest.mark.parametrize("limit", [0.5, 2.0, 50.0])
def test_units_above_the_limit_are_shortened_to_it_and_others_left_alone(shape, limit):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight *= torch.tensor([0.01, 0.1, 0.5, 1.0, 3.0, 10.0]).reshape(-1, *[1] * (len(shape) - 1))
    actual = limited(weight, limit)
    for row, shortened in zip(weight.flatten(1).tolist(), actual.flatten(1).tolist(), strict=True):
        norm = math.hypot(*row)
        if norm <= limit:
            assert shortened == row
        else:
            assert shortened == pytest.approx([w * limit / norm for w in row], rel=1e-12)
    torch.testing.assert_close(actual, torch.renorm(weight, 2, 0, limit), rtol=1e-6, atol=0)


def test_zero_weights_stay_zero_and_no_limit_is_none():
    assert torch.equal(limited(torch.zeros(3, 4), 0.5), torch.zeros(3, 4))
    weight = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(limited(weight, math.inf), weight)
    assert torch.equal(limited(torch.zeros(3, 4), math.inf), torch.zeros(3, 4))


@pytest.mark.parametrize("model", [["model.hidden=[20,15]"], ["model=cnn", "model.channels=[4,8]"]], ids=["mlp", "cnn"])
def test_a_run_s_units_never_get_longer_than_the_limit(make_config, batch, model):
    limited_run, free = (
        Stack([make_config(*model, "norm=batch", "init.bias=3", "optimizer=sgd", "optimizer.lr=5", *more)], CPU)
        for more in (["max_norm=0.7"], [])
    )
    for member in (limited_run, free):
        member.begin_epoch(0)
        for _ in range(3):
            member.step(*stacked(batch))
    longest = [
        max(float(layer.weight.detach().flatten(1).norm(dim=1).max()) for layer in weighted_layers(member.models[0]))
        for member in (limited_run, free)
    ]
    assert longest[0] == pytest.approx(0.7, rel=1e-5)
    assert longest[1] > 1
    assert all(layer.bias.min() > 1 for layer in weighted_layers(limited_run.models[0])), "biases are free"
