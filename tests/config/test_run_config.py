import json
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from regbench.config.registry import Option
from regbench.config.run_config import AXES, NO_EFFECT_ON_NUMBERS, RunConfig, Runtime
from regbench.errors import UserError
from regbench.experiment.checks import check, registries

# For every value, one of these fits and differs from what it is now.
CANDIDATES: tuple[Any, ...] = (
    *(True, False, 1, 2, 7, 0.25, 0.75, 1e-3, None, [3], [0.5, 0.25], "elsewhere", "plain"),
    *("normal", "uniform", "fan_out", "all", "unit", "cpu", "step", "linear", "strong_wolfe", "original", "abs"),
    *("triangular2", -0.5, [0.5, 2.0], [0.25, 0.5], 32, [3.0, -4.0, 2.0]),
    *("post", "tanh", "bf16", "epoch", "off", "mlflow"),
)
AXIS_OPTIONS = [(axis, name) for axis, registry in registries().items() for name in registry]
ARGUMENTS = [(axis, name, key) for axis, name in AXIS_OPTIONS for key in registries()[axis].schema(name).model_fields]


@pytest.fixture(scope="module")
def config(make_config) -> RunConfig:
    return make_config()


def with_option(config: RunConfig, option: Option, axis: str) -> RunConfig:
    return config.model_copy(update={axis: option})


def other_values(values: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    """Yield the values, each time with another value for the key."""
    return ({**values, key: candidate} for candidate in CANDIDATES if candidate != values[key])


def changed_config(config: RunConfig, key: str) -> RunConfig:
    for values in other_values(config.dump(), key):
        try:
            return check(values)
        except UserError:
            continue
    raise AssertionError(f"no other value fits {key}")


def changed_runtime(config: RunConfig, key: str) -> RunConfig:
    for values in other_values(config.runtime.model_dump(), key):
        try:
            runtime = Runtime.model_validate(values)
        except ValidationError:
            continue
        if runtime != config.runtime:  # true is on
            return config.model_copy(update={"runtime": runtime})
    raise AssertionError(f"no other value fits runtime.{key}")


# Identity


@pytest.mark.parametrize("key", ["force"])
def test_names_of_runs_are_no_part_of_the_identity(config, key):
    changed = changed_config(config, key)
    assert changed != config
    assert changed.identity("data") == config.identity("data")


@pytest.mark.parametrize("key", Runtime.model_fields)
def test_where_a_run_is_computed_is_no_part_of_its_identity(config, key):
    changed = changed_runtime(config, key)
    assert changed != config
    assert changed.identity("data") == config.identity("data")


@pytest.mark.parametrize("key", [key for key in RunConfig.model_fields if key not in (*AXES, *NO_EFFECT_ON_NUMBERS)])
def test_every_value_changes_the_identity(config, key):
    assert changed_config(config, key).identity("data") != config.identity("data")


def test_every_option_changes_the_identity(config, make_option):
    identities = {with_option(config, make_option(axis, name), axis).identity("d") for axis, name in AXIS_OPTIONS}
    assert len(identities) == len(AXIS_OPTIONS) - len(AXES) + 1  # each axis has one that is chosen already


def changed_option(axis: str, option: Option, key: str) -> Option:
    for values in other_values(option.args, key):
        try:
            return registries()[axis].check({"name": option.name, **values})
        except UserError:
            continue
    raise AssertionError(f"no other value fits {axis}.{key}")


@pytest.mark.slow
@pytest.mark.parametrize(("axis", "name", "key"), ARGUMENTS)
def test_every_argument_of_an_option_changes_the_identity(config, make_option, axis, name, key):
    before = with_option(config, make_option(axis, name), axis)
    after = with_option(config, changed_option(axis, make_option(axis, name), key), axis)
    assert after.identity("data") != before.identity("data")


def test_the_data_are_part_of_the_identity(config):
    assert config.identity("data") != config.identity("other data")


def test_the_identity_is_a_sha256_that_no_process_changes(config):
    assert len(bytes.fromhex(config.identity("data"))) == 32
    assert check(config.dump()).identity("data") == config.identity("data")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dropout=0", "dropout=0.0"),
        ("clip_norm=1", "clip_norm=1.0"),
        ("optimizer.lr=1", "optimizer.lr=1.0"),
        ("optimizer.betas=[0,0.5]", "optimizer.betas=[0.0,0.5]"),
        ("optimizer.lr=1e-3", "optimizer.lr=0.001"),
    ],
)
def test_a_number_is_the_same_however_it_is_written(make_config, one, other):
    assert make_config(one) == make_config(other)
    assert make_config(one).identity("data") == make_config(other).identity("data")


