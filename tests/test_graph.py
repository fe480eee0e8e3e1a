"""A step that is replayed comes to what it comes to otherwise. Without CUDA the function itself plays the replay."""

import weakref
from functools import partial

import pytest
import torch

from regbench import graph, update
from regbench.graph import WARM_UP, Replayed, put
from regbench.stack import Stack
from test_stack import CPU, SMALL, SMALL_CNN, batch, outcomes, trainer_of

STEPS = 6


class Recorder:
    """In place of `record`: counts, and spoils what is replayed if told to."""

    def __init__(self, spoil=None, error=None):
        self.recorded = self.replayed = 0
        self.spoil, self.error = spoil, error

    def __call__(self, function, inputs):
        if self.error:
            raise self.error
        self.recorded += 1
        own = [tensor.clone() for tensor in inputs]

        def replay(*given):
            self.replayed += 1
            put(given, own)
            outputs = [tensor.clone() for tensor in function(*own)]
            return self.spoil(outputs) if self.spoil else outputs

        return replay


@pytest.fixture
def recorder(monkeypatch):
    """`recorder(...)`: every optimizer can be recorded from now on, by such a recorder."""

    def use(**settings):
        found = Recorder(**settings)
        monkeypatch.setattr(update, "make_recordable", lambda optimizers: True)
        monkeypatch.setattr(graph, "record", found)
        return found

    return use


class Counter:
    """A function with a state."""

    def __init__(self):
        self.total = torch.zeros(3)
        self.calls = 0

    def __call__(self, value):
        self.calls += 1
        self.total += value
        return [self.total * 2]


def test_it_is_called_then_compared_then_replayed(monkeypatch):
    recorded = Recorder()
    monkeypatch.setattr(graph, "record", recorded)
    counter = Counter()
    replayed = partial(Replayed(), counter, lambda: [counter.total])
    for call in range(1, WARM_UP + 4):
        (found,) = replayed(torch.full((3,), float(call)))
        assert torch.equal(found, torch.full((3,), float(call * (call + 1))))
    assert (recorded.recorded, recorded.replayed) == (1, 3)


def test_other_shapes_are_not_replayed(monkeypatch):
    recorded = Recorder()
    monkeypatch.setattr(graph, "record", recorded)
    counter = Counter()
    replayed = partial(Replayed(), counter, lambda: [counter.total])
    for value in [torch.ones(3)] * (WARM_UP + 2) + [torch.ones(1)]:
        (found,) = replayed(value)
    assert torch.equal(found, torch.full((3,), 2.0 * (WARM_UP + 3)))
    assert recorded.replayed == 2


def test_after_a_change_it_is_recorded_anew(monkeypatch):
    recorded = Recorder()
    monkeypatch.setattr(graph, "record", recorded)
    counter = Counter()
    replayed = Replayed()
    for _ in range(3):
        for _ in range(WARM_UP + 1):
            replayed(counter, lambda: [counter.total], torch.ones(3))
        replayed.forget()
    assert recorded.recorded == 3
    assert counter.total[0] == 3 * (WARM_UP + 1)


def test_what_a_failed_recording_moved_is_put_back(monkeypatch):
    """As one does that runs what it should have recorded."""

    def record(function, inputs):
        function(*inputs)
        raise RuntimeError("no")

    monkeypatch.setattr(graph, "record", record)
    counter = Counter()
    replayed = Replayed()
    with pytest.warns(UserWarning, match="no$"):
        for _ in range(WARM_UP + 2):
            replayed(counter, lambda: [counter.total], torch.ones(3))
    assert counter.total[0] == WARM_UP + 2


@pytest.mark.parametrize("runs", [1, 2])
def test_a_stack_that_is_gone_holds_no_memory(make_config, recorder, runs):
    """Without waiting for the garbage collector, which knows nothing of a device's memory."""
    recorder()  # its replays, unlike those of CUDA, hold the function
    stack = Stack([make_config(*SMALL, f"seed={seed}") for seed in range(runs)], CPU)
    stack.begin_epoch(0, steps=10)
    for _ in range(WARM_UP):
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
    with pytest.warns(UserWarning, match="not run as a CUDA graph: it comes to other numbers"):
        (found,) = outcomes(trainer_of([config]))
    assert recorded.replayed == 1
    assert found[:2] == expected[:2]


def test_what_cannot_be_recorded_is_run_as_it_is(make_config, recorder):
    config = make_config(*SMALL, "batch_size=25")
    (expected,) = outcomes(trainer_of([config]))
    recorder(error=RuntimeError("operation not permitted when stream is capturing\nand more"))
    with pytest.warns(UserWarning, match="not permitted when stream is capturing$"):
        (found,) = outcomes(trainer_of([config]))
    assert found[:2] == expected[:2]


def test_memory_that_is_short_is_the_planners_to_find(make_config, recorder):
    recorder(error=torch.OutOfMemoryError("out of memory"))
    with pytest.raises(torch.OutOfMemoryError):
        outcomes(trainer_of([make_config(*SMALL, "batch_size=25")]))


@pytest.mark.parametrize("fixed", [SMALL, SMALL_CNN], ids=["mlp", "cnn"])
@pytest.mark.parametrize("runs", [1, 3])
def test_epochs_of_replayed_steps_are_those_of_ordinary_ones(make_config, recorder, fixed, runs):
    """Batch norm, dropout, limits and schedules in it, and a last batch of fewer images."""
    own = ("batch_size=20", "norm=batch", "dropout=0.3", "clip_norm=1", "max_norm=2", "scheduler=cosine")
    configs = [make_config(*fixed, *own, f"seed={seed}") for seed in range(runs)]
    expected = outcomes(trainer_of(configs))
    recorded = recorder()
    assert [found[:2] for found in outcomes(trainer_of(configs))] == [found[:2] for found in expected]
    assert recorded.replayed > STEPS
    assert recorded.recorded == 2, "the rate of an epoch is in the graph"


def test_rates_that_change_by_step_are_in_no_graph(make_config, recorder):
    recorded = recorder()
    outcomes(trainer_of([make_config(*SMALL, "scheduler=cosine", "scheduler.interval=step", "batch_size=20")]))
    assert recorded.recorded == 0


cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@cuda
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "nadam", "rmsprop"])
@pytest.mark.parametrize("runs", [1, 3])
def test_on_cuda_a_graph_is_replayed(make_config, optimizer, runs, monkeypatch):
    """As often as it should be, to the figures of ordinary steps."""
    device = torch.device("cuda")
    configs = [make_config(*SMALL, f"optimizer={optimizer}", "dropout=0.2", f"seed={seed}") for seed in range(runs)]
    figures = {}
    for way in ("ordinary", "replayed"):
        monkeypatch.setattr(graph, "WARM_UP", 3 if way == "replayed" else 10**9)
        stack = Stack(configs, device)
        stack.begin_epoch(0, steps=10**6)
        images, labels = (tensor.to(device) for tensor in batch(runs, 50))
        figures[way] = torch.stack([stack.step(images, labels).loss for _ in range(STEPS)])
        assert stack._replayed
        assert stack._replayed._state == ("good" if way == "replayed" else "new")
    torch.testing.assert_close(figures["replayed"], figures["ordinary"], rtol=1e-4, atol=1e-5)


def test_on_a_cpu_nothing_is_recorded(make_config):
    assert Stack([make_config(*SMALL)], CPU)._replayed is None
