"""A step that is replayed comes to what it comes to otherwise."""

import weakref
from copy import deepcopy
from functools import partial

import pytest
import torch

from regbench.techniques.norm import NORMS
from regbench.techniques.optimizer import OPTIMIZERS
from regbench.training import replay
from regbench.training.replay import WARM_UP, Replayed, record
from regbench.training.stack import Stack
from support import CPU, SMALL, SMALL_CNN, batch, outcomes, trainer_of

STEPS = 6
NEVER = 10**9
# What their optimizers do in a step is not recorded: they read numbers out of tensors, or remember more than tensors.
NOT_WHOLE = {
    "cpu": {"nadam", "radam", "adamax", "asgd", "adafactor", "sparse_adam", "lbfgs"},
    "cuda": {"adagrad", "adafactor", "muon", "sparse_adam", "lbfgs"},
}


class Recorder:
    """In place of `record`: counts, and spoils what is replayed if told to."""

    def __init__(self, spoil=None, error=None):
        self.recorded = self.replayed = 0
        self.spoil, self.error = spoil, error

    def __call__(self, function, inputs):
        if self.error:
            raise self.error
        self.recorded += 1
        again, outputs = record(function, inputs)

        def played(*given):
            self.replayed += 1
            found = again(*given)
            return self.spoil(found) if self.spoil else found

        return played, outputs


@pytest.fixture
def recorder(monkeypatch):
    """`recorder(...)`: steps are recorded by such a recorder from now on."""

    def use(**settings):
        found = Recorder(**settings)
        monkeypatch.setattr(replay, "record", found)
        return found

    return use


class Counter:
    """A function with a state."""

    def __init__(self):
        self.total = torch.zeros(3)

    def __call__(self, value):
        self.total += value
        return [self.total * 2]


def test_it_is_called_then_compared_then_replayed(recorder):
    recorded = recorder()
    counter = Counter()
    replayed = partial(Replayed(), counter, lambda: [counter.total])
    for call in range(1, WARM_UP + 4):
        (found,) = replayed(torch.full((3,), float(call)))
        assert torch.equal(found, torch.full((3,), float(call * (call + 1))))
    assert (recorded.recorded, recorded.replayed) == (1, 3)


def test_other_shapes_are_not_replayed(recorder):
    recorded = recorder()
    counter = Counter()
    replayed = partial(Replayed(), counter, lambda: [counter.total])
    for value in [torch.ones(3)] * (WARM_UP + 2) + [torch.ones(1)]:
        (found,) = replayed(value)
    assert torch.equal(found, torch.full((3,), 2.0 * (WARM_UP + 3)))
    assert recorded.replayed == 2


def test_after_a_change_it_is_recorded_anew(recorder):
    recorded = recorder()
    counter = Counter()
    replayed = Replayed()
    for _ in range(3):
        for _ in range(WARM_UP + 1):
            replayed(counter, lambda: [counter.total], torch.ones(3))
        replayed.forget()
    assert recorded.recorded == 3
    assert counter.total[0] == 3 * (WARM_UP + 1)


def test_what_a_failed_recording_moved_is_put_back(monkeypatch):
    def fail(function, inputs):
        function(*inputs)
        raise RuntimeError("no")

    monkeypatch.setattr(replay, "record", fail)
    counter = Counter()
    replayed = Replayed()
    with pytest.warns(UserWarning, match="no$"):
        for _ in range(WARM_UP + 2):
            replayed(counter, lambda: [counter.total], torch.ones(3))
    assert counter.total[0] == WARM_UP + 2


def test_what_is_not_in_tensors_is_not_recorded(recorder):
    recorded = recorder()
    counter = Counter()
    replayed = Replayed()
    for _ in range(WARM_UP + 2):
        replayed(counter, lambda: None, torch.ones(3))
    assert replayed.given_up
    assert (recorded.recorded, counter.total[0]) == (0, WARM_UP + 2)


