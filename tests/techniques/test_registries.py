"""Every option of every axis, found in the registries: a new one is tested by being there."""

import inspect
import math

import pytest
import torch

from regbench.config.location import config_dir
from regbench.config.run_config import AXES
from regbench.errors import UserError
from regbench.experiment.checks import registries
from regbench.models.architectures import MODELS
from regbench.text import shown
from regbench.training.stack import Stack
from support import CPU, yaml_values
from torch_defaults import REASONS, RENAMED, TORCH, differences, section

REGISTRIES = registries()
OPTIONS = [(axis, name) for axis, registry in REGISTRIES.items() for name in registry]
TRAINABLE = [(axis, name) for axis, name in OPTIONS if axis not in ("model", "data", "augment")]
REFUSED = {  # what cannot work, and what the one line about it must name
    ("norm", "instance", "mlp"): "spatial",
    ("init", "rbm", "cnn"): "convolutions",
}
MANY_ARGUMENTS = {
    ("augment", "custom"): 14,
    ("optimizer", "muon"): 12,
    ("scheduler", "reduce_on_plateau"): 9,
    ("scheduler", "one_cycle"): 11,
    ("scheduler", "cyclic"): 11,
}  # lines: one for each


def one_line(axis, values):
    """The error that these values of an option raise."""
    with pytest.raises(UserError) as caught:
        REGISTRIES[axis].check(values)
    (line,) = str(caught.value).splitlines()
    return line


def arguments(axis):
    """The arguments of each option of an axis, with their JSON schemas: (option, argument, schema)."""
    for name in REGISTRIES[axis]:
        for key, schema in REGISTRIES[axis].schema(name).model_json_schema()["properties"].items():
            yield name, key, schema


def alternatives(schema):
    return schema.get("anyOf", [schema])


def numbers(schema):
    return [kind for kind in alternatives(schema) if kind.get("type") in ("number", "integer")]


ARGUMENTS = {axis: list(arguments(axis)) for axis in REGISTRIES}
NUMBERS = {axis: [argument for argument in of if numbers(argument[2])] for axis, of in ARGUMENTS.items()}
WITH_NUMBERS = [axis for axis in AXES if NUMBERS[axis]]


# registry, YAML and signature say the same


def test_there_is_a_registry_for_every_axis():
    assert tuple(REGISTRIES) == AXES
    assert all(REGISTRIES.values())


@pytest.mark.parametrize("axis", AXES)
def test_options_are_the_yaml_files(axis):
    assert {path.name for path in (config_dir() / axis).iterdir()} == {f"{name}.yaml" for name in REGISTRIES[axis]}


@pytest.mark.parametrize("axis", AXES)
def test_yaml_files_name_their_option_and_are_short(axis):
    for name in REGISTRIES[axis]:
        lines = (config_dir() / axis / f"{name}.yaml").read_text("utf-8").splitlines()
        assert lines[0].split(" #")[0] == f"name: {name}"
        assert len(lines) <= MANY_ARGUMENTS.get((axis, name), 8), name


@pytest.mark.parametrize("axis", AXES)
def test_yaml_files_set_every_argument_and_no_other(axis):
    for name, function in REGISTRIES[axis].items():
        values = yaml_values(axis, name)
        assert set(values) - {"name"} == set(REGISTRIES[axis].schema(name).model_fields), name
        parameters = inspect.signature(function).parameters.values()
        assert {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} <= set(values), name
        assert all(p.default is p.empty for p in parameters), f"{name}: defaults are in the YAML file alone"


@pytest.mark.parametrize("axis", AXES)
def test_yaml_files_check_and_keep_their_values(axis):
    for name in REGISTRIES[axis]:
        option = REGISTRIES[axis].check(yaml_values(axis, name))
        dumped = {key: list(value) if isinstance(value, tuple) else value for key, value in option.dump().items()}
        assert dumped == yaml_values(axis, name)
        assert REGISTRIES[axis].check(option.dump()) == option


