"""A run's figures do not depend on the runs that it trains with."""

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from regbench.config.run_config import RunConfig
from regbench.techniques.init import INITS
from regbench.techniques.norm import NORMS
from regbench.techniques.optimizer import OPTIMIZERS
from regbench.techniques.regularizer import REGULARIZERS
from regbench.training import network
from regbench.training.epoch_figures import Sums
from regbench.training.stack import Stack
from regbench.training.stacking import CLOSURE
from regbench.training.trainer import Trainer
from support import (
    CPU,
    DAMPED,
    EXACT,
    ROUNDING,
    SMALL,
    SMALL_CNN,
    Outcome,
    assert_equal,
    batch,
    composed,
    option_of,
    outcomes,
    split_of,
    trainer_of,
)

pytestmark = pytest.mark.slow
TINY = ("model.hidden=[16]", "data.train_size=500", "data.val_size=300", "epochs=2")
RUNS = 3


def assert_stacked_as_alone(configs: Sequence[RunConfig], tolerance: float) -> list[Outcome]:
    together = outcomes(trainer_of(configs))
    for config, found in zip(configs, together, strict=True):
        (alone,) = outcomes(trainer_of([config]))
        assert_equal(found, alone, tolerance)
    return together


# Alone and in a stack, over all techniques

NORM_NAMES = [name for name in NORMS if name != "instance"]  # needs feature maps
STACKING = [name for name in OPTIMIZERS if name != CLOSURE]  # which trains alone
ROUGH = ("rprop", "adafactor")  # a whole step from a gradient that is rounding, as a batch norm makes some
STRENGTHS, ALPHAS = (1e-4, 0.0, 3e-4), (0.1, 0.5, 0.9)
SCHEDULES = (
    option_of("scheduler", "constant"),
    option_of("scheduler", "cosine"),
    option_of("scheduler", "step", step_size=1, gamma=0.5),
)
NORM_CHANGES = {"group": {"groups": 4}}


def different_runs(
    norm: str, optimizer: str, regularizer: str, case: int, *overrides: str, tolerance: float = EXACT
) -> list[RunConfig]:
    """Runs that differ in everything that may differ within a stack."""
    base = composed(*overrides, *["precision=fp64"] * (tolerance == EXACT))
    arguments = option_of("optimizer", optimizer).args
    damped = {"eps": DAMPED[tolerance]} if "eps" in arguments and norm == "batch" else {}
    # Equal weights everywhere train to equal weights. Before a batch norm the weight of a pixel that is always black
    # has a gradient of rounding; where it is 0 as well, rounding chooses the side to which |w| pulls.
    kinks = {"sparse"} if norm == "batch" and regularizer in ("l1", "elastic_net") else set()
    inits = [name for name in INITS if name not in {"constant"} | kinks]
    configs = []
    for run in range(RUNS):
        terms = {"strength": STRENGTHS[run], "alpha": ALPHAS[run]}
        known = option_of("regularizer", regularizer).args
        changes = {
            # A bias before a batch norm changes nothing: its gradient is rounding.
            "norm_position": "post" if norm == "batch" else "pre",
            "norm": option_of("norm", norm, **NORM_CHANGES.get(norm, {})),
            "optimizer": option_of("optimizer", optimizer, lr=arguments["lr"] * (1.0, 0.5, 0.2)[run], **damped),
            "regularizer": option_of("regularizer", regularizer, **{k: v for k, v in terms.items() if k in known}),
            "init": option_of("init", inits[(case + run) % len(inits)]),
            "scheduler": SCHEDULES[run],
            "dropout": (0.0, 0.2, 0.5)[run],
            "dropout_conv": (None, 0.1, 0.0)[run],
            "clip_norm": (None, 0.1, 1.0)[run],
            "clip_value": (0.01, None, None)[run],
            "seed": 10 * case + run,
        }
        configs.append(base.model_copy(update=changes))
    return configs


def cases() -> list[Any]:
    """Every combination; without stress each optimizer has two norms and two regularizers, in turn."""
    found = []
    names = (NORM_NAMES, STACKING, list(REGULARIZERS))
    for number, places in enumerate(product(*(range(len(axis)) for axis in names))):
        norm, optimizer, regularizer = (axis[place] for axis, place in zip(names, places, strict=True))
        if norm == "batch" and optimizer in ROUGH:
            continue
        turn = (places[0] - places[1]) % len(NORM_NAMES)
        chosen = turn < 2 and (places[1] + turn) % len(REGULARIZERS) == places[2]
        marks = [] if chosen else [pytest.mark.slow, pytest.mark.stress]
        found.append(pytest.param(norm, optimizer, regularizer, number, marks=marks))
    return found


