"""Every option trains both models in each way that a run can take, and comes to the same numbers.

Alone or with others, on one thread or on several, recorded or not, with diagnostics or without.
"""

from itertools import product
from typing import NamedTuple

import pytest
import torch

from regbench.config.run_config import RunConfig
from regbench.errors import UserError
from regbench.experiment.checks import check_techniques, registries
from regbench.training import lanes, replay
from regbench.training.machine import Machine
from support import CPU, composed, option_of, split_of

# Layers are as large as torch needs to divide their work among threads.
MODELS = {"mlp": ("model.hidden=[256,64]",), "cnn": ("model=cnn", "model.channels=[8,16]", "model.dense=[64]")}
SHORT = ("data.train_size=150", "data.val_size=60", "batch_size=20", "epochs=1", "drop_last=true")
OPTIONS = [
    (axis, name) for axis, registry in registries().items() for name in registry if axis not in ("model", "data")
]
PRETRAINED = {"lsuv": {"batch_size": 20, "max_iter": 2}, "rbm": {"epochs": 1}}
CHAOTIC = {"rprop": 0.2, "lbfgs": 0.2}  # relative: a change of sign or of a line search's length begins as rounding


class Way(NamedTuple):
    """How runs are trained."""

    runs: int  # together
    stack: int | str  # the most that train as one model; auto leaves it to the model
    lanes: int
    threads: int  # of each lane
    recorded: bool
    diagnostics: str

    def __str__(self) -> str:
        return "-".join(map(str, self))


PLAIN = Way(1, "auto", 1, 1, recorded=False, diagnostics="off")
WAYS = [
    Way(1, "auto", 1, 2, recorded=True, diagnostics="on"),
    Way(2, "auto", 2, 1, recorded=True, diagnostics="on"),
    Way(2, 2, 1, 2, recorded=False, diagnostics="on"),
]
ALL_WAYS = [
    Way(runs, stack, side, threads, recorded, diagnostics)
    for (runs, stack, side), threads, recorded, diagnostics in product(
        [(1, "auto", 1), (2, "auto", 1), (2, 2, 1), (3, "auto", 2), (4, 2, 2)], [1, 2, 4], [True, False], ["on", "off"]
    )
]


@pytest.fixture(autouse=True)
def same_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def config_of(model: str, axis: str, name: str) -> RunConfig:
    config = composed(*MODELS[model], *SHORT)
    return config.model_copy(update={axis: option_of(axis, name, **PRETRAINED.get(name, {}))})


def loss_of(config: RunConfig, way: Way) -> float:
    """The training loss of the first of the runs, all figures of all of them being there."""
    runtime = config.runtime.model_copy(update={"stack": way.stack, "diagnostics": way.diagnostics})
    configs = [config.model_copy(update={"seed": seed, "runtime": runtime}) for seed in range(way.runs)]
    torch.set_num_threads(way.threads)
    trainer = lanes.trainer(configs, [split_of(config) for config in configs], Machine(CPU, way.lanes, way.threads))
    trainer.pretrain(range(way.runs), lambda run, row: None)
    (epochs,) = trainer.epochs(lambda images: None)
    assert sorted(epochs) == list(range(way.runs))
    assert not any(epoch.diverged for epoch in epochs.values())
    assert bool(trainer.layers) == (way.diagnostics == "on")
    assert sorted(trainer.test()) == list(range(way.runs))
    assert all(trainer.state(run) for run in epochs)
    return epochs[0].train_loss


def check(monkeypatch, model: str, axis: str, name: str, ways: list[Way]) -> None:
    config = config_of(model, axis, name)
    try:
        check_techniques(config)
    except UserError:
        return  # test_pairs.py says which these are
    warm_up = {True: replay.WARM_UP, False: 10**9}
    losses = {}
    for way in [PLAIN, *ways]:
        monkeypatch.setattr(replay, "WARM_UP", warm_up[way.recorded])
        losses[str(way)] = loss_of(config, way)
    expected = losses.pop(str(PLAIN))
    assert losses == dict.fromkeys(losses, pytest.approx(expected, rel=CHAOTIC.get(name, 1e-3)))


ODD = [("optimizer", "sparse_adam"), ("norm", "batch")]  # and adam


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("axis", "name"), [pytest.param(*option, marks=[] if option in ODD else pytest.mark.stress) for option in OPTIONS]
)
def test_an_option_trains_alike_in_the_ways_of_a_run_and_of_a_sweep(monkeypatch, axis, name, model):
    check(monkeypatch, model, axis, name, WAYS)


@pytest.mark.slow
@pytest.mark.stress
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("axis", "name"), OPTIONS)
def test_an_option_trains_alike_in_every_way(monkeypatch, axis, name, model):
    check(monkeypatch, model, axis, name, ALL_WAYS)