@pytest.mark.parametrize("axis", AXES)
def test_options_explain_themselves_in_one_line_first(axis):
    for name, function in REGISTRIES[axis].items():
        first = (inspect.getdoc(function) or "").partition("\n")[0]
        assert len(first) > 1 and first.endswith((".", ":")), name


# every argument of the class that torch has for it

LEFT_OUT = {
    "foreach": "how torch computes a step, not what it is",
    "fused": "the same",
    "capturable": "the same, for CUDA graphs",
    "differentiable": "the same, for gradients of a step",
    "inplace": "the same, of features",
    "device": "runtime.device",
    "dtype": "precision",
    "maximize": "losses are minimized",
    "last_epoch": "a resumed run's schedule needs no state",
    "scale_fn": "no value that YAML can hold; mode has torch's three",
    "scale_mode": "goes with scale_fn",
    "interpolation": "bilinear, the only one that is batched here",
    "antialias": "images are never made smaller but by the crop's own scale",
    "fill": "black, as the border of digits is",
    "center": "the middle of the image",
    "generator": "seed",
    "decoupled_weight_decay": "adam with it is adamw",
    "args": "take nothing",
    "kwargs": "take nothing",
}
OF_THE_RUN = {  # arguments that the run itself gives
    "optimizer": {"params"},
    "scheduler": {"optimizer", "max_lr", "total_steps", "epochs", "steps_per_epoch", "mode"},
    "norm": {"num_features", "num_channels", "normalized_shape"},
    "init": {"tensor"},
    "augment": {"size"},
    "activation": set(),
}
OTHERWISE = {  # what an option has in place of an argument of its class
    ("optimizer", "adafactor"): {"eps": "eps1"},  # torch's pair of eps
    ("scheduler", "cyclic"): {"mode": "mode"},
    **{("optimizer", name): {"decoupled_weight_decay": "decoupled_weight_decay"} for name in ("nadam", "radam")},
    ("scheduler", "reduce_on_plateau"): {"eps": None},  # a change of the rate too small to make: every one is made
    ("init", "kaiming"): {"a": "gain", "nonlinearity": "gain"},  # both serve to compute it
}


def test_the_classes_of_torch_are_those_that_the_docstrings_name():
    assert TORCH["activation", "relu"] is torch.nn.ReLU
    assert TORCH["init", "xavier"] is torch.nn.init.xavier_normal_
    assert TORCH["optimizer", "sparse_adam"] is torch.optim.SparseAdam
    assert {axis for axis, _ in TORCH} == OF_THE_RUN.keys()
    own = {("init", name) for name in ("default", "lecun", "lsuv", "rbm")}
    assert not own & TORCH.keys()
    assert len(TORCH) > 50


@pytest.mark.parametrize(("axis", "name"), TORCH)
def test_yaml_has_every_argument_of_the_torch_class_but_those_left_out(axis, name):
    renamed = OTHERWISE.get((axis, name), {})
    theirs = inspect.signature(TORCH[axis, name]).parameters.keys()
    theirs -= (LEFT_OUT.keys() | OF_THE_RUN[axis]) - renamed.keys()
    wanted = {renamed.get(key, RENAMED.get(key, key)) for key in theirs}
    assert wanted - {None} <= yaml_values(axis, name).keys()


def test_a_default_that_is_not_torch_s_has_a_reason_and_no_other_has():
    """If this fails: torch's default in conf/, or a line in scripts/torch_defaults.py."""
    assert {f"{found.axis}.{found.option}.{found.key}" for found in differences()} == REASONS.keys()
    assert section().count("\n| `") == len(REASONS)


def test_torch_s_pair_of_eps_is_two_arguments():
    values = yaml_values("optimizer", "adafactor")
    pair = inspect.signature(torch.optim.Adafactor).parameters["eps"].default
    assert (values["eps1"], float(values["eps2"])) == pair


@pytest.mark.parametrize("name", ["xavier", "orthogonal"])
def test_the_gain_is_1_as_in_torch_and_the_papers(name):
    assert yaml_values("init", name)["gain"] == 1
    assert inspect.signature(TORCH["init", name]).parameters["gain"].default == 1


# every option trains


