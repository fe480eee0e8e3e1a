"""What `hydra.sweeper` sets of a search."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from regbench.config.registry import Checked
from regbench.config.wording import words, wrong_value
from regbench.errors import UserError, nearest

Direction = Literal["minimize", "maximize"]
Sampler = Literal["tpe", "random", "qmc", "cmaes", "gp"]
Pruner = Literal["median", "hyperband", "successive_halving", "none"]
_OPTUNA_NAMES: dict[str, Sampler | Pruner] = {  # which people know from its pages
    "TPESampler": "tpe",
    "RandomSampler": "random",
    "QMCSampler": "qmc",
    "CmaEsSampler": "cmaes",
    "GPSampler": "gp",
    "MedianPruner": "median",
    "HyperbandPruner": "hyperband",
    "SuccessiveHalvingPruner": "successive_halving",
    "NopPruner": "none",
}


class Settings(Checked):
    """How many trials a search has, how it chooses them, and what they are judged by."""

    n_trials: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)]
    sampler: Sampler
    metric: Literal["val_loss", "val_acc", "train_loss", "train_acc"]
    pruner: Pruner
    warmup: Annotated[int, Field(ge=0)]
    seed: Annotated[int, Field(ge=0)]
    storage: str | None
    max_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @property
    def direction(self) -> Direction:
        """Which way the metric gets better."""
        return "maximize" if self.metric.endswith("acc") else "minimize"


_FLAGS = {"plan": "--plan", "until_decided": "--until-decided"}
OF_GRIDS = ("zip", "each", "union", *_FLAGS)  # settings of regbench's other sweeper


def refuse(values: Mapping[str, Any]) -> None:
    """Refuse what a search cannot do.

    Raises:
        UserError: keys in step, single changes, several grids, a plan or rounds are asked for.
    """
    if name := next((name for name, value in values.items() if value), None):
        shown = _FLAGS.get(name, f"hydra.sweeper.{name}")
        raise UserError(f"{shown}: belongs to a grid, and hydra/sweeper=optuna searches: leave out one of the two")


def check(values: Mapping[str, Any]) -> Settings:
    """Check the settings.

    Raises:
        UserError: a value is wrong. The test images choose nothing: no metric is theirs.
    """
    try:
        return Settings.model_validate({key: _short(value) for key, value in values.items()})
    except ValidationError as error:
        raise _wrong(error) from None


def _wrong(error: ValidationError) -> UserError:
    """Describe a wrong value, with the nearest of Optuna's names if no short name is near."""
    wrong, first = wrong_value(error, Settings, "hydra.sweeper."), error.errors(include_url=False)[0]
    field = Settings.model_fields.get(str(first["loc"][0]))
    short = words(field.annotation) if field else []
    hint = nearest(str(first["input"]), [name for name, meant in _OPTUNA_NAMES.items() if meant in short])
    return UserError(f"{wrong}.{hint}") if hint and "Did you mean" not in str(wrong) else wrong


def _short(value: Any) -> Any:
    """Return the short name of what Optuna calls so: tpe for TPESampler."""
    return _OPTUNA_NAMES.get(value, value) if isinstance(value, str) else value
