"""conf/experiment and conf/study: every one composes, passes the checks, and says what its lesson is about."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from regbench.config.location import config_dir
from regbench.experiment.checks import check_techniques
from regbench.sweep import grid
from regbench.sweep.compose import Composer
from regbench.sweep.plan import plan

EXPERIMENTS = sorted(path.stem for path in (config_dir() / "experiment").iterdir())
STUDIES = sorted(path.stem for path in (config_dir() / "study").iterdir())
MLP = {"epochs": 15, "batch_size": 100, "drop_last": True, "optimizer.lr": 1e-3, "data.val_size": 0}
MLP |= {"optimizer": "adam", "model": "mlp", "data.train_size": None}
SMALL = {"epochs": 10, "batch_size": 32, "drop_last": True, "optimizer.lr": 0.01, "model.hidden": [32, 32]}
SMALL |= {"optimizer": "adam", "data.val_size": 0, "data.train_size": None, "data.scaling": "unit"}
CNN = {"epochs": 10, "batch_size": 256, "drop_last": True, "optimizer": "sgd", "optimizer.lr": 2e-4, "model": "cnn"}
CNN |= {"model.channels": [16, 32, 64], "model.dense": [100], "data.val_size": 0, "data.train_size": None}
CNN |= {"data.scaling": "unit"}
XAVIER = MLP | {"init": "xavier", "init.distribution": "uniform", "init.gain": 1.0, "data.scaling": "unit"}
LESSONS: dict[str, dict[str, Any]] = {
    "mlp_normal": MLP | {"init": "normal", "init.std": 1.0, "data.scaling": "unit", "model.hidden": [256, 256]},
    "mlp_xavier": XAVIER | {"model.hidden": [256, 256], "dropout": 0.0},
    "mlp_deep": XAVIER | {"model.hidden": [512] * 4, "dropout": 0.0},
    "mlp_deep_dropout": XAVIER | {"model.hidden": [512] * 4, "dropout": 0.3},
    "mlp_small": SMALL | {"norm": "none"},
    "mlp_small_batch_norm": SMALL | {"norm": "batch"},
    "cnn_plain": CNN | {"init": "default", "dropout": 0.0, "norm": "none"},
    "cnn_weight_decay": CNN | {"init": "default", "optimizer.weight_decay": 0.1},
    "cnn_dropout": CNN | {"dropout": 0.2, "dropout_conv": None, "init": "default"},
    "cnn_kaiming": CNN | {"init": "kaiming", "init.distribution": "normal", "init.bias": 0.0, "scheduler": "constant"},
    "cnn_exponential": CNN | {"scheduler": "exponential", "scheduler.gamma": 0.99, "init": "default"},
    "cnn_standard": CNN | {"data.scaling": "standard", "init": "default"},
    "cnn_batch_norm": CNN | {"norm": "batch", "init": "default"},
}
VALUES = ("dropout", "label_smoothing", "max_norm", "clip_norm", "clip_value", "data.scaling")
Jobs = Callable[..., list[list[str]]]


def flat(values: dict[str, Any]) -> dict[str, Any]:
    """`{"init": {"name": "xavier", "gain": 1.0}}` as `{"init": "xavier", "init.gain": 1.0}`."""
    flattened: dict[str, Any] = {}
    for key, value in values.items():
        inner = value if isinstance(value, dict) else {"name": value}
        flattened |= {key if name == "name" else f"{key}.{name}": leaf for name, leaf in inner.items()}
    return flattened


@pytest.fixture
def jobs_of(_own_files_read_once):
    """The jobs of a study with more arguments, and their composer."""
    before = HydraConfig.instance().cfg

    def expanded(study: str, *arguments: str) -> tuple[list[list[str]], Composer]:
        words = [f"+study={study}", *arguments]
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            loader = GlobalHydra.instance().config_loader()
            master = loader.load_configuration("config", words, RunMode.MULTIRUN)
            assert master.hydra.mode == RunMode.MULTIRUN
            plugin = master.hydra.sweeper
            return grid.expand(loader, plugin.params, words, each=plugin.each), Composer(master, loader)

    yield expanded
    HydraConfig.instance().cfg = before


@pytest.mark.parametrize("kind", ["experiment", "study"])
def test_recipes_are_overrides_with_a_word_on_what_they_are(kind):
    for path in (config_dir() / kind).iterdir():
        lines = path.read_text("utf-8").splitlines()
        assert lines[0] == "# @package _global_"
        assert lines[1].startswith("# ") and len(lines) <= 25, path
        assert isinstance(yaml.safe_load("\n".join(lines)), dict)


def test_every_experiment_has_its_lesson_here():
    assert set(LESSONS) == set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_its_lesson(make_config, name):
    config = make_config(f"+experiment={name}")
    check_techniques(config)
    values = flat(config.dump())
    assert {key: values[key] for key in LESSONS[name]} == LESSONS[name]


def test_no_two_experiments_are_the_same_run(make_config):
    assert len({make_config(f"+experiment={name}").identity("data") for name in EXPERIMENTS}) == len(EXPERIMENTS)


def test_values_on_the_command_line_come_after_the_experiment_s(make_config):
    config = make_config("+experiment=cnn_kaiming", "init=xavier", "epochs=3")
    assert (config.init.name, config.epochs, config.optimizer.args["lr"]) == ("xavier", 3, 2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_a_study_has_ten_seeds_of_everything(jobs_of, name):
    jobs, _ = jobs_of(name)
    seeds = [next(word for word in job if word.startswith("seed=")) for job in jobs]
    assert {seeds.count(f"seed={seed}") for seed in range(10)} == {len(jobs) // 10}
    assert len(jobs) >= 40


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.stress] * (name == "everything")) for name in STUDIES]
)
def test_every_job_of_a_study_passes_the_checks(jobs_of, monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    jobs, composer = jobs_of(name, "seed=3", f"runtime.dir={tmp_path}")
    planned = plan(composer.jobs(jobs))
    assert len(planned.runs) + planned.duplicates == len(jobs)
    assert {run.config.seed for run in planned.runs} == {3}
    folder = {run.config.runtime.study for run in planned.runs}
    assert len(folder) == 1 and folder != {"default"}


@pytest.mark.slow
def test_everything_changes_one_thing_at_a_time(jobs_of):
    jobs, composer = jobs_of("everything", "seed=0")
    default, *configs = [flat(job.check().dump()) for job in composer.jobs([["seed=0"], *jobs])]
    names = ("model", "norm", "activation", "init", "regularizer", "optimizer", "scheduler", "augment")
    for job, values in zip(jobs, configs, strict=True):
        changed = [key for key in (*names, *VALUES) if values[key] != default[key]]
        assert len(changed) <= 1, job
    assert any("optimizer=muon" in job for job in jobs)
    assert {key.partition("=")[0] for job in jobs for key in job} >= {*names, *VALUES}


@pytest.mark.slow
def test_a_study_sweeps_without_m_and_an_argument_takes_the_place_of_its_own_values(train):
    words = ["model.hidden=[16]", "data.train_size=200", "data.val_size=100", "epochs=1", "runtime.threads=1"]
    ended = train("+study=dropout", "dropout=0,0.5", "seed=4,5", *words)
    assert ended.code == 0, ended.err
    assert "4 runs: 4 to train" in ended.out
    assert len(list(Path("runs/dropout").iterdir())) == 4


@pytest.mark.slow
def test_a_folder_may_be_named_like_a_study(train):
    words = ["model.hidden=[16]", "data.train_size=200", "data.val_size=100", "epochs=1", "runtime.threads=1"]
    assert train("study=norms", *words).code == 0
    assert train("-m", "seed=0,1", "study=mine,norms", *words).code == 0
    assert {path.name: len(list(path.iterdir())) for path in Path("runs").iterdir()} == {"norms": 2, "mine": 2}


@pytest.mark.parametrize("group", ["experiment", "study"])
def test_a_recipe_that_does_not_exist_is_one_line(train, group):
    ended = train(f"+{group}=mlp_xavir" if group == "experiment" else "+study=norm")
    assert ended.code == 2
    assert ended.err.startswith(f"error: +{group}=") and ended.err.count("\n") == 1
    assert "Did you mean" in ended.err


@pytest.mark.parametrize("kind", ["experiment", "study"])
def test_every_recipe_is_in_the_docs(kind):
    text = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text("utf-8")
    named = set(re.findall(rf"`regbench train \+{kind}=(\w+)` \|", text))
    assert named == {path.stem for path in (config_dir() / kind).iterdir()}
