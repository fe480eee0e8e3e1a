"""What would fail in training is refused before it begins; what is accepted trains a step."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regbench.errors import UserError
from regbench.experiment.checks import check_techniques
from regbench.training.stack import Stack
from support import CPU, batch, composed

REFUSED = {
    "scheduler=cosine scheduler.warmup_epochs=1 epochs=1": "scheduler.warmup_epochs=1: must be below epochs=1",
    "scheduler=linear scheduler.warmup_epochs=2 epochs=2": "must be below epochs=2, or scheduler=linear never begins",
    "scheduler=polynomial scheduler.warmup_epochs=3 epochs=3 scheduler.interval=step": "must be below epochs=3",
    "scheduler=exponential scheduler.gamma=1e30 epochs=20": "its rate in epoch 20 is beyond float32",
    "batch_size=9223372036854775808": "no larger than 9,223,372,036,854,775,807",
    "optimizer=radam optimizer.weight_decay=1e39": r"no larger than 3.4e\+38",
    "activation=elu activation.alpha=1e39": r"no larger than 3.4e\+38",
    "optimizer=asgd optimizer.alpha=1e30": "optimizer=asgd: cannot take a step with these values",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_would_fail_in_training_is_refused(words):
    with pytest.raises(UserError, match=REFUSED[words]):
        check_techniques(composed(*words.split()))


def test_a_seed_may_have_any_size_and_a_warm_up_may_end_before_the_last_epoch():
    check_techniques(composed(f"seed={10**30}"))
    check_techniques(composed("scheduler=cosine", "scheduler.warmup_epochs=1", "epochs=2"))


NUMBERS = st.sampled_from(["0", "1e-300", "1e-8", "0.5", "0.999999", "1", "7", "1e30", "3e38", "1e39", "1e308"])
KEYS = st.sampled_from(
    [
        *(
            f"optimizer={name} optimizer.weight_decay"
            for name in ("sgd", "adam", "radam", "rmsprop", "adagrad", "nadam")
        ),
        *(f"optimizer={name} optimizer.lr" for name in ("asgd", "rprop", "adadelta", "adafactor", "adamax", "lbfgs")),
        "optimizer=asgd optimizer.alpha",
        "optimizer=asgd optimizer.lambd",
        "optimizer=adagrad optimizer.initial_accumulator_value",
        "activation=elu activation.alpha",
        "scheduler=exponential scheduler.gamma",
        "scheduler=cosine scheduler.warmup_epochs",
        "regularizer=l2 regularizer.strength",
        "clip_norm",
        "clip_norm_type",
        "max_norm",
        "label_smoothing",
        "dropout",
    ]
)


@pytest.mark.slow
@given(KEYS, NUMBERS, st.sampled_from(["1", "3"]))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_what_is_accepted_trains_a_step(key, number, epochs):
    try:
        config = composed(*f"{key}={number} epochs={epochs} model.hidden=[4]".split())
        check_techniques(config)
    except UserError:
        return
    stack = Stack([config], CPU)
    stack.begin_epoch(0)
    stack.step(*batch(1, 4))
    torch.manual_seed(0)