@pytest.mark.parametrize("runs", [1, 2])
def test_a_stack_that_is_gone_holds_no_memory(make_config, runs):
    """Without waiting for the garbage collector, which knows nothing of a device's memory."""
    stack = Stack([make_config(*SMALL, f"seed={seed}") for seed in range(runs)], CPU)
    stack.begin_epoch(0, steps=10)
    for _ in range(WARM_UP + 2):
        stack.step(*batch(runs))
    gone = [weakref.ref(stack), weakref.ref(stack.network)]
    del stack
    assert [one() for one in gone] == [None, None]


@pytest.mark.parametrize("spoil", [lambda outputs: [output + 1 for output in outputs], lambda outputs: outputs[::-1]])
def test_a_replay_that_differs_is_given_up(make_config, recorder, spoil):
    """And nothing is lost."""
    config = make_config(*SMALL, "batch_size=25")
    (expected,) = outcomes(trainer_of([config]))
    recorded = recorder(spoil=spoil)
    with pytest.warns(UserWarning, match="not recorded: it comes to other numbers"):
        (found,) = outcomes(trainer_of([config]))
    assert recorded.replayed == 2, "the whole step, then all but the optimizer"
    assert found[:2] == expected[:2]


def test_what_cannot_be_recorded_is_run_as_it_is(make_config, recorder):
    config = make_config(*SMALL, "batch_size=25")
    (expected,) = outcomes(trainer_of([config]))
    recorder(error=RuntimeError("operation not permitted when stream is capturing\nand more"))
    with pytest.warns(UserWarning, match="not permitted when stream is capturing$") as told:
        (found,) = outcomes(trainer_of([config]))
    assert len(told) == 1
    assert found[:2] == expected[:2]


def test_memory_that_is_short_is_the_planners_to_find(make_config, recorder):
    recorder(error=torch.OutOfMemoryError("out of memory"))
    with pytest.raises(torch.OutOfMemoryError):
        outcomes(trainer_of([make_config(*SMALL, "batch_size=25")]))


def trained(configs, device) -> tuple[list[torch.Tensor], Stack]:
    """Two epochs, each with a last batch of fewer images: the figures of all steps, the weights after each epoch."""
    stack = Stack(configs, device)
    found: list[torch.Tensor] = []
    for epoch in range(2):
        stack.begin_epoch(epoch, steps=STEPS + 1)
        for samples in [20] * STEPS + [10]:
            found += stack.step(*(tensor.to(device) for tensor in batch(len(configs), samples)))
        found += [tensor.detach().clone() for tensor in stack.network.tensors()]
    return found, stack


def assert_same_when_replayed(configs, device, monkeypatch) -> Stack:
    """To the bit on a CPU; on CUDA sums may come in another order, and an image may change its class."""
    monkeypatch.setattr(replay, "WARM_UP", NEVER)
    expected, _ = trained(configs, device)
    monkeypatch.setattr(replay, "WARM_UP", WARM_UP)
    found, stack = trained(configs, device)
    for one, other in zip(found, expected, strict=True):
        tolerance = 0.0 if device == CPU else 1e-3 if one.is_floating_point() else 1.0
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)
    return stack


def replayed_as_a_whole(stack) -> bool:
    """Whether steps are, or only their part without the optimizers."""
    step = stack.recorded_step
    whole = step.whole if step.whole and not step.whole.given_up else None
    assert (whole or step.part)._held
    return whole is not None


cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
devices = pytest.mark.parametrize("device", [CPU, pytest.param(torch.device("cuda"), marks=cuda)], ids=["cpu", "cuda"])


@pytest.mark.slow
@devices
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("runs", [1, 2])
def test_every_optimizer(make_config, monkeypatch, device, optimizer, runs):
    """With rates that differ run by run and change after an epoch."""
    if runs > 1 and optimizer == "lbfgs":
        pytest.skip("it trains alone")
    own = (*SMALL, f"optimizer={optimizer}", "batch_size=20", "scheduler=cosine")
    configs = [make_config(*own, f"optimizer.lr={rate}") for rate in (0.01, 0.02)[:runs]]
    stack = assert_same_when_replayed(configs, device, monkeypatch)
    assert replayed_as_a_whole(stack) == (optimizer not in NOT_WHOLE[device.type])