@pytest.mark.parametrize(("norm", "optimizer", "regularizer", "case"), cases())
def test_every_technique_trains_in_a_stack_as_alone(norm, optimizer, regularizer, case):
    configs = different_runs(norm, optimizer, regularizer, case, *SMALL)
    together = assert_stacked_as_alone(configs, EXACT)
    assert all(len(epochs) == 2 for epochs, _, _ in together)
    assert together[1][0][0].clipped > 0  # or the limits would show nothing


@pytest.mark.parametrize(("norm", "optimizer"), list(zip(NORM_NAMES, OPTIMIZERS, strict=False)))
def test_in_float32_they_agree_except_for_rounding(norm, optimizer):
    assert_stacked_as_alone(different_runs(norm, optimizer, "l2", 0, *SMALL, tolerance=ROUNDING), ROUNDING)


def test_in_bfloat16_they_agree_except_for_its_rounding():
    """Its eight bits round by 0.4 %."""
    configs = different_runs("layer", "sgd", "l2", 0, *SMALL, "precision=bf16", tolerance=ROUNDING)
    together = outcomes(trainer_of(configs))
    for config, (epochs, _, _) in zip(configs, together, strict=True):
        (alone,) = outcomes(trainer_of([config]))
        for one, other in zip(epochs, alone[0], strict=True):
            assert one.train_loss == pytest.approx(other.train_loss, rel=0.03)
            assert one.val_loss == pytest.approx(other.val_loss, rel=0.03)


@pytest.mark.parametrize("norm", NORM_NAMES)
def test_half_precision_trains_in_a_stack(norm):
    option = option_of("norm", norm, **NORM_CHANGES.get(norm, {}))
    base = composed(*SMALL, "precision=bf16").model_copy(update={"norm": option})
    configs = [base.model_copy(update={"seed": seed}) for seed in range(2)]
    for config, found in zip(configs, outcomes(trainer_of(configs)), strict=True):
        (alone,) = outcomes(trainer_of([config]))
        assert found[0][0].train_loss == pytest.approx(alone[0][0].train_loss, rel=0.02)


def test_runs_may_differ_in_optimizer():
    different = [
        different_runs("batch", optimizer, "l1", 7, *SMALL)[1] for optimizer in STACKING if optimizer not in ROUGH
    ]
    assert_stacked_as_alone(different, EXACT)


@pytest.mark.slow
@pytest.mark.parametrize(
    "norm", [pytest.param(norm, marks=[pytest.mark.stress] * (norm not in ("none", "batch"))) for norm in NORMS]
)
def test_convolutions_train_in_a_stack_as_alone(norm):
    """The planner separates them on a CPU, where they take longer together, but not on other devices."""
    optimizer, regularizer = ("adam", "elastic_net") if list(NORMS).index(norm) % 2 else ("sgd", "none")
    assert_stacked_as_alone(different_runs(norm, optimizer, regularizer, 5, *SMALL_CNN), EXACT)


def test_convolutions_in_float32_agree_except_for_rounding():
    assert_stacked_as_alone(different_runs("none", "adam", "l2", 5, *SMALL_CNN, tolerance=ROUNDING), ROUNDING)


@pytest.mark.parametrize(
    "model", [SMALL, pytest.param(SMALL_CNN, marks=[pytest.mark.slow, pytest.mark.stress])], ids=["mlp", "cnn"]
)
@pytest.mark.parametrize("norm", NORM_NAMES)
def test_they_train_as_alone_by_vmap_too(norm, model, monkeypatch):
    """As on devices other than a CPU."""
    monkeypatch.setattr(network, "RUN_BY_RUN", set())
    assert_stacked_as_alone(different_runs(norm, "adam", "l1", 3, *model), EXACT)


TO_THE_BIT = [
    *(
        [f"norm={norm}", *[f"norm.{key}={value}" for key, value in NORM_CHANGES.get(norm, {}).items()]]
        for norm in NORM_NAMES
    ),
    ["regularizer=elastic_net", "regularizer.on=all", "norm=batch"],
    ["clip_norm=0.1", "clip_value=0.01", "max_norm=1"],
    ["label_smoothing=0.1", "augment=affine", "data.label_noise=0.2"],
    ["optimizer=muon", "scheduler=one_cycle"],
    ["optimizer=adafactor", "batch_size=33", "activation=gelu"],
    ["model.hidden=[256,256]", "regularizer=l1", "precision=bf16"],
]


