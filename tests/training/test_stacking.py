import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regbench.training import stacking
from regbench.training.machine import Machine
from regbench.training.stacking import (
    MEMORY_SHARE,
    MOST_IN_LANE,
    evenly,
    groups,
    most_as_one,
    reasons,
    run_memory,
    size,
)
from support import composed

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
GB = 10**9
CNN = ("model=cnn", "model.channels=[4,8]", "model.dense=[]")


LANES = 2


@pytest.fixture(autouse=True)
def lanes(monkeypatch):
    """Plan for a CPU with two cores, whatever this machine has."""
    monkeypatch.setattr(
        stacking, "shared", lambda config, device: Machine(device, LANES if device.type == "cpu" else 1, 1)
    )


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    """`memory(bytes)` sets what is free on any device; before, there is enough for all."""

    def is_free(number):
        monkeypatch.setattr(stacking, "free_memory", lambda device: number)

    is_free(10_000 * GB)
    return is_free


def places(configs, device=CPU):
    return [list(group.places) for group in groups(configs, device)]


def planned(*overrides, device=CPU):
    """How runs with these overrides are grouped, and why."""
    configs = [composed(*own) for own in overrides]
    found = groups(configs, device)
    return [list(group.places) for group in found], reasons(found, configs, device)


# What may differ

FREE = [
    ["seed=0", "seed=1"],
    ["init=xavier", "init=orthogonal", "init=normal"],
    ["init=normal", "init=normal init.std=0.5"],
    ["scheduler=constant", "scheduler=cosine", "scheduler=step scheduler.step_size=3"],
    ["dropout=0", "dropout=0.5", "dropout_conv=0.1"],
    ["clip_norm=null", "clip_norm=1", "clip_value=0.1"],
    ["regularizer=l2 regularizer.strength=0", "regularizer=l2 regularizer.strength=0.1"],
    ["regularizer=elastic_net regularizer.alpha=0", "regularizer=elastic_net regularizer.alpha=1"],
    ["optimizer.lr=0.1", "optimizer.lr=0.2"],
    ["runtime.study=one", "runtime.study=two"],
    ["force=true", "force=false"],
]
SPLIT = [
    (["model.hidden=[16]", "model.hidden=[32]"], ["model.hidden differs: [16], [32]"]),
    (["norm=none", "norm=batch"], ["norm differs: none, batch"]),
    (["norm=batch norm.eps=0.1", "norm=batch norm.eps=0.2"], ["norm.eps differs: 0.1, 0.2"]),
    (["activation=relu", "activation=tanh"], ["activation differs: relu, tanh"]),
    (["batch_size=10", "batch_size=20"], ["batch_size differs: 10, 20"]),
    (["epochs=1", "epochs=2"], ["epochs differs: 1, 2"]),
    (["drop_last=true", "drop_last=false"], ["drop_last differs: true, false"]),
    (["precision=fp32", "precision=bf16"], ["precision differs: fp32, bf16"]),
    (["data.train_size=100", "data.train_size=200"], ["data.train_size differs: 100, 200"]),
    (["data.train_size=null", "data.train_size=200"], ["data.train_size differs: null, 200"]),
    (["data=mnist", "data=kmnist"], ["data differs: mnist, kmnist"]),
    (["regularizer=none", "regularizer=l2"], ["regularizer differs: none, l2"]),
    (["regularizer=l2", "regularizer=l2 regularizer.half=true"], ["regularizer.half differs: false, true"]),
    (["regularizer=l2", "regularizer=l2 regularizer.on=all"], ["regularizer.on differs: weights, all"]),
    (["clip_norm_type=1", "clip_norm_type=inf"], ["clip_norm_type differs: 1, Infinity"]),
    (["runtime.device=cpu", "runtime.device=auto"], ["runtime.device differs: cpu, auto"]),
]
OPTIMIZERS = [
    (["optimizer=adam", "optimizer=sgd"], "optimizer differs: adam, sgd"),
    (["optimizer.weight_decay=0", "optimizer.weight_decay=0.1"], "optimizer.weight_decay differs: 0, 0.1"),
]


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
@pytest.mark.parametrize("runs", FREE, ids=" | ".join)
def test_values_may_differ_within_a_stack(runs, device):
    assert planned(*map(str.split, runs), device=device) == ([list(range(len(runs)))], [])


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
@pytest.mark.parametrize(("runs", "why"), SPLIT, ids=lambda value: " | ".join(value))
def test_what_changes_the_computation_splits_and_says_so(runs, why, device):
    found, lines = planned(*map(str.split, runs), device=device)
    assert found == [[0], [1]]
    assert set(why) <= set(lines)
    assert len(lines) == len(why) or "data" in why[0], lines  # the data sets have means of their own


@pytest.mark.parametrize(("runs", "why"), OPTIMIZERS, ids=str)
def test_optimizers_may_differ_only_on_a_cpu(runs, why):
    overrides = [run.split() for run in runs]
    assert planned(*overrides) == ([[0, 1]], [])
    found, lines = planned(*overrides, device=CUDA)
    assert found == [[0], [1]]
    assert lines[0] == why


def test_stacks_are_in_the_order_of_their_first_runs():
    norms = ("layer", "none", "layer", "batch", "none", "layer")
    assert places([composed(f"norm={norm}", f"seed={n}") for n, norm in enumerate(norms)]) == [[0, 2, 5], [1, 4], [3]]


def test_everything_that_differs_is_a_reason():
    found, lines = planned(("norm=none", "epochs=1"), ("norm=layer", "epochs=2"), ("norm=none", "epochs=1", "seed=3"))
    assert found == [[0, 2], [1]]
    assert lines == ["norm differs: none, layer", "epochs differs: 1, 2"]


