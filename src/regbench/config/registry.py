"""One axis of techniques: its functions by name, and the schema that their signatures are."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, create_model, field_validator

from regbench.config.wording import wrong_value
from regbench.errors import UserError, no_such
from regbench.text import shown

F = TypeVar("F", bound=Callable[..., Any])
Shared = TypeVar("Shared", bound=Callable[..., Any])


class Checked(BaseModel):
    """Values of a config: no unknown keys, no NaN, and true is not the number 1."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[str(info.field_name)]
        items = value if isinstance(value, list) else [value]
        if field.annotation is not bool and any(isinstance(item, bool) for item in items):
            raise ValueError("a truth value")
        return value


@dataclass(frozen=True)
class Option:
    """What the user chose on one axis: a name in the registry and its checked arguments."""

    name: str
    args: dict[str, Any] = field(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        """The option as its YAML file writes it."""
        return {"name": self.name, **self.args}


def settable(function: Callable[..., Any]) -> dict[str, Any]:
    """The types, with ranges, of a function's keyword-only parameters: what a user can set."""
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters.values()
    return {p.name: hints[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY}


class Registry(dict[str, F], Generic[F]):
    """The functions of one axis by option name.

    Keyword-only parameters are what a user can set. They have no defaults in Python: `conf/<axis>/<option>.yaml` holds
    them. Positional parameters come from the program.
    """

    def __init__(self, axis: str) -> None:
        self.axis = axis
        self._shared: Callable[..., Any] | None = None
        self._schemas: dict[str, type[BaseModel]] = {}

    def register(self, function: F) -> F:
        """Decorator: offer the function as an option under its own name."""
        self[function.__name__] = function
        return function

    def shared(self, function: Shared) -> Shared:
        """Decorator: the function's keyword-only parameters are settable for every option of the axis but `none`."""
        self._shared = function
        return function

    def schema(self, name: str) -> type[BaseModel]:
        """The pydantic model of one option's arguments."""
        if name not in self._schemas:
            shared = settable(self._shared) if self._shared and name != "none" else {}
            types = settable(self[name]) | shared
            fields: dict[str, Any] = {key: (hint, ...) for key, hint in types.items()}
            self._schemas[name] = create_model(f"{self.axis}_{name}", __base__=Checked, **fields)
        return self._schemas[name]

    def check(self, values: Mapping[str, Any]) -> Option:
        """The option that a composed YAML node means.

        Raises:
            UserError: unknown name or argument, a missing one, a wrong type, or a value out of range.
        """
        args = dict(values)
        name = args.pop("name", None)
        if not isinstance(name, str) or name not in self:
            raise UserError(no_such("option", shown(name), f"'{self.axis}.name'", self))
        schema = self.schema(name)
        try:
            return Option(name, dict(schema.model_validate(args)))
        except ValidationError as error:
            raise UserError(wrong_value(error, schema, f"{self.axis}.")) from None
