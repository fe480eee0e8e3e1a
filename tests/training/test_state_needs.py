import copy

import pytest
import torch

from regbench.training.stack import Stack
from regbench.training.state_needs import StateNeeds
from support import CPU, batch, composed

TINY = ("model.hidden=[8,8]", "epochs=3")


def state_of(*overrides: str, steps: int = 3):
    """A state as a checkpoint holds it after an epoch."""
    config = composed(*TINY, *overrides)
    stack = Stack([config], CPU)
    stack.begin_epoch(0)
    for _ in range(steps):
        stack.step(*batch(1))
    state = {"epoch": 1, **stack.state(0), "val_losses": [0.5]}
    return config, state | {"best": {"epoch": 1, "val_loss": 0.5, "weights": stack.weights(0)}}


OPTIMIZERS = [
    "sgd",
    "adam",
    "adam optimizer.amsgrad=true",
    "adamw",
    "nadam",
    "radam",
    "adamax",
    "adadelta",
    "adafactor",
]
OPTIMIZERS += ["adagrad", "asgd", "rmsprop", "rprop", "sparse_adam", "muon", "lbfgs", "sgd optimizer.momentum=0.9"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_state_of_the_run_itself_fits(optimizer):
    config, state = state_of(*f"optimizer={optimizer}".split(), "norm=batch")
    needs = StateNeeds(config)
    assert needs.fault(state) is None
    assert needs.fault(copy.deepcopy(state)) is None


def test_a_state_of_a_warm_up_from_a_rate_of_0_fits():
    schedule = ("scheduler=cosine", "scheduler.warmup_epochs=1", "scheduler.interval=step")
    config, state = state_of("optimizer=lbfgs", *schedule)
    assert StateNeeds(config).fault(state) is None


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name not in ("sgd", "lbfgs")])
def test_a_tensor_of_another_shape_or_type_does_not_fit(optimizer):
    """A fused optimizer would write past the end of the first."""
    config, state = state_of(*f"optimizer={optimizer}".split())
    memory = state["optimizer"]["state"][0]
    needs = StateNeeds(config)
    for name, value in list(memory.items()):
        for wrong in (torch.zeros(7), torch.zeros(torch.as_tensor(value).shape, dtype=torch.int8), "a text", None):
            memory[name] = wrong
            assert name in str(needs.fault(state))
        memory[name] = value
    assert needs.fault(state) is None


def test_what_lbfgs_remembers_is_of_the_length_of_all_weights():
    config, state = state_of("optimizer=lbfgs")
    state["optimizer"]["state"][0]["old_dirs"] = [torch.zeros(3)]
    assert "old_dirs" in str(StateNeeds(config).fault(state))


WRONG = {
    "weights of another shape": lambda state: state["weights"].update({"dense1.affine.weight": torch.zeros(2, 2)}),
    "another key": lambda state: state["weights"].update(more=torch.zeros(1)),
    "weights that are none": lambda state: state.update(weights=[1]),
    "no chosen epoch": lambda state: state.update(best=None),
    "a chosen epoch to come": lambda state: state["best"].update(epoch=2),
    "chosen weights of another type": lambda state: state["best"]["weights"].update(
        {"dense1.affine.bias": state["weights"]["dense1.affine.bias"].double()}
    ),
    "an epoch too many": lambda state: state.update(epoch=4, val_losses=[0.5] * 4),
    "losses of other epochs": lambda state: state.update(val_losses=[0.5, 0.5]),
    "losses that are text": lambda state: state.update(val_losses=["0.5"]),
    "an optimizer that is none": lambda state: state.update(optimizer=3),
    "an optimizer's memory that is none": lambda state: state["optimizer"].update(state=3),
    "other parameters": lambda state: state["optimizer"]["state"].update({99: {}}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_said_in_a_line(wrong):
    config, state = state_of()
    WRONG[wrong](state)
    fault = StateNeeds(config).fault(state)
    assert fault and "\n" not in fault


def test_a_tensor_that_repeats_its_numbers_is_laid_out_anew():
    """torch saves `expand` as one number; a fused optimizer takes it for as many as there are weights."""
    config, state = state_of()
    reference = copy.deepcopy(state)
    for memory in state["optimizer"]["state"].values():
        memory["exp_avg"] = torch.zeros(1).expand(memory["exp_avg"].shape)
    for memory in reference["optimizer"]["state"].values():
        memory["exp_avg"] = torch.zeros(memory["exp_avg"].shape)
    assert StateNeeds(config).fault(state) is None
    weights = []
    for saved in (state, reference):
        stack = Stack([config], CPU)
        stack.load_state(0, saved)
        stack.begin_epoch(1)
        stack.step(*batch(1))
        weights.append(stack.weights(0))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_the_settings_of_an_optimizer_come_from_the_config_alone():
    config, state = state_of()
    state["optimizer"]["param_groups"] = [{"lr": "a text"}]
    stack = Stack([config], CPU)
    stack.load_state(0, state)
    stack.begin_epoch(1)
    stack.step(*batch(1))


def test_a_file_may_be_as_large_as_a_run_needs_and_not_much_larger():
    config, _ = state_of()
    assert 100_000 < StateNeeds(config).most_bytes < 3_000_000
