"""No default of an option refuses a default of another: every pair of options passes the checks of both models."""

from itertools import combinations

import pytest

from regbench.errors import UserError
from regbench.experiment.checks import check_techniques, registries
from support import composed, option_of

OPTIONS = [(axis, name) for axis, registry in registries().items() for name in registry if axis != "model"]
REFUSED = {  # what cannot have a meaning, and the reason
    "mlp": {("norm", "instance"): "needs spatial dimensions"},
    "cnn": {("init", "rbm"): "cannot do so to convolutions"},
}


@pytest.fixture(scope="module")
def option(tmp_path_factory):
    """Each option with the values of its YAML file; an image_folder of two classes."""
    folder = tmp_path_factory.mktemp("images")
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True)
            (folder / part / name / "0.png").touch()
    changes = {("data", "image_folder"): {"path": str(folder)}}
    return {key: option_of(*key, **changes.get(key, {})) for key in OPTIONS}


def refusal(config):
    try:
        check_techniques(config)
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize("model", REFUSED)
def test_each_option_alone_fits_the_model(option, model):
    base = composed(f"model={model}")
    lines = {key: refusal(base.model_copy(update={key[0]: option[key]})) for key in OPTIONS}
    refused = {key: line for key, line in lines.items() if line}
    assert refused.keys() == REFUSED[model].keys()
    assert all(reason in refused[key] for key, reason in REFUSED[model].items())


@pytest.mark.slow
@pytest.mark.parametrize("model", REFUSED)
def test_each_pair_of_options_fits(option, model):
    base = composed(f"model={model}")
    for first, second in combinations([key for key in OPTIONS if key not in REFUSED[model]], 2):
        if first[0] != second[0]:
            pair = {key[0]: option[key] for key in (first, second)}
            assert refusal(base.model_copy(update=pair)) is None, (first, second)