@pytest.fixture(scope="module")
def batch():
    rng = torch.Generator().manual_seed(0)
    return torch.randn(1, 8, 28, 28, generator=rng), torch.arange(8)[None]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("axis", "name"), TRAINABLE)
def test_option_trains_every_model_or_says_why_not(make_config, make_option, batch, axis, name, model):
    config = make_config(f"model={model}").model_copy(update={axis: make_option(axis, name)})
    if reason := REFUSED.get((axis, name, model)):
        with pytest.raises(UserError, match=rf"^{axis}.*{reason}[^\n]*$"):
            Stack([config], CPU)
        return
    stack = Stack([config], CPU)
    before = stack.weights(0)
    (rate,) = stack.begin_epoch(0, steps=2)
    logits, *figures = stack.step(*batch)
    penalty, norm, clipped = map(float, figures)
    assert rate > 0
    assert logits.shape == (1, 8, 10) and logits.isfinite().all()
    assert math.isfinite(penalty) and (penalty > 0) == (axis == "regularizer" and name != "none")
    assert math.isfinite(norm) and norm > 0
    assert clipped == 0
    assert any(not torch.equal(before[key], parameter) for key, parameter in stack.models[0].named_parameters())
    (figures,) = stack.evaluate([batch]).scores
    assert all(map(math.isfinite, figures))


@pytest.mark.parametrize(
    "overrides",
    [["norm=group", "norm.groups=4", "model=cnn"], ["norm=group", "norm.groups=10", "model.hidden=[20,30]"]],
    ids=str,
)
def test_group_norm_trains_where_groups_divide_every_width(make_config, batch, overrides):
    stack = Stack([make_config(*overrides)], CPU)
    stack.begin_epoch(0)
    assert all(figure.isfinite().all() for figure in stack.step(*batch))


# mistakes are one line that names the key, the value and what is allowed


@pytest.mark.parametrize("axis", AXES)
def test_unknown_option_is_named_with_its_nearest(axis):
    for name in REGISTRIES[axis]:
        line = one_line(axis, {"name": f"{name}q"})
        assert f"'{name}q'" in line
        assert f"Did you mean '{name}'?" in line
        assert "Allowed" not in line


@pytest.mark.parametrize("axis", AXES)
def test_option_without_a_name_is_refused(axis):
    assert one_line(axis, {}).startswith(f"{axis}.name is missing")


@pytest.mark.parametrize("axis", AXES)
def test_an_argument_that_does_not_exist_is_named(axis):
    for name in REGISTRIES[axis]:
        line = one_line(axis, yaml_values(axis, name) | {"no_such_argument": 1})
        assert line.startswith(f"{axis}.no_such_argument: no key 'no_such_argument' in {axis}={name}.")
        fields = REGISTRIES[axis].schema(name).model_fields
        assert all(key in line for key in fields) or len(fields) > 10, name


@pytest.mark.parametrize("axis", AXES)
def test_a_missing_argument_is_named(axis):
    for name, key, _ in ARGUMENTS[axis]:
        values = yaml_values(axis, name)
        del values[key]
        assert one_line(axis, values).startswith(f"{axis}.{key} is missing: must be "), name


@pytest.mark.parametrize("axis", AXES)
def test_a_misspelt_argument_is_told_its_nearest(axis):
    for name, key, _ in ARGUMENTS[axis]:
        line = one_line(axis, yaml_values(axis, name) | {f"{key}x": 1})
        assert line == f"{axis}.{key}x: no key '{key}x' in {axis}={name}. Did you mean '{key}'?", name


@pytest.mark.parametrize("axis", AXES)
def test_a_value_of_no_sense_is_refused(axis):
    for name, key, schema in ARGUMENTS[axis]:
        words = () if schema.get("type") == "string" and "enum" not in schema and "const" not in schema else ("abc",)
        for value in (*words, {"a": 1}, [{}], math.nan, math.inf, -math.inf):
            line = one_line(axis, yaml_values(axis, name) | {key: value})
            assert line.startswith(f"{axis}.{key}") and ": must be " in line, name


def test_every_axis_but_the_model_has_numbers():
    assert set(WITH_NUMBERS) >= set(AXES) - {"model"}


