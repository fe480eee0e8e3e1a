"""A run in a lane has the numbers that it has alone."""

import _thread
import time
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pytest
import torch

from regbench.training import lanes
from regbench.training.lanes import Lanes
from regbench.training.machine import Machine, shared, whole
from regbench.training.trainer import Trainer
from support import CPU, SMALL, SMALL_CNN, Outcome, assert_equal, outcomes, split_of


def in_lanes(configs, number=2):
    return Lanes(configs, [split_of(config) for config in configs], Machine(CPU, number, 1))


@pytest.fixture(autouse=True)
def one_thread():
    """For this thread; each lane has one too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_run_has_the_bits_that_it_has_alone(make_config, number):
    configs = [make_config(*SMALL, "norm=batch", "dropout=0.2", f"seed={seed}") for seed in range(3)]
    for config, in_lane in zip(configs, together(in_lanes(configs, number)), strict=True):
        (alone,) = outcomes(Trainer([config], [split_of(config)], CPU))
        assert_equal(in_lane, alone._replace(weights={}), 0)


def together(trainer):
    """Each run's epochs and test figures, without weights."""
    epochs = [[] for _ in trainer.configs]
    for records in trainer.epochs(lambda images: None):
        for run, record in records.items():
            epochs[run].append(replace(record, seconds=0.0))
    tests = trainer.test()
    return [Outcome(records, tests.get(run), weights={}) for run, records in enumerate(epochs)]


@pytest.mark.parametrize("init", ["orthogonal", "lsuv"])
def test_initial_weights_are_those_of_the_lanes_threads(make_config, init):
    """With this thread's number of threads, products would be rounded differently."""
    configs = [
        make_config("model.hidden=[256,256]", *SMALL[1:], "epochs=1", f"init={init}", f"seed={seed}") for seed in (0, 1)
    ]
    alone = [Trainer([config], [split_of(config)], CPU) for config in configs]
    torch.set_num_threads(2)
    rows = []
    trainer = in_lanes(configs)
    trainer.pretrain([0, 1], lambda run, row: rows.append(run))
    assert sorted(set(rows)) == ([0, 1] if init == "lsuv" else [])
    torch.set_num_threads(1)
    for trainer_of_run, in_lane in zip(alone, together(trainer), strict=True):
        trainer_of_run.pretrain([0], lambda run, row: None)
        (outcome,) = outcomes(trainer_of_run)
        assert outcome._replace(weights={}) == in_lane


@pytest.fixture
def stacks(monkeypatch):
    """The seeds of each stack that lanes make."""
    made = []

    class Noted(Trainer):
        def __init__(self, configs, *arguments):
            made.append([config.seed for config in configs])
            super().__init__(configs, *arguments)

    monkeypatch.setattr(lanes, "Trainer", Noted)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [("optimizer=lbfgs", *SMALL), SMALL_CNN], ids=["lbfgs", "cnn"])
def test_runs_that_cannot_share_a_stack_have_one_each(make_config, stacks, overrides):
    """Even if there are more runs than lanes."""
    trainer = in_lanes([make_config(*overrides, "epochs=1", f"seed={seed}") for seed in range(3)])
    assert sorted(stacks) == [[0], [1], [2]]
    assert all(len(outcome.epochs) == 1 for outcome in together(trainer))


def test_runs_are_divided_among_the_lanes(make_config, stacks):
    in_lanes([make_config(*SMALL, f"seed={seed}") for seed in range(5)])
    assert sorted(stacks) == [[0, 1], [2, 3, 4]]


def test_a_run_that_diverges_leaves_the_others_alone(make_config):
    """Then two of three lanes are empty."""
    configs = [make_config(*SMALL, "optimizer=sgd", f"optimizer.lr={rate}") for rate in (1e30, 0.1, 1e30)]
    trainer = in_lanes(configs, 3)
    outcomes_of_runs = together(trainer)
    assert [len(outcome.epochs) for outcome in outcomes_of_runs] == [1, 2, 1]
    assert outcomes_of_runs[0].epochs[0].diverged
    assert outcomes_of_runs[1].tests
    assert trainer.finished == 2


