"""A step that is replayed gives the same numbers as an ordinary one."""

import weakref
from copy import deepcopy
from functools import partial

import pytest
import torch

from regbench.techniques.norm import NORMS
from regbench.techniques.optimizer import OPTIMIZERS
from regbench.training import replay
from regbench.training.recorded_step import Figures
from regbench.training.replay import WARM_UP, Replayed, record
from regbench.training.stack import Stack
from support import CPU, SMALL, SMALL_CNN, batch, outcomes, trainer_of

STEPS = 6
NEVER = 10**9
# The steps of these optimizers are not recorded: they read numbers out of tensors, or remember more than tensors.
NOT_WHOLE = {
    "cpu": {"nadam", "radam", "adamax", "asgd", "adafactor", "sparse_adam", "lbfgs"},
    "cuda": {"adagrad", "adafactor", "muon", "sparse_adam", "lbfgs"},
}


class Recorder:
    """Stands in for `record` and counts; `spoil` changes what a replay returns, `error` is what a recording raises."""

    def __init__(self, spoil=None, error=None):
        self.recorded = self.replayed = self.outputs = 0  # outputs: of the last replay
        self.spoil, self.error = spoil, error

    def __call__(self, function, inputs):
        if self.error:
            raise self.error
        self.recorded += 1
        again, outputs = record(function, inputs)

        def played(*given):
            self.replayed += 1
            result = again(*given)
            self.outputs = len(result)
            return self.spoil(result) if self.spoil else result

        return played, outputs


@pytest.fixture
def recorder(monkeypatch):
    """A function that makes a recorder, which records all steps from now on."""

    def use(**settings):
        made = Recorder(**settings)
        monkeypatch.setattr(replay, "record", made)
        return made

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
        (total,) = replayed(torch.full((3,), float(call)))
        assert torch.equal(total, torch.full((3,), float(call * (call + 1))))
    assert (recorded.recorded, recorded.replayed) == (1, 3)


def test_other_shapes_are_not_replayed(recorder):
    recorded = recorder()
    counter = Counter()
    replayed = partial(Replayed(), counter, lambda: [counter.total])
    for value in [torch.ones(3)] * (WARM_UP + 2) + [torch.ones(1)]:
        (total,) = replayed(value)
    assert torch.equal(total, torch.full((3,), 2.0 * (WARM_UP + 3)))
    assert recorded.replayed == 2


def test_after_a_change_it_is_recorded_again(recorder):
    recorded = recorder()
    counter = Counter()
    replayed = Replayed()
    for _ in range(3):
        for _ in range(WARM_UP + 1):
            replayed(counter, lambda: [counter.total], torch.ones(3))
        replayed.forget()
    assert recorded.recorded == 3
    assert counter.total[0] == 3 * (WARM_UP + 1)


def test_what_a_failed_recording_changed_is_put_back(monkeypatch):
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
    assert [reference() for reference in gone] == [None, None]


@pytest.mark.parametrize("spoil", [lambda outputs: [output + 1 for output in outputs], lambda outputs: outputs[::-1]])
def test_a_replay_that_differs_is_given_up(make_config, recorder, spoil):
    """The run trains as it does without recordings."""
    config = make_config(*SMALL, "batch_size=25")
    (expected,) = outcomes(trainer_of([config]))
    recorded = recorder(spoil=spoil)
    with pytest.warns(UserWarning, match="not recorded: its replay gives other numbers"):
        (outcome,) = outcomes(trainer_of([config]))
    assert recorded.replayed == 2, "the whole step, then all except the optimizer"
    assert outcome[:2] == expected[:2]


def test_what_cannot_be_recorded_is_called_in_the_ordinary_way(make_config, recorder):
    config = make_config(*SMALL, "batch_size=25")
    (expected,) = outcomes(trainer_of([config]))
    recorder(error=RuntimeError("operation not permitted when stream is capturing\nand more"))
    with pytest.warns(UserWarning, match="not permitted when stream is capturing$") as warnings:
        (outcome,) = outcomes(trainer_of([config]))
    assert len(warnings) == 1
    assert outcome[:2] == expected[:2]


def test_too_little_memory_is_an_error(make_config, recorder):
    recorder(error=torch.OutOfMemoryError("out of memory"))
    with pytest.raises(torch.OutOfMemoryError):
        outcomes(trainer_of([make_config(*SMALL, "batch_size=25")]))


def trained(configs, device) -> list[torch.Tensor]:
    """Two epochs, each with a smaller last batch: the figures of all steps, and the weights after each epoch."""
    stack = Stack(configs, device)
    tensors: list[torch.Tensor] = []
    for epoch in range(2):
        stack.begin_epoch(epoch, steps=STEPS + 1)
        for samples in [20] * STEPS + [10]:
            tensors += stack.step(*(tensor.to(device) for tensor in batch(len(configs), samples)))
        tensors += [tensor.detach().clone() for tensor in stack.network.tensors()]
    return tensors