@pytest.mark.parametrize("axis", WITH_NUMBERS)
def test_a_truth_value_is_no_number(axis):
    for name, key, _ in NUMBERS[axis]:
        line = one_line(axis, yaml_values(axis, name) | {key: True})
        assert line.startswith(f"{axis}.{key}=true: must be "), name


@pytest.mark.parametrize("axis", AXES)
def test_null_is_refused_unless_it_is_allowed(axis):
    for name, key, schema in ARGUMENTS[axis]:
        values = yaml_values(axis, name) | {key: None}
        if {"type": "null"} in alternatives(schema):
            assert REGISTRIES[axis].check(values).args[key] is None, name
        else:
            assert one_line(axis, values).startswith(f"{axis}.{key}=null: must be "), name


def ends(kind):
    """The last number allowed and the first refused at each end of a number's range."""
    step = 1 if kind["type"] == "integer" else 1e-6
    for word, inside, outside in (
        ("minimum", 0, -step),
        ("maximum", 0, step),
        ("exclusiveMinimum", step, 0),
        ("exclusiveMaximum", -step, 0),
    ):
        if word in kind:
            yield tuple(int(kind[word] + n) if step == 1 else kind[word] + n for n in (inside, outside))


@pytest.mark.parametrize("axis", WITH_NUMBERS)
def test_ends_of_a_range_are_where_it_says(axis):
    cases = [(name, key, end) for name, key, schema in NUMBERS[axis] for kind in numbers(schema) for end in ends(kind)]
    assert cases
    for name, key, (inside, outside) in cases:
        values = yaml_values(axis, name)
        assert REGISTRIES[axis].check(values | {key: inside}).args[key] == inside, name
        assert one_line(axis, values | {key: outside}).startswith(f"{axis}.{key}={shown(outside)}: must be "), name