@pytest.mark.parametrize("overrides", TO_THE_BIT, ids=" ".join)
def test_on_one_thread_they_agree_to_the_bit(overrides, make_config):
    """A sweep may stop and resume in other stacks, and ends as an undisturbed one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert_stacked_as_alone(
            [make_config(*SMALL, "dropout=0.2", *overrides, f"seed={seed}") for seed in range(3)], 0
        )
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("order", [1, pytest.param(-1, marks=pytest.mark.stress)])
def test_each_run_drops_where_it_says(make_config, order):
    """No model here has all dropout layers of the others."""
    rates = [("dropout=0", "dropout_conv=0.4"), ("dropout=0.4", "dropout_conv=0"), ("dropout=0",)][::order]
    assert_stacked_as_alone([make_config(*SMALL_CNN, "precision=fp64", *of_run) for of_run in rates], EXACT)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_neither_size_nor_place_matters(make_config, size):
    fixed = (*SMALL, "precision=fp64", "norm=batch", "dropout=0.3")
    (alone,) = outcomes(trainer_of([make_config(*fixed)]))
    for place in range(size):
        configs = [make_config(*fixed, f"seed={abs(run - place)}") for run in range(size)]
        assert_equal(outcomes(trainer_of(configs))[place], alone, EXACT)


def test_images_may_be_scaled_run_by_run(make_config):
    """By the mean and deviation of the images that each run trains on."""
    fixed = (*SMALL, "precision=fp64", "data.mean=null", "data.std=null")
    configs = [make_config(*fixed, f"seed={seed}") for seed in range(3)]
    assert len({split_of(config).shift for config in configs}) == 3
    assert_stacked_as_alone(configs, EXACT)


PAIRS = [
    [("seed=0",), ("seed=1",)],
    [("optimizer=sgd",), ("optimizer=sgd", "optimizer.lr=0.01")],
    [("dropout=0.1",), ("dropout=0.6",)],
    [("norm=batch", "init=xavier", "optimizer.eps=1e-3"), ("norm=batch", "optimizer.eps=1e-3", "seed=4")],
    [("data.val_size=0",), ("data.val_size=0", "seed=1")],
    [("model.hidden=[]",), ("model.hidden=[]", "seed=1")],
    [("clip_norm_type=inf", "clip_norm=0.01"), ("clip_norm_type=inf", "seed=1")],
    [("batch_size=499", "drop_last=true"), ("batch_size=499", "drop_last=true", "seed=1")],
]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: " | ".join(",".join(run) for run in pair))
def test_a_run_of_a_stack_trains_as_it_does_alone(make_config, pair):
    assert_stacked_as_alone([make_config(*TINY, "precision=fp64", *overrides) for overrides in pair], EXACT)
    assert_stacked_as_alone([make_config(*TINY, *overrides) for overrides in pair], ROUNDING)


# Runs that leave, runs that resume


WILD = ("optimizer.lr=1e30", "seed=9")
SGD = (*SMALL, "optimizer=sgd", "optimizer.momentum=0.9", "dropout=0.2", "epochs=3")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_run_that_diverges_changes_no_other_run(make_config, place):
    """They have the bits of a stack without it."""
    configs = [make_config(*SGD), make_config(*SGD, "seed=1", "optimizer.lr=0.05")]
    expected = outcomes(trainer_of(configs))
    configs.insert(place, make_config(*SGD, *WILD))
    trainer = trainer_of(configs)
    found = outcomes(trainer)
    epochs, tests, _ = found.pop(place)
    assert len(epochs) == 1
    assert epochs[0].diverged
    assert tests is None
    assert len(trainer.active) == 2
    for one, other in zip(found, expected, strict=True):
        assert len(one[0]) == 3
        assert_equal(one, other, 0)


def test_a_run_that_diverges_later_changes_no_other_run(make_config):
    fixed = (*SMALL, "precision=fp64", "optimizer=sgd", "optimizer.momentum=0.9", "epochs=5", "activation=leaky_relu")
    sound = [make_config(*fixed, f"seed={seed}", "dropout=0.3") for seed in (1, 2)]
    wild = make_config(*fixed, "scheduler=exponential", "scheduler.gamma=1e38", "optimizer.lr=1e-38")
    found = outcomes(trainer_of([sound[0], wild, sound[1]]))
    assert 1 < len(found[1][0]) < 5
    assert found[1][0][-1].diverged
    for one, config in zip((found[0], found[2]), sound, strict=True):
        assert_equal(one, outcomes(trainer_of([config]))[0], EXACT)


def test_the_last_run_that_is_left_trains_as_alone(make_config):
    fixed = (*SMALL, "optimizer=sgd", "precision=fp64")
    wild = [make_config(*fixed, "optimizer.lr=1e38", f"seed={seed}") for seed in (0, 2)]
    configs = [wild[0], make_config(*fixed, "seed=1"), wild[1]]
    found = outcomes(trainer_of(configs))
    assert [len(epochs) for epochs, _, _ in found] == [1, 2, 1]
    assert_equal(found[1], outcomes(trainer_of(configs[1:2]))[0], EXACT)


def test_runs_may_be_dropped_between_epochs(make_config):
    configs = [make_config(*SMALL, "precision=fp64", "dropout=0.2", f"seed={seed}", "epochs=3") for seed in range(4)]
    trainer = trainer_of(configs)
    epochs = trainer.epochs(lambda images: None)
    assert list(next(epochs)) == [0, 1, 2, 3]
    trainer.drop([2, 0])
    trainer.drop([])
    *_, records = epochs
    assert list(records) == trainer.active == [1, 3]
    for run, tests in trainer.test().items():
        rights = trainer.predicted[run]["last"] == trainer.splits[run].test_labels.numpy()
        assert rights.mean() == tests["last"][1]
        (alone,) = outcomes(trainer_of([configs[run]]))
        assert vars(replace(records[run], seconds=0.0)) == pytest.approx(vars(alone[0][-1]), rel=EXACT)
        assert tests["last"] == pytest.approx(alone[1]["last"], rel=EXACT)


def saved(trainer: Trainer, run: int) -> dict[str, Any]:
    """A run's state after it was in a file."""
    file = io.BytesIO()
    torch.save(trainer.state(run), file)
    file.seek(0)
    state: dict[str, Any] = torch.load(file, weights_only=True)
    return state