def assert_same_when_replayed(configs, device, monkeypatch) -> bool:
    """Train with and without replays; whether whole steps are replayed, rather than all except the optimizers.

    On a CPU the numbers are the same to the bit; on CUDA, sums may have another order and images another class.
    """
    monkeypatch.setattr(replay, "WARM_UP", NEVER)
    ordinary = trained(configs, device)
    monkeypatch.setattr(replay, "WARM_UP", WARM_UP)
    recorded = Recorder()
    monkeypatch.setattr(replay, "record", recorded)
    for tensor, expected in zip(trained(configs, device), ordinary, strict=True):
        tolerance = 0.0 if device == CPU else 1e-3 if tensor.is_floating_point() else 1.0
        torch.testing.assert_close(tensor, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    assert recorded.replayed >= STEPS, "not only the one that is compared"
    return recorded.outputs == len(Figures._fields)


cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
devices = pytest.mark.parametrize("device", [CPU, pytest.param(torch.device("cuda"), marks=cuda)], ids=["cpu", "cuda"])


@pytest.mark.slow
@devices
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("runs", [1, 2])
def test_every_optimizer(make_config, monkeypatch, device, optimizer, runs):
    """Each run has another learning rate, which changes after an epoch."""
    if runs > 1 and optimizer == "lbfgs":
        pytest.skip("runs with lbfgs are not stacked")
    words = (*SMALL, f"optimizer={optimizer}", "batch_size=20", "scheduler=cosine")
    configs = [make_config(*words, f"optimizer.lr={rate}") for rate in (0.01, 0.02)[:runs]]
    whole = assert_same_when_replayed(configs, device, monkeypatch)
    assert whole == (optimizer not in NOT_WHOLE[device.type])


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
    whole = assert_same_when_replayed(configs, device, monkeypatch)
    assert whole == ("scheduler=one_cycle" not in techniques)


@pytest.mark.slow
@devices
@pytest.mark.parametrize("techniques", CNN.values(), ids=CNN)
@pytest.mark.parametrize("runs", [1, 2])
def test_the_cnn(make_config, monkeypatch, device, techniques, runs):
    configs = [make_config(*SMALL_CNN, "batch_size=20", *techniques, f"seed={seed}") for seed in range(runs)]
    assert assert_same_when_replayed(configs, device, monkeypatch), "a whole step"


@pytest.mark.slow
@pytest.mark.parametrize("runs", [1, 2])
def test_whole_epochs(make_config, monkeypatch, runs):
    """The trainer runs them, with augmentation; the state with which a run leaves the stack is the same as well."""
    words = (*SMALL, "batch_size=20", "augment=affine", "data.label_noise=0.1", "scheduler=cosine")
    configs = [make_config(*words, f"seed={seed}") for seed in range(runs)]
    monkeypatch.setattr(replay, "WARM_UP", NEVER)
    expected = outcomes(trainer_of(configs))
    monkeypatch.setattr(replay, "WARM_UP", WARM_UP)
    for outcome, ordinary in zip(outcomes(trainer_of(configs)), expected, strict=True):
        assert outcome[:2] == ordinary[:2]
        assert all(torch.equal(tensor, ordinary[2][name]) for name, tensor in outcome[2].items())


def test_a_new_rate_in_an_epoch_is_recorded_again(make_config, recorder):
    recorded = recorder()
    outcomes(trainer_of([make_config(*SMALL, "batch_size=20", "scheduler=cosine")]))
    assert recorded.recorded == 2


def test_rates_that_change_by_step_are_not_recorded(make_config, recorder):
    recorded = recorder()
    outcomes(trainer_of([make_config(*SMALL, "scheduler=cosine", "scheduler.interval=step", "batch_size=20")]))
    assert recorded.recorded == 1, "all except the optimizer, once"


@devices
@pytest.mark.parametrize("runs", [1, 2])
def test_a_stack_resumes_from_a_loaded_state(make_config, device, runs):
    """Also from a state that was saved on a CPU. Optimizers then have other tensors than those that were recorded."""
    configs = [make_config(*SMALL, f"seed={seed}") for seed in range(runs)]

    def logits(stack, steps):
        inputs = [tensor.to(stack.device) for tensor in batch(runs)]
        return torch.stack([stack.step(*inputs).logits.cpu() for _ in range(steps)])

    saved, stack = Stack(configs, CPU), Stack(configs, device)
    for trained_stack in (saved, stack):
        trained_stack.begin_epoch(0, steps=NEVER)
        logits(trained_stack, WARM_UP + 2)
    for run in range(runs):
        stack.load_state(run, deepcopy(saved.state(run)))
    stack.begin_epoch(0, steps=NEVER)
    tolerance = 0.0 if device == CPU else 1e-3
    torch.testing.assert_close(logits(stack, 3), logits(saved, 3), rtol=tolerance, atol=tolerance)
