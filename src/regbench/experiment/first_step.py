"""Try before a run begins what would fail in its first step, or in its last epoch."""

import math

import torch

from regbench.config.run_config import RunConfig
from regbench.config.wording import holds
from regbench.errors import UserError
from regbench.techniques.optimizer import OPTIMIZERS
from regbench.techniques.scheduler import setting
from regbench.techniques.torch_adapters import take_step
from regbench.text import shown

_LAYERS = 4  # of the model whose weights a step is tried on: muon needs some between the first and the last
_STEPS = 60_000  # of an epoch, at most, of the largest data set that comes with regbench


def check_schedule(config: RunConfig) -> None:
    """Raise unless the schedule sets a rate in the first epoch and in the last.

    Raises:
        UserError: the warm-up leaves it no epoch, or its rate is beyond float32.
    """
    schedule, optimizer = config.scheduler, config.optimizer
    rhythm = {key: schedule.args[key] for key in ("warmup_epochs", "interval")}
    for epoch in (0, config.epochs - 1):
        try:
            rate = setting(schedule, optimizer.args["lr"], epoch, config.epochs, [], **rhythm).lr
        except ZeroDivisionError:
            raise UserError(
                f"scheduler.warmup_epochs={shown(rhythm['warmup_epochs'])}: must be below epochs={config.epochs}, "
                f"or scheduler={schedule.name} never begins"
            ) from None
        except ArithmeticError:
            rate = math.inf
        if not holds(rate) or math.isinf(rate):
            raise UserError(f"scheduler={schedule.name}: its rate in epoch {epoch + 1} is beyond float32")


def check_step(config: RunConfig) -> None:
    """Raise unless the optimizer can take a step on a few numbers with these values, and with their last count.

    Raises:
        UserError: torch cannot compute it.
    """
    name, values = config.optimizer.name, config.optimizer.args
    dtype = torch.float64 if config.precision == "fp64" else torch.float32
    parameters = [torch.nn.Parameter(torch.ones(2, 2, dtype=dtype)) for _ in range(_LAYERS)]
    try:
        optimizer = OPTIMIZERS[name](parameters, **values)
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        take_step(optimizer, lambda: 0.0)
        if name == "asgd":  # whose power grows with the steps
            (1 + values["lambd"] * values["lr"] * config.epochs * _STEPS) ** values["alpha"]
    except (RuntimeError, ArithmeticError) as error:
        raise UserError(f"optimizer={name}: cannot take a step with these values: {error.args[-1]}") from None