TECHNIQUES = {
    "clipped": ["clip_norm=1", "clip_value=0.1", "max_norm=2"],
    "penalized": ["regularizer=elastic_net", "label_smoothing=0.1", "dropout=0.3"],
    "half": ["precision=bf16", "norm=batch"],
    "by-step": ["scheduler=one_cycle", "optimizer=sgd", "optimizer.momentum=0.9"],
    "orthogonal": ["init=orthogonal", "activation=gelu", "optimizer=adamw"],
} | {norm: [f"norm={norm}"] for norm in NORMS if norm != "instance"}
CNN = {"cnn": ["norm=instance", "dropout_conv=0.2"], "cnn-half": ["precision=bf16", "norm=batch"]}


@pytest.mark.slow
@devices
@pytest.mark.parametrize("techniques", TECHNIQUES.values(), ids=TECHNIQUES)
@pytest.mark.parametrize("runs", [1, 3])
def test_every_technique(make_config, monkeypatch, device, techniques, runs):
    configs = [make_config(*SMALL, "batch_size=20", *techniques, f"seed={seed}") for seed in range(runs)]
    stack = assert_same_when_replayed(configs, device, monkeypatch)
    assert replayed_as_a_whole(stack) == ("scheduler=one_cycle" not in techniques)


@pytest.mark.slow
@devices
@pytest.mark.parametrize("techniques", CNN.values(), ids=CNN)
@pytest.mark.parametrize("runs", [1, 2])
def test_the_cnn(make_config, monkeypatch, device, techniques, runs):
    configs = [make_config(*SMALL_CNN, "batch_size=20", *techniques, f"seed={seed}") for seed in range(runs)]
    assert replayed_as_a_whole(assert_same_when_replayed(configs, device, monkeypatch))


@pytest.mark.slow
@pytest.mark.parametrize("runs", [1, 2])
def test_whole_epochs(make_config, monkeypatch, runs):
    """As the trainer runs them, with augmentation and a state that a run leaves the stack with."""
    own = (*SMALL, "batch_size=20", "augment=affine", "data.label_noise=0.1", "scheduler=cosine")
    configs = [make_config(*own, f"seed={seed}") for seed in range(runs)]
    monkeypatch.setattr(replay, "WARM_UP", NEVER)
    expected = outcomes(trainer_of(configs))
    monkeypatch.setattr(replay, "WARM_UP", WARM_UP)
    for one, other in zip(outcomes(trainer_of(configs)), expected, strict=True):
        assert one[:2] == other[:2]
        assert all(torch.equal(tensor, other[2][name]) for name, tensor in one[2].items())


def test_a_rate_that_an_epoch_brings_is_recorded_anew(make_config, recorder):
    recorded = recorder()
    outcomes(trainer_of([make_config(*SMALL, "batch_size=20", "scheduler=cosine")]))
    assert recorded.recorded == 2


def test_rates_that_change_by_step_are_in_no_recording(make_config, recorder):
    recorded = recorder()
    outcomes(trainer_of([make_config(*SMALL, "scheduler=cosine", "scheduler.interval=step", "batch_size=20")]))
    assert recorded.recorded == 1, "all but the optimizer, once"


@devices
@pytest.mark.parametrize("runs", [1, 2])
def test_a_state_that_is_loaded_is_gone_on_from(make_config, device, runs):
    """Of a CPU as well. Optimizers then have other tensors than those that were recorded."""
    configs = [make_config(*SMALL, f"seed={seed}") for seed in range(runs)]

    def losses(stack, steps):
        inputs = [tensor.to(stack.device) for tensor in batch(runs)]
        return torch.stack([stack.step(*inputs).loss.cpu() for _ in range(steps)])

    saved, stack = Stack(configs, CPU), Stack(configs, device)
    for each in (saved, stack):
        each.begin_epoch(0, steps=NEVER)
        losses(each, WARM_UP + 2)
    for run in range(runs):
        stack.load_state(run, deepcopy(saved.state(run)))
    stack.begin_epoch(0, steps=NEVER)
    tolerance = 0.0 if device == CPU else 1e-3
    torch.testing.assert_close(losses(stack, 3), losses(saved, 3), rtol=tolerance, atol=tolerance)