def after_one_epoch(outcome: Outcome) -> Outcome:
    """The outcome of a run that resumes after its first epoch."""
    return outcome._replace(epochs=outcome.epochs[1:])


@pytest.mark.parametrize("optimizer", STACKING)
def test_a_saved_run_resumes_in_any_stack(make_config, optimizer):
    norm = "none" if optimizer in ROUGH else "batch"
    fixed = (*SMALL, "precision=fp64", f"optimizer={optimizer}", f"norm={norm}", "dropout=0.3", "scheduler=cosine")
    damped = (f"optimizer.eps={DAMPED[EXACT]}",) if "eps" in option_of("optimizer", optimizer).args else ()
    more = damped + {"sgd": ("optimizer.momentum=0.9",), "adam": ("optimizer.amsgrad=true",)}.get(optimizer, ())
    configs = [make_config(*fixed, *more, f"seed={seed}", "epochs=3") for seed in range(4)]
    whole = outcomes(trainer_of(configs[:3]))
    stopped = trainer_of(configs[:3])
    next(stopped.epochs(lambda images: None))
    states = [saved(stopped, run) for run in range(3)]

    alone = trainer_of(configs[1:2])
    alone.load_state(0, states[1])
    (found,) = outcomes(alone)
    assert_equal(found, after_one_epoch(whole[1]), EXACT)

    pair = trainer_of([configs[2], configs[0]])
    pair.load_state(0, states[2])
    pair.load_state(1, states[0])
    for found, expected in zip(outcomes(pair), (whole[2], whole[0]), strict=True):
        assert_equal(found, after_one_epoch(expected), EXACT)


def test_a_run_saved_alone_resumes_in_a_stack(make_config):
    configs = [make_config(*SMALL, "precision=fp64", "dropout=0.3", f"seed={seed}") for seed in range(2)]
    whole = outcomes(trainer_of(configs))
    trainer = trainer_of(configs)
    for run, config in enumerate(configs):
        alone = trainer_of([config])
        next(alone.epochs(lambda images: None))
        trainer.load_state(run, saved(alone, 0))
    for found, expected in zip(outcomes(trainer), whole, strict=True):
        assert_equal(found, after_one_epoch(expected), EXACT)


