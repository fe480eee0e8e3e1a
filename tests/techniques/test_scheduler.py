import math

import pytest
import torch
from torch.optim import lr_scheduler

from regbench.techniques.scheduler import SCHEDULERS

EPOCHS = 12
LR = 0.3
TORCH = {
    "constant": lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda epoch: 1.0),
    "step": lr_scheduler.StepLR,
    "multistep": lr_scheduler.MultiStepLR,
    "exponential": lr_scheduler.ExponentialLR,
    "cosine": lambda optimizer, t_max, eta_min: lr_scheduler.CosineAnnealingLR(optimizer, t_max or EPOCHS, eta_min),
}
CASES = [
    *[(name, {}) for name in SCHEDULERS],
    ("step", {"step_size": 1, "gamma": 0.1}),
    ("step", {"step_size": 5, "gamma": 2.0}),
    ("step", {"step_size": 100}),
    ("multistep", {"milestones": [1, 2, 11], "gamma": 0.3}),
    ("multistep", {"milestones": [7, 4, 4], "gamma": 0.5}),
    ("multistep", {"milestones": []}),
    ("exponential", {"gamma": 0.99}),
    ("exponential", {"gamma": 1.0}),
    ("cosine", {"eta_min": 0.05}),
    ("cosine", {"t_max": 5, "eta_min": 0.01}),
    ("cosine", {"t_max": 1}),
    ("cosine", {"t_max": 40}),
]


def rates(name, args, lr=LR, epochs=EPOCHS):
    return [SCHEDULERS[name](lr, epoch, epochs, **args) for epoch in range(epochs)]


def torch_rates(name, args):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler = TORCH[name](optimizer, **args)
    found = []
    for _ in range(EPOCHS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_every_schedule_has_its_torch_class_here():
    assert set(TORCH) == set(SCHEDULERS)


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_every_epoch_s_rate_is_that_of_the_torch_class(make_option, name, changes):
    args = make_option("scheduler", name, **changes).args
    assert rates(name, args) == pytest.approx(torch_rates(name, args), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_first_epoch_trains_at_the_optimizer_s_rate(make_option, name):
    assert rates(name, make_option("scheduler", name).args)[0] == LR


@pytest.mark.parametrize("name", SCHEDULERS)
def test_rate_zero_stays_zero(make_option, name):
    assert rates(name, make_option("scheduler", name).args, lr=0.0) == [0.0] * EPOCHS


def test_constant_never_moves():
    assert rates("constant", {}) == [LR] * EPOCHS


def test_step_falls_right_at_its_epochs():
    found = rates("step", {"step_size": 3, "gamma": 0.1}, lr=1.0, epochs=8)
    assert found == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01])


def test_multistep_falls_right_at_its_milestones():
    found = rates("multistep", {"milestones": [2, 5], "gamma": 0.1}, lr=1.0, epochs=7)
    assert found == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.01, 0.01])


def test_exponential_from_2e_4_by_0_99():
    expected = [2e-4]
    while len(expected) < 200:
        expected.append(expected[-1] * 0.99)
    assert rates("exponential", {"gamma": 0.99}, lr=2e-4, epochs=200) == pytest.approx(expected, rel=1e-12)
    assert expected[69] < 1e-4 < expected[68]  # ln 2 / -ln 0.99 = 68.97 epochs to halve it


def test_cosine_at_landmarks():
    def at(epoch, **args):
        return SCHEDULERS["cosine"](1.0, epoch, 12, **({"t_max": None, "eta_min": 0.0} | args))

    assert [at(0), at(4), at(6), at(8), at(12)] == pytest.approx([1, 0.75, 0.5, 0.25, 0], abs=1e-15)
    assert [at(3), at(9)] == pytest.approx([0.5 + math.sqrt(2) / 4, 0.5 - math.sqrt(2) / 4])
    assert [at(6, eta_min=0.2), at(12, eta_min=0.2)] == pytest.approx([0.6, 0.2])
    assert [at(0, t_max=4), at(2, t_max=4), at(4, t_max=4)] == pytest.approx([1, 0.5, 0], abs=1e-15)


def test_cosine_over_all_epochs_is_the_one_with_their_number():
    assert rates("cosine", {"t_max": None, "eta_min": 0.1}) == rates("cosine", {"t_max": EPOCHS, "eta_min": 0.1})
