import math

import pytest
import torch
from torch.optim import lr_scheduler

from regbench.config.registry import Option
from regbench.techniques.scheduler import SCHEDULERS, setting

EPOCHS = 12
LR = 0.3
SHARED = {"warmup_epochs": 0, "interval": "epoch"}


def cyclic(optimizer, base_factor, **args):
    return lr_scheduler.CyclicLR(optimizer, LR * base_factor, LR, **args)


TORCH = {
    "constant": lr_scheduler.ConstantLR,
    "step": lr_scheduler.StepLR,
    "multistep": lr_scheduler.MultiStepLR,
    "exponential": lr_scheduler.ExponentialLR,
    "linear": lambda optimizer, start_factor, end_factor, total_iters: lr_scheduler.LinearLR(
        optimizer, start_factor, end_factor, total_iters or EPOCHS
    ),
    "polynomial": lambda optimizer, power, total_iters: lr_scheduler.PolynomialLR(
        optimizer, total_iters or EPOCHS, power
    ),
    "cosine": lambda optimizer, t_max, eta_min: lr_scheduler.CosineAnnealingLR(optimizer, t_max or EPOCHS, eta_min),
    "cosine_restarts": lambda optimizer, t_0, t_mult, eta_min: lr_scheduler.CosineAnnealingWarmRestarts(
        optimizer, t_0, t_mult, eta_min
    ),
    "one_cycle": lambda optimizer, **args: lr_scheduler.OneCycleLR(optimizer, LR, EPOCHS, **args),
    "cyclic": cyclic,
}
CASES = [
    *[(name, {}) for name in SCHEDULERS if name != "reduce_on_plateau"],
    ("constant", {"factor": 0.5, "total_iters": 4}),
    ("step", {"step_size": 1, "gamma": 0.1}),
    ("step", {"step_size": 5, "gamma": 2.0}),
    ("step", {"step_size": 100}),
    ("multistep", {"milestones": [1, 2, 11], "gamma": 0.3}),
    ("multistep", {"milestones": [7, 4, 4], "gamma": 0.5}),
    ("multistep", {"milestones": []}),
    ("exponential", {"gamma": 0.99}),
    ("exponential", {"gamma": 1.0}),
    ("linear", {"start_factor": 0.1, "end_factor": 1.0, "total_iters": 5}),
    ("linear", {"start_factor": 0.5, "end_factor": 0.2}),
    ("polynomial", {"power": 1.0, "total_iters": 5}),
    ("polynomial", {"power": 0.5}),
    ("cosine", {"eta_min": 0.05}),
    ("cosine", {"t_max": 5, "eta_min": 0.01}),
    ("cosine", {"t_max": 1}),
    ("cosine", {"t_max": 40}),
    ("cosine_restarts", {"t_0": 3, "eta_min": 0.02}),
    ("cosine_restarts", {"t_0": 1, "t_mult": 2}),
    ("cosine_restarts", {"t_0": 1, "t_mult": 3, "eta_min": 0.1}),
    ("one_cycle", {"pct_start": 0.25, "anneal_strategy": "linear", "div_factor": 5.0, "final_div_factor": 10.0}),
    ("one_cycle", {"three_phase": True}),
    ("one_cycle", {"three_phase": True, "pct_start": 0.5, "anneal_strategy": "linear"}),
    ("cyclic", {"base_factor": 0.2, "step_size_up": 2, "step_size_down": 3}),
    ("cyclic", {"step_size_up": 2, "mode": "triangular2"}),
    ("cyclic", {"step_size_up": 2, "step_size_down": 1, "mode": "exp_range", "gamma": 0.9, "base_factor": 0.0}),
]
PEAKS = {"one_cycle", "cyclic"}  # whose first epochs are below the optimizer's rate


def both_at(option, epoch, lr=LR, epochs=EPOCHS, losses=()):
    """The rate and the momentum."""
    rhythm = {key: option.args[key] for key in ("warmup_epochs", "interval")}
    return setting(option, lr, epoch, epochs, losses, **rhythm)