def test_a_run_s_state_holds_nothing_of_its_neighbours(make_config):
    """A tensor that is part of a larger one would take the whole of it into a file."""
    configs = [make_config(*SMALL, "norm=batch", f"seed={seed}") for seed in range(8)]
    sizes = []
    for chosen in (configs[:1], configs):
        trainer = trainer_of(chosen)
        next(trainer.epochs(lambda images: None))
        file = io.BytesIO()
        torch.save(trainer.state(0), file)
        sizes.append(file.tell())
    assert sizes[1] == pytest.approx(sizes[0], rel=0.02)


# A step


def test_a_step_returns_the_figures_of_each_run(make_config):
    configs = [make_config(*TINY, "clip_norm=1e-3"), make_config(*TINY, "seed=1")]
    stack = Stack(configs, CPU)
    assert stack.begin_epoch(0) == [1e-3, 1e-3]
    images, labels = batch(2)
    before = torch.stack([model(x) for model, x in zip(stack.models, images, strict=True)])
    figures, sums = stack.step(images, labels), Sums()
    sums.add(figures, labels)
    for logits, truth, means in zip(before, labels, sums.means(), strict=True):
        assert means.train_loss == pytest.approx(F.cross_entropy(logits, truth).item())
        assert means.train_acc == (logits.argmax(1) == truth).float().mean().item()
    assert {figure.shape for figure in figures[1:]} == {(2,)}
    torch.testing.assert_close(figures.logits, before)
    assert figures.penalty.tolist() == [0, 0]
    assert (figures.grad_norm > 0).all()
    assert figures.clipped.tolist() == [True, False]
    assert not any(figure.requires_grad for figure in figures)


def test_each_run_has_its_penalty(make_config):
    strengths = (0.0, 0.5, 1e-3)
    stack = Stack([make_config(*TINY, "regularizer=l1", f"regularizer.strength={value}") for value in strengths], CPU)
    weights = [model.state_dict() for model in stack.models]
    sums = [sum(own[f"{name}.weight"].abs().sum().item() for name in ("dense1.affine", "output")) for own in weights]
    expected = [strength * total for strength, total in zip(strengths, sums, strict=True)]
    stack.begin_epoch(0)
    figures = stack.step(*batch(3))
    assert figures.penalty.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("runs", [1, 3])
def test_a_step_moves_the_weights_that_the_models_show(make_config, runs):
    stack = Stack([make_config(*TINY, "norm=batch", f"seed={seed}") for seed in range(runs)], CPU)
    before = [stack.weights(run) for run in range(runs)]
    stack.begin_epoch(0)
    stack.step(*batch(runs))
    for run, model in enumerate(stack.models):
        after = model.state_dict()
        assert all(torch.equal(after[name], tensor) for name, tensor in stack.weights(run).items())
        assert not any(torch.equal(after[name], tensor) for name, tensor in before[run].items())
        assert after["dense1.norm.num_batches_tracked"] == 1


def test_the_rate_follows_each_run_s_schedule(make_config):
    stack = Stack(
        [
            make_config(*TINY, "scheduler=step", "scheduler.step_size=1", "scheduler.gamma=0.5"),
            make_config(*TINY, "scheduler=cosine", "optimizer.lr=0.01"),
            make_config(*TINY),
        ],
        CPU,
    )
    assert stack.begin_epoch(0) == pytest.approx([1e-3, 0.01, 1e-3])
    assert stack.begin_epoch(1) == pytest.approx([5e-4, 0.005, 1e-3])
    rates = [optimizer.param_groups[0]["lr"] for optimizer in stack.update.optimizers]
    assert rates == pytest.approx([5e-4, 0.005, 1e-3])


def test_by_step_the_rate_changes_before_every_step(make_config):
    config = make_config(*TINY, "scheduler=linear", "scheduler.interval=step", "scheduler.warmup_epochs=1")
    stack = Stack([config], CPU)
    found = []
    for epoch in range(2):
        found += stack.begin_epoch(epoch, steps=4)
        for _ in range(4):
            stack.step(*batch(1))
            found.append(stack.update.optimizers[0].param_groups[0]["lr"])
    up, down = [0, 0, 0.25, 0.5, 0.75], [1, 1, 0.75, 0.5, 0.25]
    assert found == pytest.approx([1e-3 * share for share in up + down])


