"""Check the arguments of a function that Python programs call: a wrong one is one line, as on the command line."""

import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from os import PathLike
from typing import Any, Literal, ParamSpec, TypeVar, Union, cast, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

from regbench.config.wording import words
from regbench.errors import UserError, nearest, no_such

_P = ParamSpec("_P")
_R = TypeVar("_R")
_NOUNS = {str: "text", bool: "True or False", int: "an integer", float: "a number", type(None): "None"}
_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def checked_call(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Check the arguments by the types of the parameters; the function gets them as they are.

    Raises:
        UserError: an argument is missing, unknown or of another type: `compare(by=3): must be text or a list of text`.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        _check_names(function.__name__, signature, args, kwargs)
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            parameter = signature.parameters[name]
            if parameter.kind not in _OPEN:
                _check(function.__name__, name, value, parameter.annotation)
        return function(*args, **kwargs)

    return cast(Callable[_P, _R], call)


def _check_names(function: str, signature: inspect.Signature, args: tuple[Any, ...], given: Mapping[str, Any]) -> None:
    parameters = signature.parameters
    if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        for name in given:
            if name not in parameters:
                raise UserError(f"{function}({name}=…): {no_such('argument', name, function, parameters)}")
    try:
        signature.bind(*args, **given)
    except TypeError as error:
        raise UserError(f"{function}(): {error}") from None


def _check(function: str, name: str, value: Any, annotation: Any) -> None:
    try:
        _adapter(annotation).validate_python(value, strict=True)
    except ValidationError:
        hint = nearest(value, words(annotation)) if isinstance(value, str) else ""
        reason = f"must be {_described(annotation)}{'.' * bool(hint)}{hint}"
        raise UserError(f"{function}({name}={_short(value)}): {reason}") from None


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))


def _described(annotation: Any) -> str:
    """Say what a type allows: `text, a list of text or None`."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return _either(list(map(repr, args)))
    if origin in (Union, types.UnionType):
        return _either(list(dict.fromkeys(map(_described, sorted(args, key=lambda arg: arg is type(None))))))
    if origin in (Sequence, Iterable):
        return f"a list of {_described(args[0])}"
    if origin is Mapping:
        return "a dict"
    kind = origin or annotation
    return _NOUNS.get(kind, "a path" if kind is PathLike else f"a {kind.__name__}")


def _either(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _short(value: Any) -> str:
    """Write a value if it is short, or its type."""
    text = repr(value)
    return text if len(text) <= 40 and "\n" not in text else f"<{type(value).__name__}>"