def at(*args, **rest):
    """The rate alone."""
    return both_at(*args, **rest).lr


def rates(option, lr=LR, epochs=EPOCHS):
    return [at(option, epoch, lr, epochs) for epoch in range(epochs)]


def torch_settings(scheduler_of, epochs=EPOCHS):
    """The rate and the momentum that torch's schedule gives sgd before each step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR, momentum=0.5)
    scheduler = scheduler_of(optimizer)
    actual = []
    for _ in range(epochs):
        (group,) = optimizer.param_groups
        actual.append((group["lr"], group["momentum"]))
        optimizer.step()
        scheduler.step()
    return actual


def torch_rates(scheduler_of, epochs=EPOCHS):
    return [lr for lr, _ in torch_settings(scheduler_of, epochs)]


def own(option):
    args = {key: value for key, value in option.args.items() if key not in SHARED}
    return args | {key: True for key in args if key == "cycle_momentum" and args[key] is None}


def test_every_schedule_has_its_torch_class_here():
    assert set(TORCH) | {"reduce_on_plateau"} == set(SCHEDULERS)


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_every_epoch_s_rate_is_that_of_the_torch_class(make_option, name, changes):
    option = make_option("scheduler", name, **{**SHARED, **changes})
    theirs = torch_rates(lambda optimizer: TORCH[name](optimizer, **own(option)))
    assert rates(option) == pytest.approx(theirs, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(("name", "changes"), [case for case in CASES if case[0] in PEAKS])
@pytest.mark.parametrize("momentum", [{}, {"base_momentum": 0.1, "max_momentum": 0.7}, {"cycle_momentum": False}])
def test_every_epoch_s_momentum_is_that_of_the_torch_class(make_option, name, changes, momentum):
    option = make_option("scheduler", name, **{**SHARED, **changes, **momentum})
    theirs = [pair[1] for pair in torch_settings(lambda optimizer: TORCH[name](optimizer, **own(option)))]
    ours = [both_at(option, epoch).momentum for epoch in range(EPOCHS)]
    if option.args["cycle_momentum"] is not False:
        assert ours == pytest.approx(theirs, rel=1e-12)
    else:
        assert (ours, theirs) == ([None] * EPOCHS, [0.5] * EPOCHS), "the optimizer's own"


@pytest.mark.parametrize("name", sorted(PEAKS))
def test_in_the_warm_up_the_momentum_is_the_schedule_s_first(make_option, name):
    option = make_option("scheduler", name, warmup_epochs=2)
    assert [both_at(option, epoch).momentum for epoch in (0, 1, 2)] == [option.args["max_momentum"]] * 3
    assert both_at(option, 2.5).momentum < option.args["max_momentum"]


@pytest.mark.parametrize("name", sorted(set(SCHEDULERS) - PEAKS))
def test_other_schedules_leave_the_momentum_alone(make_option, name):
    option = make_option("scheduler", name, warmup_epochs=2)
    assert {both_at(option, epoch).momentum for epoch in range(EPOCHS)} == {None}


@pytest.mark.filterwarnings("ignore:.*epoch parameter.*")
@pytest.mark.parametrize("name", sorted(TORCH))
def test_after_the_warm_up_it_is_torch_s_sequence(make_option, name):
    """The warm-up's rates are torch's LinearLR, from lr / 4 to lr."""
    option = make_option("scheduler", name, warmup_epochs=3, interval="epoch")

    def sequence(optimizer):
        parts = [lr_scheduler.LinearLR(optimizer, 0.25, 1.0, 3), TORCH[name](optimizer, **own(option))]
        return lr_scheduler.SequentialLR(optimizer, parts, [3])

    if name in ("linear", "polynomial", "cosine", "one_cycle", "cyclic"):  # cyclic sets the rate when it is made
        plain = make_option("scheduler", name, interval="epoch")
        expected = [LR * (k + 1) / 4 for k in range(3)] + [at(plain, k, epochs=EPOCHS - 3) for k in range(EPOCHS - 3)]
    else:
        expected = torch_rates(sequence)
    assert rates(option) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_by_step_the_warm_up_rises_from_zero_without_a_jump(make_option, name):
    option = make_option("scheduler", name, warmup_epochs=2, interval="step")
    assert at(option, 0) == 0
    assert at(option, 0.5) == pytest.approx(LR / 4)
    assert at(option, 1.999999) == pytest.approx(LR, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "changes"), CASES)
def test_by_step_it_is_the_torch_class_with_as_many_steps(make_option, name, changes):
    """Torch's schedules with each length in steps; a schedule that jumps may do so one step apart."""
    steps = 100
    option = make_option("scheduler", name, **changes, interval="step")
    args = own(option)
    for key in ("step_size", "total_iters", "t_max", "t_0", "step_size_up", "step_size_down"):
        args |= {key: args[key] * steps} if args.get(key) else {}
    if "milestones" in args:
        args["milestones"] = [milestone * steps for milestone in args["milestones"]]
    if name in ("exponential", "cyclic"):
        args["gamma"] = args["gamma"] ** (1 / steps)
    lengths = {"linear": "total_iters", "polynomial": "total_iters", "cosine": "t_max"}
    if name in lengths and not args[lengths[name]]:
        args[lengths[name]] = EPOCHS * steps
    if name == "one_cycle":
        theirs = torch_rates(lambda o: lr_scheduler.OneCycleLR(o, LR, EPOCHS * steps, **args), EPOCHS * steps)
    else:
        theirs = torch_rates(lambda o: TORCH[name](o, **args), EPOCHS * steps)
    ours = [at(option, k / steps) for k in range(EPOCHS * steps)]
    apart = [k for k in range(len(ours)) if abs(ours[k] - theirs[k]) > 0.03 * LR]
    assert len(apart) <= 2