# How many


@pytest.mark.parametrize(
    ("runs", "most", "parts"),
    [
        (1, 1, [[0]]),
        (3, 5, [[0, 1, 2]]),
        (4, 2, [[0, 1], [2, 3]]),
        (5, 4, [[0, 1], [2, 3, 4]]),
        (3, 1, [[0], [1], [2]]),
    ],
)
def test_parts_are_even(runs, most, parts):
    assert [list(part) for part in evenly(range(runs), most)] == parts


@given(runs=st.integers(1, 500), most=st.integers(1, 600))
def test_parts_are_as_few_and_as_equal_as_possible(runs, most):
    parts = evenly(range(runs), most)
    assert [place for part in parts for place in part] == list(range(runs))
    sizes = [len(part) for part in parts]
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert (len(parts) - 1) * most < runs


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
def test_as_many_as_fit_into_memory(memory, device):
    config = composed()
    need = run_memory(config)
    memory(10.5 * need / MEMORY_SHARE)
    assert size(config, device) == 10
    memory(need / 100)
    assert size(config, device) == 1


def test_on_a_cpu_no_more_than_pay_off():
    assert size(composed(), CPU) == LANES * MOST_IN_LANE["mlp"]
    assert size(composed(), CUDA) > 1000


def test_as_many_train_as_one_model_as_pay_off():
    assert most_as_one(composed("model.hidden=[16]"), CPU) == MOST_IN_LANE["mlp"]
    assert most_as_one(composed("model.hidden=[128,128]"), CPU) == 10
    assert most_as_one(composed(), CPU) == 4
    assert most_as_one(composed("model.hidden=[2000]"), CPU) == 1
    assert most_as_one(composed("runtime.stack=16"), CPU) > 16, "it was asked for"
    assert most_as_one(composed(), CUDA) > 1000


def test_a_larger_run_takes_more():
    base = run_memory(composed())
    for more in ("model.hidden=[512,512]", "batch_size=1000", "precision=fp64", "model=cnn"):
        assert run_memory(composed(more)) > 1.2 * base, more
    weights = 784 * 256 + 256 + 256 * 256 + 256 + 256 * 10 + 10
    images = 100 * 784
    assert base > 4 * (4 * weights + images)  # weights, gradient, adam's two


def test_memory_is_counted_without_taking_any():
    assert run_memory(composed("model.hidden=[1000000,1000000]")) > 4 * 10**12


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
def test_a_size_that_is_set_is_the_limit(memory, device):
    memory(0)
    runs = [("runtime.stack=3", f"seed={seed}") for seed in range(7)]
    found, lines = planned(*runs, device=device)
    assert [len(part) for part in found] == [2, 2, 3]
    assert lines == ["runtime.stack=3 is the most for a stack"]
    assert planned(*runs[:3], device=device) == ([[0, 1, 2]], [])


def test_a_stack_too_large_is_split_and_says_why(memory):
    memory(2.5 * run_memory(composed()) / MEMORY_SHARE)
    found, lines = planned(*[(f"seed={seed}",) for seed in range(4)])
    assert found == [[0, 1], [2, 3]]
    assert lines == ["model=mlp: at most 2 runs to a stack on this machine"]


def test_convolutions_have_a_lane_each_on_a_cpu():
    runs = [(*CNN, f"seed={seed}") for seed in range(4)]
    assert planned(*runs) == (
        [[0, 1], [2, 3]],
        ["cnn runs train separately, at most 2 runs at a time: stacking them is slower on a CPU"],
    )
    assert planned(*runs, device=CUDA) == ([[0, 1, 2, 3]], [])
    assert planned(*[(*run, "runtime.stack=4") for run in runs]) == ([[0, 1, 2, 3]], []), "unless told"


def test_a_limit_that_split_nothing_is_no_reason(memory):
    """There is one cnn; the mlps are too many."""
    memory(2.5 * run_memory(composed()) / MEMORY_SHARE)
    _, lines = planned(("seed=0",), ("seed=1",), ("seed=2",), CNN)
    assert lines == ["model differs: mlp, cnn", "model=mlp: at most 2 runs to a stack on this machine"]


RUNS = st.lists(
    st.tuples(
        st.sampled_from(["norm=none", "norm=layer"]),
        st.sampled_from(["batch_size=10", "batch_size=20"]),
        st.sampled_from(["seed=0", "seed=1", "seed=2"]),
        st.sampled_from(["runtime.stack=1", "runtime.stack=2", "runtime.stack=3", "runtime.stack=auto"]),
    ),
    max_size=30,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(runs=RUNS)
def test_every_run_is_in_one_stack_with_runs_of_its_shape(runs):
    configs = [composed(*run) for run in runs]
    found = groups(configs, CPU)
    assert sorted(place for group in found for place in group.places) == list(range(len(runs)))
    for group in found:
        assert list(group.places) == sorted(group.places)
        assert len(group.places) <= size(configs[group.places[0]], CPU)
        assert len({(runs[place][0], runs[place][1], runs[place][3]) for place in group.places}) == 1
    fewest = sum(
        -(
            -sum(1 for run in runs if (run[0], run[1], run[3]) == kind)
            // (LANES * MOST_IN_LANE["mlp"] if stack == "auto" else int(stack))
        )
        for kind in {(run[0], run[1], run[3]) for run in runs}
        for stack in [kind[2].partition("=")[2]]
    )
    assert len(found) == fewest
    assert bool(reasons(found, configs, CPU)) == (len(found) > 1)