# Dump and check


@pytest.mark.parametrize(("axis", "name"), AXIS_OPTIONS)
def test_a_dump_means_the_same_config(config, make_option, axis, name):
    before = with_option(config, make_option(axis, name), axis)
    for after in (check(json.loads(json.dumps(before.dump()))), check(yaml.safe_load(yaml.safe_dump(before.dump())))):
        assert after == before
        assert after.identity("data") == before.identity("data")


def test_infinity_survives_the_dump(make_config):
    before = make_config("clip_norm_type=inf")
    assert before.clip_norm_type == float("inf")
    assert before.identity("data") != make_config().identity("data")
    after = check(yaml.safe_load(yaml.safe_dump(before.dump())))
    assert after == before
    assert after.identity("data") == before.identity("data")


@pytest.mark.parametrize("overrides", [(), ("clip_norm_type=inf",), ("model=cnn", "optimizer=sgd", "norm=batch")])
def test_a_dump_is_strict_json(make_config, overrides):
    values = make_config(*overrides).dump()
    assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_a_dump_is_in_the_order_of_the_fields(config):
    assert list(config.dump()) == list(RunConfig.model_fields)
    assert next(iter(config.dump()["optimizer"])) == "name"


# What is refused


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dropuot": 0.1}, ["no key 'dropuot'", "Did you mean 'dropout'?"]),
        ({"dropout": 1.5}, ["dropout=1.5", "[0, 1)"]),
        ({"dropout": -0.1}, ["dropout=-0.1", "[0, 1)"]),
        ({"dropout": float("nan")}, ["dropout=nan", "[0, 1)"]),
        ({"dropout": "much"}, ["dropout=much", "a number in [0, 1)"]),
        ({"dropout_conv": 1}, ["dropout_conv=1", "null or a number in [0, 1)"]),
        ({"norm_position": "before"}, ["norm_position=before", "pre or post"]),
        ({"label_smoothing": 1}, ["label_smoothing=1", "a number in [0, 1)"]),
        ({"max_norm": 0}, ["max_norm=0", "null or a number above 0"]),
        ({"clip_norm": 0}, ["clip_norm=0", "null or a number above 0"]),
        ({"clip_norm": float("inf")}, ["clip_norm=inf", "null or a finite number above 0"]),
        ({"clip_norm_type": 0}, ["clip_norm_type=0", "above 0"]),
        ({"clip_norm_type": float("nan")}, ["clip_norm_type=nan", "above 0"]),
        ({"clip_norm_type": float("-inf")}, ["clip_norm_type=-inf", "above 0"]),
        ({"clip_value": -1}, ["clip_value=-1", "null or a number above 0"]),
        ({"epochs": 0}, ["epochs=0", "an integer of at least 1"]),
        ({"epochs": 1.5}, ["epochs=1.5", "an integer of at least 1"]),
        ({"epochs": None}, ["epochs=null", "an integer of at least 1"]),
        ({"batch_size": 0}, ["batch_size=0", "an integer of at least 1"]),
        ({"seed": -1}, ["seed=-1", "an integer of at least 0"]),
        ({"drop_last": "maybe"}, ["drop_last=maybe", "true or false"]),
        ({"force": 2}, ["force=2", "true or false"]),
        ({"runtime": None}, ["runtime=null", "a mapping"]),
        ({"norm": "batch"}, ["norm", "batch"]),
        ({"norm": None}, ["norm", "null"]),
        ({"norm": {}}, ["norm"]),
        ({"norm": {"name": "bacth"}}, ["bacth", "norm", "Did you mean 'batch'?"]),
        ({"norm": {"name": None}}, ["norm.name is missing"]),
        ({"norm": {"name": ["batch"]}}, ["norm.name", "[batch]"]),
        ({"norm": {"name": "batch"}}, ["norm.", "missing"]),
        ({"norm": {"name": "none", "groups": 2}}, ["no key 'groups' in norm=none"]),
        ({"activation": {"name": "leaky_relu", "negative_slope": "x"}}, ["activation.negative_slope=x", "at least 0"]),
    ],
    ids=str,
)
def test_a_mistake_is_one_line(config, changes, words):
    with pytest.raises(UserError) as caught:
        check({**config.dump(), **changes})
    text = str(caught.value)
    assert not [word for word in words if word not in text], text
    assert "\n" not in text