@pytest.mark.parametrize("name", sorted(set(SCHEDULERS) - PEAKS))
def test_first_epoch_trains_at_the_optimizer_s_rate(make_option, name):
    assert rates(make_option("scheduler", name))[0] == LR


@pytest.mark.parametrize("name", SCHEDULERS)
def test_rate_zero_stays_zero(make_option, name):
    assert rates(make_option("scheduler", name), lr=0.0) == [0.0] * EPOCHS


@pytest.mark.parametrize("name", sorted(PEAKS))
def test_the_optimizer_s_rate_is_the_highest(make_option, name):
    option = make_option("scheduler", name, interval="step")
    assert max(at(option, k / 100) for k in range(EPOCHS * 100)) == pytest.approx(LR, rel=1e-3)


LOSSES = [1.0, 0.8, 0.9, 0.8, 0.7999, 0.5, 0.6, 0.7, 0.4, 0.4, 0.4, 0.4, 0.4, 0.3, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"patience": 0, "factor": 0.5},
        {"patience": 3},
        {"patience": 0, "factor": 0.5, "cooldown": 2},
        {"patience": 1, "factor": 0.5, "threshold": 0.2, "threshold_mode": "abs"},
        {"patience": 0, "factor": 0.5, "threshold": 0.3},
        {"patience": 0, "factor": 0.5, "min_lr": 0.1},
        {"patience": 0, "factor": 0.5, "min_lr": 1.0},
    ],
    ids=str,
)
def test_reduce_on_plateau_is_the_torch_class(make_option, changes):
    option = make_option("scheduler", "reduce_on_plateau", **changes)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, eps=0.0, **own(option))
    for epoch in range(len(LOSSES)):
        assert at(option, epoch, epochs=99, losses=LOSSES[:epoch]) == pytest.approx(optimizer.param_groups[0]["lr"])
        scheduler.step(LOSSES[epoch])


def test_reduce_on_plateau_starts_to_watch_after_the_warm_up(make_option):
    option = make_option("scheduler", "reduce_on_plateau", warmup_epochs=3, patience=0)
    assert at(option, 3, losses=[0.1, 5, 6]) == LR
    assert at(option, 4, losses=[0.1, 5, 6, 3]) == LR
    assert at(option, 5, losses=[0.1, 5, 6, 3, 4]) == pytest.approx(LR / 10)