@pytest.mark.slow
def test_an_interrupt_that_is_no_signal_stops_the_epoch(make_config):
    """That of `ray.cancel`: it sets a mark that the main thread sees only when it does not wait."""
    steps = []

    def tick(images):
        if not steps:
            _thread.interrupt_main()
        steps.append(images)
        time.sleep(0.1)

    trainer = in_lanes([make_config(*SMALL[:3], "batch_size=1", "epochs=1", f"seed={seed}") for seed in (0, 1)])
    with pytest.raises(KeyboardInterrupt):
        next(trainer.epochs(tick))
    assert sum(steps) < 140, "of 150 steps of both"


def test_the_others_continue_without_a_run_that_is_dropped(make_config):
    trainer = in_lanes([make_config(*SMALL, f"seed={seed}") for seed in range(4)])
    epochs = trainer.epochs(lambda images: None)
    assert list(next(epochs)) == [0, 1, 2, 3]
    trainer.drop([1, 2])
    assert list(next(epochs)) == [0, 3]
    assert list(trainer.test()) == [0, 3]


def test_a_run_resumes_in_another_lane(make_config):
    configs = [make_config(*SMALL, f"seed={seed}") for seed in range(3)]
    first, whole_way = in_lanes(configs), together(in_lanes(configs))
    next(first.epochs(lambda images: None))
    second = in_lanes(configs[::-1])
    for run in range(3):
        second.load_state(2 - run, first.state(run))
    assert second.finished == 1
    for outcome, expected in zip(together(second), whole_way[::-1], strict=True):
        assert outcome == expected._replace(epochs=expected.epochs[1:])
    assert [best.epoch for best in second.best] == [best.epoch for best in chosen(whole_way[::-1])]


def chosen(outcomes_of_runs):
    return [min(outcome.epochs, key=lambda epoch: epoch.val_loss) for outcome in outcomes_of_runs]


def test_what_is_shown_is_of_all_lanes(make_config, monkeypatch):
    """Images as one run sees them; runs share the seconds of an epoch."""
    seen, clock = [], count(step=8.0)
    monkeypatch.setattr(lanes, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    trainer = in_lanes([make_config(*SMALL, "epochs=1", "optimizer=lbfgs", f"seed={seed}") for seed in range(4)])
    (records,) = trainer.epochs(seen.append)
    assert [record.seconds for record in records.values()] == [2.0] * 4
    assert sum(seen) == trainer.images_per_epoch == 150
    assert list(trainer.layers) == [0, 1, 2, 3]


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_what_stops_one_lane_stops_all(make_config, error):
    """At their next step, not at the end of the epoch."""
    configs = [make_config(*SMALL, "epochs=1000", f"seed={seed}") for seed in range(2)]
    trainer = in_lanes(configs)
    steps = []

    def tick(images):
        steps.append(images)
        raise error

    with pytest.raises(error):
        list(trainer.epochs(tick))
    assert len(steps) <= 2, "one of each lane"
    assert trainer.finished < 1000


@pytest.mark.parametrize(
    ("cores", "number", "threads"), [(1, 1, 1), (2, 2, 1), (4, 4, 1), (6, 3, 2), (8, 4, 2), (10, 3, 3), (64, 4, 16)]
)
@pytest.mark.parametrize("auto", [False, True])
def test_threads_are_divided_among_lanes(make_config, monkeypatch, cores, number, threads, auto):
    config = make_config(f"runtime.threads={'auto' if auto else cores}")
    if auto:
        monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    assert shared(config, CPU) == Machine(CPU, number, threads)
    assert whole(config, CPU) == Machine(CPU, 1, cores)
    assert shared(config, torch.device("cuda")) == Machine(torch.device("cuda"), 1, cores)


def test_a_lane_with_all_threads_is_this_thread(make_config):
    config = make_config(*SMALL)
    for machine, kind in ((Machine(CPU, 1, 1), Trainer), (Machine(CPU, 1, 2), Lanes), (Machine(CPU, 2, 1), Lanes)):
        assert type(lanes.trainer([config], [split_of(config)], machine)) is kind
    assert torch.get_num_threads() == 1