@pytest.mark.parametrize(
    ("axis", "name", "key", "inside", "outside"),
    [
        ("model", "mlp", "hidden", [1], [0]),
        ("model", "mlp", "hidden", [], [10, -1]),
        ("model", "cnn", "channels", [1], []),
        ("model", "cnn", "channels", [3], [2.5]),
        ("model", "cnn", "dense", [], ["wide"]),
        ("norm", "batch", "eps", 1e-12, 0),
        ("norm", "batch", "momentum", 1, 1.1),
        ("norm", "batch", "momentum", 0, -0.1),
        ("norm", "group", "groups", 1, 0),
        ("norm", "layer", "affine", False, "perhaps"),
        ("activation", "leaky_relu", "negative_slope", 0, -0.1),
        ("activation", "elu", "alpha", 0, -0.1),
        ("activation", "gelu", "approximate", "tanh", "erf"),
        ("init", "lsuv", "tol", 1e-9, 0),
        ("init", "lsuv", "batch_size", 2, 1),
        ("init", "rbm", "k", 1, 0),
        ("init", "rbm", "momentum", 0, 1),
        ("init", "xavier", "gain", 0.1, 0),
        ("init", "xavier", "distribution", "uniform", "unifrom"),
        ("init", "kaiming", "mode", "fan_out", "fan_avg"),
        ("init", "normal", "std", 0, -1),
        ("init", "truncated_normal", "std", 0.1, 0),
        ("init", "sparse", "sparsity", 1, 1.01),
        ("regularizer", "l2", "strength", 0, -1e-9),
        ("regularizer", "l1", "on", "all", "biases"),
        ("regularizer", "elastic_net", "alpha", 1, 1.5),
        ("regularizer", "elastic_net", "alpha", 0, -0.5),
        ("optimizer", "sgd", "lr", 0, -0.1),
        ("optimizer", "sgd", "momentum", 0.99, -0.1),
        ("optimizer", "sgd", "nesterov", False, "sometimes"),
        ("optimizer", "adam", "betas", [0, 0.5], [0.9, 1]),
        ("optimizer", "adam", "betas", [0.5, 0], [-0.1, 0.9]),
        ("optimizer", "adamw", "weight_decay", 0, -0.1),
        ("optimizer", "rmsprop", "alpha", 0, 1),
        ("optimizer", "adagrad", "eps", 1e-12, 0),
        ("optimizer", "rprop", "etas", [0.1, 1.1], [1.2, 0.5]),
        ("optimizer", "adafactor", "d", 1, 0.9),
        ("optimizer", "adafactor", "beta2_decay", 0, 0.1),
        ("optimizer", "lbfgs", "max_iter", 1, 0),
        ("optimizer", "lbfgs", "line_search_fn", None, "wolfe"),
        ("optimizer", "muon", "ns_steps", 99, 100),
        ("optimizer", "muon", "adjust_lr_fn", "original", "none"),
        ("scheduler", "step", "step_size", 1, 0),
        ("scheduler", "step", "gamma", 0.1, 0),
        ("scheduler", "multistep", "milestones", [1], [0]),
        ("scheduler", "cosine", "t_max", 1, 0),
        ("scheduler", "cosine", "eta_min", 0, -0.1),
        *[("scheduler", name, "warmup_epochs", 0.5, -1) for name in REGISTRIES["scheduler"]],
        *[("scheduler", name, "interval", "step", "batch") for name in REGISTRIES["scheduler"]],
        ("scheduler", "linear", "total_iters", 1, 0),
        ("scheduler", "cosine_restarts", "t_0", 1, 0),
        ("scheduler", "one_cycle", "pct_start", 0.5, 1),
        ("scheduler", "one_cycle", "anneal_strategy", "linear", "line"),
        ("scheduler", "one_cycle", "max_momentum", 0, 1),
        ("scheduler", "cyclic", "base_momentum", 0.99, -0.1),
        ("scheduler", "cyclic", "base_factor", 0, 1.1),
        ("scheduler", "reduce_on_plateau", "factor", 0.5, 1),
        ("augment", "affine", "degrees", 180, 181),
        ("augment", "affine", "translate", 1, -0.1),
        ("augment", "affine", "scale", [0.5, 0.5], [2, 1]),
        ("augment", "random_resized_crop", "scale", [0.1, 1], [0.1, 1.1]),
        ("augment", "flip_rotate", "flip", 1, 1.1),
        ("augment", "erasing", "value", 0, -1),
        ("augment", "custom", "resize", 28, 27),
        ("data", "mnist", "val_size", 0, -1),
        ("data", "mnist", "label_noise", 1, 1.5),
        ("data", "image_folder", "path", "x", ""),
        ("data", "mnist", "train_size", 1, 0),
    ],
)
def test_ranges_are_the_catalogue_s(axis, name, key, inside, outside):
    values = yaml_values(axis, name)
    REGISTRIES[axis].check(values | {key: inside})
    line = one_line(axis, values | {key: outside})
    assert line.startswith(f"{axis}.{key}")
    assert ": must be " in line


@pytest.mark.parametrize("betas", [[0.9], [], [0.9, 0.99, 0.999]], ids=str)
@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_betas_are_two(name, betas):
    shown = ",".join(map(str, betas))
    line = one_line("optimizer", yaml_values("optimizer", name) | {"betas": betas})
    assert line.startswith(f"optimizer.betas=[{shown}]: must be a list of 2, each a number in [0, 1)")


def test_items_of_different_ranges_are_told_apart():
    values = yaml_values("optimizer", "rprop")
    ranges = "a number in (0, 1), then a number above 1"
    assert one_line("optimizer", values | {"etas": [1.5, 1.2]}) == "optimizer.etas[0]=1.5: must be a number in (0, 1)"
    assert one_line("optimizer", values | {"etas": [0.5, 0.9]}) == "optimizer.etas[1]=0.9: must be a number above 1"
    assert one_line("optimizer", values | {"etas": 0.5}) == f"optimizer.etas=0.5: must be a list of 2, {ranges}"


def test_equal_options_share_no_values():
    values = yaml_values("optimizer", "adam")
    REGISTRIES["optimizer"].check(values).args["lr"] = 0.0
    assert REGISTRIES["optimizer"].check(values).args["lr"] == values["lr"]