def test_constant_never_moves():
    assert rates(Option("constant", {"factor": 1.0, "total_iters": 0, **SHARED})) == [LR] * EPOCHS


def test_step_falls_right_at_its_epochs():
    actual = rates(Option("step", {"step_size": 3, "gamma": 0.1, **SHARED}), lr=1.0, epochs=8)
    assert actual == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01])


def test_multistep_falls_right_at_its_milestones():
    actual = rates(Option("multistep", {"milestones": [2, 5], "gamma": 0.1, **SHARED}), lr=1.0, epochs=7)
    assert actual == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.01, 0.01])


def test_exponential_from_2e_4_by_0_99():
    expected = [2e-4]
    while len(expected) < 200:
        expected.append(expected[-1] * 0.99)
    assert rates(Option("exponential", {"gamma": 0.99, **SHARED}), lr=2e-4, epochs=200) == pytest.approx(
        expected, rel=1e-12
    )
    assert expected[69] < 1e-4 < expected[68]  # ln 2 / -ln 0.99 = 68.97 epochs to halve it


def test_cosine_at_landmarks(make_option):
    def actual(epoch, **changes):
        return at(make_option("scheduler", "cosine", **changes), epoch, lr=1.0)

    assert [actual(0), actual(4), actual(6), actual(8), actual(12)] == pytest.approx([1, 0.75, 0.5, 0.25, 0], abs=1e-15)
    assert [actual(3), actual(9)] == pytest.approx([0.5 + math.sqrt(2) / 4, 0.5 - math.sqrt(2) / 4])
    assert [actual(6, eta_min=0.2), actual(12, eta_min=0.2)] == pytest.approx([0.6, 0.2])
    assert [actual(0, t_max=4), actual(2, t_max=4), actual(4, t_max=4)] == pytest.approx([1, 0.5, 0], abs=1e-15)


def test_one_cycle_at_landmarks(make_option):
    def actual(epoch, **changes):
        changes = {"pct_start": 0.25, "div_factor": 10.0, "final_div_factor": 100.0, "interval": "step"} | changes
        return at(make_option("scheduler", "one_cycle", **changes), epoch, lr=1.0)

    assert [actual(0), actual(1.5), actual(3), actual(7.5), actual(12)] == pytest.approx([0.1, 0.55, 1, 0.5005, 1e-3])
    assert [actual(3, three_phase=True), actual(6, three_phase=True)] == pytest.approx([1, 0.1])


def test_cosine_restarts_at_landmarks(make_option):
    option = make_option("scheduler", "cosine_restarts", t_0=2, t_mult=2, interval="step")
    actual = [at(option, epoch, lr=1.0) for epoch in (0, 1, 2, 4, 6, 10)]
    assert actual == pytest.approx([1, 0.5, 1, 0.5, 1, 0.5])


def test_cyclic_at_landmarks(make_option):
    option = make_option("scheduler", "cyclic", step_size_up=2, step_size_down=4, base_factor=0.5, interval="step")
    assert [at(option, epoch, lr=1.0) for epoch in (0, 1, 2, 4, 6, 8)] == pytest.approx([0.5, 0.75, 1, 0.75, 0.5, 1])


def test_cosine_over_all_epochs_is_the_one_with_their_number(make_option):
    whole, named = (rates(make_option("scheduler", "cosine", t_max=t_max, eta_min=0.1)) for t_max in (None, EPOCHS))
    assert whole == named


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            [f"scheduler={name}", "optimizer=adagrad", "scheduler.cycle_momentum=true"],
            "scheduler.cycle_momentum=true: optimizer=adagrad has no momentum and no betas: "
            "set scheduler.cycle_momentum=null",
        )
        for name in sorted(PEAKS)
    ],
)
def test_what_a_schedule_needs_is_said_in_one_line_before_training(train, words, line):
    ended = train(*words)
    assert (ended.code, ended.out, ended.err) == (2, "", f"error: {line}\n")