@pytest.mark.parametrize("key", ["seed", "epochs", "batch_size", "dropout", "clip_norm"])
def test_a_truth_value_is_no_number(config, key):
    values = [value for value in (True, False) if value or key in ("seed", "dropout")]
    for value in values:
        with pytest.raises(UserError, match=f"{key}={str(value).lower()}: must be"):
            check({**config.dump(), key: value})


@pytest.mark.parametrize("key", [key for key in RunConfig.model_fields if key != "runtime"])
def test_every_key_is_needed(config, key):
    values = config.dump()
    del values[key]
    with pytest.raises(UserError, match=key):
        check(values)


@pytest.mark.parametrize(
    ("key", "value"),
    [("device", "gpu"), ("device", "cuda:"), ("threads", 0), ("threads", 1.5), ("progress", "loud"), ("dir", "")],
)
def test_runtime_is_checked(config, key, value):
    with pytest.raises(UserError, match=rf"^runtime\.{key}={value}: must be "):
        check({**config.dump(), "runtime": {**config.dump()["runtime"], key: value}})


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1", "cuda:12", "mps"])
def test_devices_that_torch_names(config, device):
    values = {**config.dump(), "runtime": {**config.dump()["runtime"], "device": device}}
    assert check(values).runtime.device == device


@pytest.mark.parametrize("study", ["default", "a.b_c-1", "2024", "grüße", "_x"])
def test_studies_that_are_folders(config, study):
    values = {**config.dump(), "runtime": {**config.dump()["runtime"], "study": study}}
    assert check(values).runtime.study == study


@pytest.mark.parametrize("study", ["../x", "a/b", "..", "", None, "x\n"])
def test_studies_that_are_no_folders(config, study):
    with pytest.raises(UserError, match=r"^runtime\.study=.*: must be letters[^\n]*$"):
        check({**config.dump(), "runtime": {**config.dump()["runtime"], "study": study}})


@pytest.mark.parametrize("word", ["2024", "0"])
def test_a_study_may_look_like_a_number(make_config, word):
    """What the user types is text, though YAML reads a number in it."""
    assert make_config(f"runtime.study={word}").runtime.study == word


# What a config is


def test_a_config_is_frozen(config):
    with pytest.raises(ValidationError):
        config.seed = 1
    with pytest.raises(ValidationError):
        config.runtime.dir = "elsewhere"
    with pytest.raises(FrozenInstanceError):
        config.norm.name = "batch"


def test_dropout_of_feature_maps_follows_that_of_units(make_config):
    assert make_config("dropout=0.2").conv_dropout == 0.2
    assert make_config("dropout=0.2", "dropout_conv=0").conv_dropout == 0.0


def test_a_slug_names_the_choices(make_config):
    assert make_config().slug() == "mlp-relu-kaiming-adam-s0"
    chosen = ("model=cnn", "norm=group", "activation=tanh", "init=xavier", "optimizer=sgd", "seed=7")
    assert make_config(*chosen).slug() == "cnn-group-tanh-xavier-sgd-s7"


def test_the_axes_are_the_registries():
    assert tuple(registries()) == AXES
