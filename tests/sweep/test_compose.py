"""Jobs composed in the fast way are what Hydra composes."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf, open_dict

from regbench.cli.command_line import CommandLine
from regbench.cli.hydra_errors import explain
from regbench.config.location import config_dir
from regbench.config.run_config import AXES
from regbench.experiment.resolving import Composed
from regbench.sweep.compose import Composer

# Options that do more than fill their axis's place
MINE = {
    "norm/elsewhere.yaml": "# @package _global_\nnorm: {name: none}\nepochs: 7\n",
    "norm/beside.yaml": "# @package init\ngain: 3\n",
    "norm/tanh.yaml": "defaults: [override /activation: tanh]\nname: none\n",
    "norm/composed.yaml": "defaults: [batch, _self_]\neps: 1\n",
    "optimizer/linked.yaml": "name: sgd\nlr: ${dropout}\n",
    "optimizer/numbered.yaml": "name: sgd\nlr: ${hydra:job.num}\n",
    "experiment/one.yaml": "# @package _global_\ndefaults: [override /init: xavier]\nnorm: {eps: 2}\nseed: 5\n",
    "experiment/two.yaml": "# @package _global_\nmodel: {hidden: [5]}\nruntime: {study: '${init.name}'}\n",
    "experiment/numbered.yaml": "# @package _global_\nseed: ${ hydra:job.num}\n",
}
VALUES = [
    ["dropout=0.2", "dropout='0.2'", "dropout=1e-3", "++dropout=0.5", "~dropout", "dropout=???", "dropout=${nope}"],
    ["dropout_conv=${dropout}", "dropout_conv=null", "dropout_conv={a:1}"],
    ["seed=3", "seed=${hydra:job.num}", "seed=${epochs}", "seed=true"],
    ["model.hidden=[8,9]", "model.hidden=[]", "model.hidden=5", "model.hidden.0=5", "model.hidden=[1,[2]]"],
    ["optimizer.lr=0.30000000000000004", "optimizer.lr=abc", "optimizer.lr=inf", "optimizer.lr=-1", "~optimizer.lr"],
    ["optimizer.betas=[0.1,0.2]", "optimizer.momentum=0.5", "optimizer={name:sgd,lr:1}"],
    ["norm.eps=1", "+norm.eps=1", "+norm.extra=3", "norm={eps:1}", "~norm", "norm.name=batch", "norm=null"],
    [
        "runtime.study=a b",
        'runtime.study="a${dropout}"',
        "runtime.study='a\\'b'",
        "runtime.study=x=y",
        "runtime.study=2024",
    ],
    ["runtime={dir:x}", "+runtime.more=1", "runtime.dir=/a/b", "runtime=5", "~runtime"],
    ["+experiment=one", "+experiment=two", "+experiment=numbered", "+experiment=three"],
    ["data@more=kmnist", "+data@more=kmnist", "nope=1", "+nope=1", "clip_norm.x=1", "hydra.job.name=x"],
]
Compose = Callable[[Sequence[str], int], Any]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> Iterator[tuple[DictConfig, ConfigLoader]]:
    folder = tmp_path_factory.mktemp("conf")
    for name, content in MINE.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    before = HydraConfig.instance().cfg
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        words = [f"hydra.searchpath=[file://{folder}]"]
        yield loader.load_configuration("config", words, RunMode.MULTIRUN), loader
    HydraConfig.instance().cfg = before


@pytest.fixture(scope="module")
def fast(loaded) -> Compose:
    composer = Composer(*loaded)
    return lambda overrides, number: plain(composer.compose(overrides, number))


def plain(composed: Composed) -> Any:
    return composed if isinstance(composed, dict) else OmegaConf.to_container(composed, resolve=True)


@pytest.fixture(scope="module")
def by_hydra(loaded) -> Compose:
    """As Hydra's basic launcher does it."""
    master, loader = loaded

    def compose(overrides: Sequence[str], number: int) -> Any:
        composed = loader.load_sweep_config(master, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
        HydraConfig.instance().set_config(composed)
        with open_dict(composed):
            del composed["hydra"]
        return OmegaConf.to_container(composed, resolve=True)

    return compose


def outcome(compose: Compose, overrides: Sequence[str], number: int) -> Any:
    """What is composed, or what is said instead."""
    try:
        return compose(overrides, number)
    except Exception as error:  # whatever Hydra raises
        return type(error), explain(error, CommandLine(overrides))


def options(axis: str) -> list[str]:
    places = [*(config_dir() / axis).glob("*.yaml"), *(Path(name) for name in MINE if name.startswith(f"{axis}/"))]
    return [f"{axis}={path.stem}" for path in sorted(places)]


@st.composite
def jobs(draw: st.DrawFn) -> list[str]:
    """Options of some axes and some values, in any order."""
    axes = draw(st.lists(st.sampled_from(AXES), unique=True, max_size=4))
    values = draw(st.lists(st.sampled_from(VALUES), unique_by=id, max_size=3))
    words = [draw(st.sampled_from(choices)) for choices in [*map(options, axes), *values]]
    return draw(st.permutations(list({word.partition("=")[0]: word for word in words}.values())))


@pytest.mark.slow
@pytest.mark.parametrize("words", [[word] for choices in VALUES for word in choices], ids=" ".join)
def test_each_override_means_what_it_means_to_hydra(fast, by_hydra, words):
    assert outcome(fast, words, 7) == outcome(by_hydra, words, 7)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(overrides=jobs(), number=st.integers(0, 20))
@example(overrides=["norm=elsewhere", "init=xavier"], number=0)
@example(overrides=["norm=beside", "init=default"], number=0)
@example(overrides=["norm=tanh", "activation=sigmoid"], number=0)
@example(overrides=["norm=tanh", "init=default"], number=0)
@example(overrides=["norm=composed", "init=default"], number=0)
@example(overrides=["optimizer=linked", "dropout=0.2", "norm=layer"], number=0)
@example(overrides=["optimizer=numbered", "norm=layer"], number=3)
@example(overrides=["+experiment=numbered", "norm=layer"], number=4)
@example(overrides=["+experiment=one", "norm=layer", "init=normal", "norm.eps=3"], number=4)
@example(overrides=["norm=bacth", "dropout=0.2"], number=4)
@pytest.mark.slow
@pytest.mark.stress
def test_jobs_are_composed_as_by_hydra(fast, by_hydra, overrides, number):
    assert outcome(fast, overrides, number) == outcome(by_hydra, overrides, number)


def test_hydra_composes_once_and_reads_each_file_once(loaded, monkeypatch):
    master, loader = loaded
    composed, read = [], []
    compose, load = loader.load_sweep_config, OmegaConf.load
    monkeypatch.setattr(loader, "load_sweep_config", lambda *arguments: (composed.append(1), compose(*arguments))[1])
    monkeypatch.setattr(OmegaConf, "load", lambda file: (read.append(Path(file.name).stem), load(file))[1])
    overrides = [
        [f"norm={norm}", f"init={init}", f"optimizer.lr={lr}", f"seed={seed}"]
        for norm in ("none", "batch", "layer")
        for init in ("xavier", "kaiming", "normal")
        for lr in (0.1, 0.01)
        for seed in range(5)
    ]
    configs = [job.check() for job in Composer(master, loader).jobs(overrides)]
    assert len(composed) == 1, "90 jobs choose on the same axes"
    assert read.count("relu") == 2, "for the frame, and for all options"
    assert [read.count(norm) for norm in ("batch", "layer")] == [1, 1]
    assert len({config.identity("") for config in configs}) == 90


SOME = [["norm=batch", "seed=1"], ["norm=layer", "seed=2", "optimizer.lr=0.5"], ["seed=${hydra:job.num}"]]


@pytest.fixture(scope="module")
def some_by_hydra(by_hydra) -> list[Any]:
    return [by_hydra(words, number) for number, words in enumerate(SOME, 3)]


class Without:
    """A loader that lacks one of its names."""

    def __init__(self, loader: ConfigLoader, name: str) -> None:
        self._loader, self._name = loader, name

    def __getattr__(self, name: str) -> Any:
        if name == self._name:
            raise AttributeError(name)
        return getattr(self._loader, name)


NEEDED = [
    ("loader", "repository"),
    ("loader", "_process_config_searchpath"),
    ("loader", "_compose_config_from_defaults_list"),
    ("loader", "_apply_overrides_to_config"),
    ("hydra._internal.config_repository", "CachingConfigRepository"),
    ("hydra._internal.defaults_list", "create_defaults_list"),
    ("hydra._internal.defaults_list", ""),
]


@pytest.mark.slow
@pytest.mark.parametrize(("place", "name"), NEEDED, ids=lambda word: word or "the module")
def test_without_a_name_inside_hydra_it_composes_every_job(loaded, some_by_hydra, monkeypatch, place, name):
    master, loader = loaded
    composed = []
    compose = loader.load_sweep_config
    monkeypatch.setattr(loader, "load_sweep_config", lambda *arguments: (composed.append(1), compose(*arguments))[1])
    if place == "loader":
        loader = Without(loader, name)
    else:
        monkeypatch.delitem(sys.modules, "regbench.sweep.frames", raising=False)
        monkeypatch.setitem(sys.modules, place, without(name, sys.modules[place]) if name else None)
    jobs = list(Composer(master, loader).jobs(SOME, first=3))
    assert len(composed) == len(jobs)
    assert [plain(job.composed) for job in jobs] == some_by_hydra


def without(name: str, module: ModuleType) -> ModuleType:
    """A module that lacks one of its names."""
    copy = ModuleType(module.__name__)
    copy.__dict__.update({key: value for key, value in vars(module).items() if key != name})
    return copy