def test_a_schedule_s_momentum_is_set_before_each_step_and_for_its_run_only(make_config):
    cycled = make_config(*TINY, "optimizer=sgd", "optimizer.momentum=0.5", "scheduler=one_cycle", "epochs=2")
    cycled.scheduler.args["pct_start"] = 0.5
    stack = Stack([cycled, make_config(*TINY, "optimizer.betas=[0.3,0.4]"), make_config(*TINY, "optimizer=sgd")], CPU)
    found = []
    for epoch in (0, 1):
        stack.begin_epoch(epoch, steps=4)
        for _ in range(4):
            stack.step(*batch(3))
            groups = [optimizer.param_groups[0] for optimizer in stack.update.optimizers]
            found.append(groups[0]["momentum"])
    assert [found[0], found[2], found[4], found[6]] == pytest.approx([0.95, 0.9, 0.85, 0.9])
    assert (groups[1]["betas"], groups[2]["momentum"]) == ((0.3, 0.4), 0.0)


def test_a_plateau_is_in_the_losses_of_its_run(make_config):
    config = make_config(*TINY, "scheduler=reduce_on_plateau", "scheduler.patience=0")
    stack = Stack([config, config], CPU)
    assert stack.begin_epoch(2, losses=[[0.5, 0.4], [0.4, 0.5]]) == pytest.approx([1e-3, 1e-4])


def test_lbfgs_reports_the_batch_before_its_step(make_config):
    stack = Stack([make_config(*TINY, "optimizer=lbfgs", "dropout=0.5")], CPU)
    stack.begin_epoch(0)
    images, labels = batch(1)
    first = stack.step(images, labels)
    loss = F.cross_entropy(first.logits[0], labels[0])
    assert loss.item() == pytest.approx(math.log(10), rel=0.5)
    assert F.cross_entropy(stack.models[0](images[0]), labels[0]) < loss / 10, "with the same masks all along"


@pytest.mark.parametrize("runs", [1, 2])
def test_a_learning_rate_of_zero_moves_no_weight(make_config, runs):
    rates = ("0", "0.1")[:runs]
    stack = Stack([make_config(*TINY, "optimizer=sgd", f"optimizer.lr={rate}", "norm=batch") for rate in rates], CPU)
    before = [[parameter.clone() for parameter in model.parameters()] for model in stack.models]
    stack.begin_epoch(0)
    stack.step(*batch(runs))
    still = [
        all(torch.equal(one, other) for one, other in zip(own, model.parameters(), strict=True))
        for own, model in zip(before, stack.models, strict=True)
    ]
    assert still == [True, False][:runs]


# Figures of all runs


def test_each_run_is_evaluated_by_itself(make_config):
    configs = [make_config(*TINY, "norm=batch", "dropout=0.5", f"seed={seed}") for seed in range(3)]
    stack = Stack(configs, CPU)
    stack.begin_epoch(0)
    stack.step(*batch(3))
    before = [stack.weights(run) for run in range(3)]
    images, labels = batch(3, samples=21)
    found = stack.evaluate(zip(images.split(10, 1), labels.split(10, 1), strict=True))
    for run, model in enumerate(stack.models):
        with torch.no_grad():
            logits = model.eval()(images[run])
        right = logits.argmax(1) == labels[run]
        assert found.scores[run].loss == pytest.approx(F.cross_entropy(logits, labels[run]).item(), rel=1e-5)
        assert found.scores[run].acc == pytest.approx(right.double().mean().item())
        assert torch.equal(found.classes[run], logits.argmax(1).to(torch.int16))
        assert all(torch.equal(tensor, before[run][name]) for name, tensor in stack.weights(run).items())


@pytest.mark.parametrize("runs", [1, 3])
def test_the_weight_norm_is_that_of_all_weights_as_one_vector(make_config, runs):
    values = (0.5, 0.25, 2.0)[:runs]
    fixed = ("norm=batch", "init=constant", "init.bias=3")
    stack = Stack([make_config(*TINY, *fixed, f"init.value={value}") for value in values], CPU)
    assert stack.weight_norms() == pytest.approx([value * (784 * 16 + 16 * 10) ** 0.5 for value in values])


def test_weights_are_a_copy(make_config):
    stack = Stack([make_config(*TINY), make_config(*TINY, "seed=1")], CPU)
    kept = stack.weights(1)
    before = {name: tensor.clone() for name, tensor in kept.items()}
    stack.begin_epoch(0)
    stack.step(*batch(2))
    assert all(torch.equal(before[name], tensor) for name, tensor in kept.items())
    assert not any(torch.equal(before[name], tensor) for name, tensor in stack.weights(1).items())
