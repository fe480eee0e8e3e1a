"""The techniques of one axis: functions by name, whose signatures are the schema of their arguments."""

import inspect
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, create_model, field_validator

from regbench.config.wording import holds, words, wrong_value
from regbench.errors import UserError, no_such
from regbench.text import shown

_F = TypeVar("_F", bound=Callable[..., Any])
_Shared = TypeVar("_Shared", bound=Callable[..., Any])

_ANY_SIZE = ("seed",)  # numbers that torch never sees
Share = Annotated[float, Field(ge=0, le=1)]


class Checked(BaseModel):
    """Checked values of a config: no unknown keys, no NaN, and true is not the number 1."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[str(info.field_name)]
        items = value if isinstance(value, list) else [value]
        if isinstance(value, bool) and _on_or_off(value) in words(field.annotation):
            return _on_or_off(value)
        truths = bool in (field.annotation, *get_args(field.annotation))
        if not truths and any(isinstance(item, bool) for item in items):
            raise ValueError("a truth value")
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _torch_can_hold_it(cls, value: Any, info: ValidationInfo) -> Any:
        if not holds(value) and info.field_name not in _ANY_SIZE:
            raise ValueError("a number beyond float32 or int64")
        return value


def _on_or_off(value: bool) -> str:
    """Return the word that YAML has read as a truth value: a bare on or off."""
    return "on" if value else "off"


@dataclass(frozen=True)
class Option:
    """What the user chose on one axis: a name in the registry and its checked arguments."""

    name: str
    args: dict[str, Any] = field(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        """Return the option as its YAML file writes it."""
        return {"name": self.name, **self.args}


def _settable(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the types, with ranges, of a function's keyword-only parameters: a user can set these."""
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters.values()
    return {p.name: hints[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY}


class Registry(dict[str, _F], Generic[_F]):
    """The functions of one axis by option name.

    A user can set the keyword-only parameters. They have no defaults in Python: `conf/<axis>/<option>.yaml` holds
    them. Positional parameters come from the program.
    """

    def __init__(self, axis: str) -> None:
        self.axis = axis
        self._shared: Callable[..., Any] | None = None
        self._schemas: dict[str, type[BaseModel]] = {}
        self._checked: dict[str, Option] = {}  # by its values: most runs of a sweep have the same

    def register(self, function: _F) -> _F:
        """Decorate a function: offer it as an option under its name."""
        self[function.__name__] = function
        return function

    def shared(self, function: _Shared) -> _Shared:
        """Decorate a function whose keyword-only parameters can be set for every option of the axis except `none`."""
        self._shared = function
        return function

    def schema(self, name: str) -> type[BaseModel]:
        """Return the pydantic model of one option's arguments."""
        if name not in self._schemas:
            shared = _settable(self._shared) if self._shared and name != "none" else {}
            types = _settable(self[name]) | shared
            fields: dict[str, Any] = {key: (hint, ...) for key, hint in types.items()}
            self._schemas[name] = create_model(f"{self.axis}_{name}", __base__=Checked, **fields)
        return self._schemas[name]

    def check(self, values: Mapping[str, Any]) -> Option:
        """Return the option that a composed YAML node means.

        Raises:
            UserError: the name or an argument is unknown, an argument is missing, or a value has the wrong type or is
                out of range.
        """
        written = repr(values)  # tells 1 from 1.0 and true
        if written not in self._checked:
            self._checked[written] = self._check(values)
        return deepcopy(self._checked[written])  # nobody changes what the next one gets

    def _check(self, values: Mapping[str, Any]) -> Option:
        args = {_on_or_off(key) if isinstance(key, bool) else key: value for key, value in values.items()}
        name = args.pop("name", None)
        if name is None:
            raise UserError(f"{self.axis}.name is missing: its file must begin as in name: {next(iter(self))}")
        if not isinstance(name, str) or name not in self:
            raise UserError(
                f"{self.axis}.name={shown(name)}: {no_such('option', shown(name), f'the axis {self.axis!r}', self)}"
            )
        schema = self.schema(name)
        try:
            return Option(name, dict(schema.model_validate(args)))
        except ValidationError as error:
            raise wrong_value(error, schema, f"{self.axis}.", name) from None
