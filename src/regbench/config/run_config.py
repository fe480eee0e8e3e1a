"""The config of a run: checked, frozen, with an identity."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_serializer

from regbench.config.registry import Checked, Option
from regbench.config.trackers import TRACKERS

AXES = ("model", "norm", "activation", "init", "regularizer", "optimizer", "scheduler", "data", "augment")
_TRACKER = f"({'|'.join(TRACKERS)})"
NO_EFFECT_ON_NUMBERS = ("force", "runtime")
ID_LENGTH = 12


class Runtime(Checked):
    """Where and how to compute a run; nothing here is part of the run's identity."""

    study: Annotated[
        str,
        BeforeValidator(lambda name: str(name) if isinstance(name, int) else name),  # study=2024
        Field(
            pattern=r"^\w[\w.-]*$",
            description="folder of the runs that belong together",
            title="letters, digits, '.', '_' and '-'",
        ),
    ]
    dir: Annotated[str, Field(min_length=1, description="where runs are kept")]
    device: Annotated[
        str,
        Field(
            pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$",
            description="auto is the fastest",
            title="auto, cpu, cuda, cuda:N or mps",
            examples=["auto", "cpu", "cuda", "mps"],
        ),
    ]
    threads: Annotated[Literal["auto"] | Annotated[int, Field(ge=1, le=1024)], Field(description="CPU threads")]
    stack: Annotated[
        Literal["auto"] | Annotated[int, Field(ge=1)], Field(description="most runs of a sweep that train as one model")
    ]
    diagnostics: Annotated[Literal["on", "off"], Field(description="figures of each layer and epoch, in layers.csv")]
    keep_state: Annotated[Literal["auto"] | bool, Field(description="keep what more epochs need")]
    progress: Annotated[Literal["auto", "bar", "plain", "off"], Field(description="how progress is shown")]
    tracker: Annotated[
        str,
        Field(
            pattern=rf"^(none|{_TRACKER}(\+{_TRACKER})*)$",
            description="told of the runs while they train",
            title=f"none or {', '.join(TRACKERS)}; several with +",
            examples=["none", *TRACKERS],
        ),
    ]
    cache: Annotated[str | None, Field(description="downloads; null: the system's place")]


class RunConfig(Checked):
    """Everything that defines one run, in the order of `conf/config.yaml`."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    model: Option
    norm: Option
    activation: Option
    init: Option
    regularizer: Option
    optimizer: Option
    scheduler: Option
    data: Option
    augment: Option
    dropout: Annotated[float, Field(ge=0, lt=1, description="share of hidden units dropped")]
    dropout_conv: Annotated[
        float | None, Field(ge=0, lt=1, description="share of feature maps dropped; null: as dropout")
    ]
    norm_position: Annotated[Literal["pre", "post"], Field(description="norm before or after activation")]
    label_smoothing: Annotated[float, Field(ge=0, lt=1, description="share of a label spread over all")]
    max_norm: Annotated[float | None, Field(gt=0, description="longest weight vector; null: any")]
    clip_norm: Annotated[float | None, Field(gt=0, description="longest gradient; null: any")]
    clip_norm_type: Annotated[float, Field(gt=0, allow_inf_nan=True, description="norm that measures it: p or inf")]
    clip_value: Annotated[float | None, Field(gt=0, description="largest gradient element; null: any")]
    epochs: Annotated[int, Field(ge=1, description="passes over the training images")]
    batch_size: Annotated[int, Field(ge=1, description="images per step")]
    drop_last: Annotated[bool, Field(description="skip an incomplete last batch")]
    precision: Annotated[
        Literal["fp32", "fp64", "tf32", "bf16"], Field(description="of products; bf16 and tf32 trade digits for speed")
    ]
    seed: Annotated[int, Field(ge=0, description="of split, weights, batch order, dropout, augmentation")]
    force: Annotated[bool, Field(description="train even if already trained")]
    runtime: Runtime

    @field_serializer(*AXES)
    def _flat(self, option: Option) -> dict[str, Any]:
        return option.dump()

    @property
    def conv_dropout(self) -> float:
        """The rate for feature maps: that of the dense layers unless it is set."""
        return self.dropout if self.dropout_conv is None else self.dropout_conv

    def dump(self) -> dict[str, Any]:
        """Return plain values in the order of `conf/config.yaml`; infinity becomes the text `Infinity`."""
        values: dict[str, Any] = json.loads(self.model_dump_json())
        return values

    def identity(self, data_digest: str) -> str:
        """Hash all that can change a number: the data, and the config except runtime and force."""
        kept = {key: value for key, value in self.dump().items() if key not in NO_EFFECT_ON_NUMBERS}
        text = json.dumps({**kept, "data_digest": data_digest}, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def slug(self) -> str:
        """Name the run by its main choices; runs with the same slug differ in their identity."""
        axes = (self.model, self.norm, self.activation, self.init, self.optimizer)
        return "-".join([option.name for option in axes if option.name != "none"] + [f"s{self.seed}"])


_SHORT = {"runtime.study": "study"}  # as on the command line


def flat(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Flatten `{"norm": {"name": "batch", "eps": 1e-05}}` to `("norm", "batch"), ("norm.eps", 1e-05)`."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from ((_name(key, inner), _hashable(leaf)) for inner, leaf in value.items())
        else:
            yield key, _hashable(value)


@cache
def _name(key: str, inner: str) -> str:
    name = key if inner == "name" else f"{key}.{inner}"
    return _SHORT.get(name, name)


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_hashable, value))
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
