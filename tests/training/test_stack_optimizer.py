"""One optimizer for a whole stack against one for each run."""

import io
from typing import Any

import pytest
import torch

from regbench.config.registry import Option
from regbench.models.architectures import build
from regbench.techniques.optimizer import OPTIMIZERS
from regbench.training.network import Network
from regbench.training.stack_optimizer import PROPORTIONAL, OneByOne, Together, can_merge, update
from support import composed, option_of

pytestmark = pytest.mark.slow

STEPS = 20
RATES = (1.0, 0.1, 0.01)  # of the option's own
CASES: list[tuple[str, dict[str, Any]]] = [
    *[(name, {}) for name in OPTIMIZERS if name in PROPORTIONAL],
    ("sgd", {"momentum": 0.9, "weight_decay": 0.1}),
    ("sgd", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("sgd", {"momentum": 0.5, "dampening": 0.3}),
    ("adam", {"amsgrad": True, "weight_decay": 0.1}),
    ("adamw", {"amsgrad": True, "weight_decay": 0.1}),
    ("rmsprop", {"momentum": 0.9, "centered": True, "weight_decay": 0.1}),
    ("adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.1}),
]
IDS = [" ".join([name, *changes]) for name, changes in CASES]


def configs_of(name, changes, runs=3):
    base = composed("model.hidden=[5]", "norm=layer")
    rate = option_of("optimizer", name).args["lr"]
    options = [option_of("optimizer", name, **changes, lr=rate * share) for share in RATES[:runs]]
    return [base.model_copy(update={"seed": seed, "optimizer": option}) for seed, option in enumerate(options)]


def made(kind, configs):
    network = Network([build(config).double() for config in configs])
    return kind(configs, network), network


def rates_of(configs, step):
    """The rate of each run; rates fall from step to step, as under a schedule."""
    return [config.optimizer.args["lr"] * 0.9**step for config in configs]


def gradients_of(network, step):
    """The gradients of a quadratic loss, with noise: they depend on the weights."""
    rng = torch.Generator().manual_seed(step)
    tensors = [torch.stack(own).detach() for own in zip(*network.parameters, strict=True)]
    return [tensor + torch.randn(tensor.shape, generator=rng, dtype=torch.float64) for tensor in tensors]


def run_steps(updater, network, configs, first, last):
    for step in range(first, last):
        updater.set_rates(rates_of(configs, step))
        updater.step(lambda at=step: (None, gradients_of(network, at)))


def assert_same_weights(one, other):
    for own, others in zip(one.parameters, other.parameters, strict=True):
        for parameter, expected in zip(own, others, strict=True):
            torch.testing.assert_close(parameter, expected, rtol=1e-12, atol=1e-13)


def through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize(("name", "changes"), CASES, ids=IDS)
def test_together_moves_as_one_by_one(name, changes):
    configs = configs_of(name, changes)
    (one, alone), (all_, stacked) = made(OneByOne, configs), made(Together, configs)
    start = [parameter.clone() for parameter in stacked.parameters[0]]
    run_steps(one, alone, configs, 0, STEPS)
    run_steps(all_, stacked, configs, 0, STEPS)
    assert_same_weights(stacked, alone)
    assert not any(torch.equal(a, b) for a, b in zip(start, stacked.parameters[0], strict=True))


@pytest.mark.parametrize(
    "kinds",
    [(Together, OneByOne), (OneByOne, Together), (Together, Together)],
    ids=lambda kinds: " to ".join(kind.__name__ for kind in kinds),
)
@pytest.mark.parametrize(("name", "changes"), CASES, ids=IDS)
def test_a_state_can_change_from_one_kind_to_the_other(name, changes, kinds):
    configs = configs_of(name, changes)
    whole, expected = made(OneByOne, configs)
    run_steps(whole, expected, configs, 0, STEPS)
    first, before = made(kinds[0], configs)
    run_steps(first, before, configs, 0, STEPS // 2)
    second, after = made(kinds[1], configs)
    for run, model in enumerate(after.models):
        model.load_state_dict(before.models[run].state_dict())
        second.load_state(run, through_a_file(first.state(run)))
    run_steps(second, after, configs, STEPS // 2, STEPS)
    assert_same_weights(after, expected)


@pytest.mark.parametrize(("name", "changes"), CASES, ids=IDS)
def test_a_state_is_that_of_torch_s_optimizer_for_the_run(name, changes):
    configs = configs_of(name, changes)
    states = []
    for kind in (OneByOne, Together):
        updater, network = made(kind, configs)
        run_steps(updater, network, configs, 0, 3)
        states.append(updater.state(1))
    one, together = states
    together["state"] = {place: held for place, held in together["state"].items() if held}  # plain sgd has nothing
    assert together["param_groups"] == one["param_groups"]
    assert together["state"].keys() == one["state"].keys()
    for place, expected in one["state"].items():
        assert together["state"][place].keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(together["state"][place][key], value, rtol=1e-12, atol=1e-13, msg=key)


def test_a_state_holds_nothing_of_other_runs():
    """A tensor that is part of a larger one would take the whole of it into a file."""
    configs = configs_of("adam", {})
    sizes = []
    for kind in (OneByOne, Together):
        updater, network = made(kind, configs)
        run_steps(updater, network, configs, 0, 1)
        file = io.BytesIO()
        torch.save(updater.state(0), file)
        sizes.append(file.tell())
    assert sizes[1] == pytest.approx(sizes[0], rel=0.02)


@pytest.mark.parametrize("kind", [OneByOne, Together])
def test_a_rate_of_zero_moves_nothing(kind):
    configs = configs_of("adam", {})
    updater, network = made(kind, configs)
    before = [[parameter.clone() for parameter in own] for own in network.parameters]
    updater.set_rates([0.1, 0.0, 0.1])
    updater.step(lambda: (None, gradients_of(network, 0)))
    still = [
        all(torch.equal(a, b) for a, b in zip(old, new, strict=True))
        for old, new in zip(before, network.parameters, strict=True)
    ]
    assert still == [False, True, False]


@pytest.mark.parametrize("kind", [OneByOne, Together])
def test_a_run_without_finite_gradients_changes_no_other(kind):
    configs = configs_of("adam", {})
    (updater, network), (other, sound) = made(kind, configs), made(kind, configs)
    for step in range(3):
        for which, of in ((updater, network), (other, sound)):
            gradients = gradients_of(of, step)
            if which is updater:
                for gradient in gradients:
                    gradient[1] = torch.nan
            which.set_rates(rates_of(configs, step))
            which.step(lambda found=gradients: (None, found))
    for run in (0, 2):
        assert all(torch.equal(a, b) for a, b in zip(network.parameters[run], sound.parameters[run], strict=True))
    assert all(parameter.isnan().all() for parameter in network.parameters[1])


# Which optimizers merge


def test_equal_optimizers_can_merge_whatever_their_rates():
    assert can_merge(configs_of("adam", {"amsgrad": True}))


@pytest.mark.parametrize("changes", [{"weight_decay": 0.1}, {"betas": [0.5, 0.9]}, {"amsgrad": True}], ids=str)
def test_other_values_are_not_merged(changes):
    assert not can_merge([*configs_of("adam", {}, runs=2), *configs_of("adam", changes, runs=1)])


def test_other_optimizers_are_not_merged():
    assert not can_merge([*configs_of("adam", {}, runs=1), *configs_of("adamw", {}, runs=1)])


def test_a_single_run_is_not_merged():
    assert not can_merge(configs_of("adam", {}, runs=1))


@pytest.mark.parametrize("name", ["asgd", "rprop", "adafactor", "lbfgs", "muon", "sparse_adam", "new"])
def test_optimizers_whose_step_is_not_proportional_to_the_rate_are_not_merged(name):
    base = composed("model.hidden=[5]")
    configs = [base.model_copy(update={"optimizer": Option(name, {"lr": rate})}) for rate in (0.1, 0.2)]
    assert not can_merge(configs)


def kind_for(*runs):
    configs = [composed("model.hidden=[5]", *overrides) for overrides in runs]
    return type(update(configs, Network([build(config) for config in configs])))


def test_on_a_cpu_runs_of_different_rates_have_an_optimizer_each():
    assert kind_for(["optimizer.lr=0.1"], ["optimizer.lr=0.2"]) is OneByOne
    assert kind_for([], ["scheduler=cosine"]) is OneByOne
    assert kind_for(["optimizer=adam"], ["optimizer=sgd"]) is OneByOne
    assert kind_for(["scheduler=reduce_on_plateau"], ["scheduler=reduce_on_plateau", "seed=1"]) is OneByOne
    assert kind_for(["seed=0"], ["seed=1"]) is Together


@pytest.mark.parametrize(("name", "changes"), CASES, ids=IDS)
def test_runs_of_one_rate_move_to_the_bit_as_each_alone(name, changes):
    """With any size: 784 x 5 is a multiple of what is computed at once, 5 and 10 are not."""
    rate = option_of("optimizer", name).args["lr"]
    option = option_of("optimizer", name, **changes, lr=rate)
    configs = [config.model_copy(update={"optimizer": option}) for config in configs_of(name, {})]
    moved = []
    for kind in (Together, OneByOne):
        network = Network([build(config) for config in configs])
        updater = kind(configs, network)
        for step in range(STEPS):
            updater.set_rates([rate * 0.9**step] * len(configs))
            found = [tensor.float() for tensor in gradients_of(network, step)]
            updater.step(lambda found=found: (None, found))
        moved.append(network)
    for own, others in zip(moved[0].parameters, moved[1].parameters, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(own, others, strict=True))


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam"])
def test_a_schedule_s_momentum_moves_runs_together_as_each_alone(name):
    configs = configs_of(name, {})
    ends = []
    for kind in (Together, OneByOne):
        updater, network = made(kind, configs)
        for step in range(STEPS):
            updater.set_rates(rates_of(configs, step))
            updater.set_momenta([0.95 - 0.02 * step] * len(configs))
            updater.step(lambda at=step, of=network: (None, gradients_of(of, at)))
        ends.append((network, updater.state(1)["param_groups"]))
    assert_same_weights(ends[0][0], ends[1][0])
    assert ends[0][1] == ends[1][1]
    plain, network = made(OneByOne, configs)
    run_steps(plain, network, configs, 0, STEPS)
    assert not torch.allclose(network.parameters[0][0], ends[0][0].parameters[0][0])


def test_runs_of_different_momentum_are_not_merged():
    def mergeable(*runs):
        return can_merge([composed("model.hidden=[5]", *overrides) for overrides in runs])

    assert mergeable(["scheduler=one_cycle"], ["scheduler=one_cycle", "seed=1"])
    assert not mergeable(["scheduler=one_cycle"], [])
    assert not mergeable(["scheduler=one_cycle"], ["scheduler=cyclic"])
    assert mergeable(["scheduler=one_cycle", "scheduler.cycle_momentum=false"], ["scheduler=cosine"])


def test_on_other_devices_one_optimizer_moves_all_runs():
    configs = configs_of("adam", {})
    models = [build(config).to("meta") for config in configs]
    assert isinstance(update(configs, Network(models)), Together)
