"""What pydantic refused, in the words of the command line."""

import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Len, Lt, MinLen
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from regbench.errors import nearest, no_such
from regbench.text import shown

NOUNS = {float: "a number", int: "an integer", bool: "true or false", str: "a text", type(None): "null"}


def wrong_value(error: ValidationError, schema: type[BaseModel], prefix: str = "") -> str:
    """The first error that pydantic found, as `dropout=1.5: must be a number in [0, 1)`."""
    first = error.errors(include_url=False)[0]
    return _explain(first["loc"], first["type"], first["input"], schema, prefix)


def _explain(loc: Sequence[int | str], kind: str, value: Any, schema: type[BaseModel], prefix: str) -> str:
    key = str(loc[0])
    field = schema.model_fields.get(key)
    if field is None:
        return no_such("key", key, f"'{prefix.rstrip('.')}'" if prefix else "the config", schema.model_fields)
    if kind == "missing" and len(loc) == 1:
        return f"{prefix}{key} is missing: must be {describe(field)}"
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel) and len(loc) > 1:
        return _explain(loc[1:], kind, value, field.annotation, f"{prefix}{key}.")
    places = [part for part in loc[1:] if isinstance(part, int) and kind != "missing"]
    index = "".join(f"[{place}]" for place in places)
    allowed = _describe(_item(field.annotation, places[0])) if places and not field.title else describe(field)
    hint = nearest(str(value), _words(field.annotation))
    return f"{prefix}{key}{index}={shown(value)}: must be {allowed}{'.' * bool(hint)}{hint}"


def _item(annotation: Any, place: int) -> Any:
    """The type of one item of a list."""
    args = get_args(annotation)
    if get_origin(annotation) is tuple and Ellipsis not in args:
        return args[place]
    return args[0] if get_origin(annotation) in (list, tuple) else _item(args[0], place)


def _words(annotation: Any) -> list[str]:
    """The texts that a type lists."""
    if get_origin(annotation) is Literal:
        return [word for word in get_args(annotation) if isinstance(word, str)]
    return [word for part in get_args(annotation) for word in _words(part)]


def describe(field: FieldInfo) -> str:
    """What a field allows, in words: `a number in [0, 1)`, or its title where type and range do not say it."""
    return field.title or _describe(field.annotation, field.metadata)


def _describe(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _describe(args[0], [*_constraints(args[1:]), *metadata])
    if origin is Literal:
        return " or ".join(map(shown, args)) if len(args) < 3 else f"one of {', '.join(map(shown, args))}"
    if origin in (Union, types.UnionType):
        return " or ".join(_describe(arg, metadata) for arg in sorted(args, key=lambda arg: arg is not type(None)))
    if origin in (list, tuple):
        items = [arg for arg in args if arg is not Ellipsis]
        least = next((f" of at least {m.min_length}" for m in metadata if isinstance(m, Len | MinLen)), "")
        size = f" of {len(args)}" if origin is tuple and len(items) == len(args) else least
        if len(set(map(_describe, items))) > 1:
            return f"a list{size}, {', then '.join(map(_describe, items))}"
        return f"a list{size}, each {_describe(items[0])}"
    return NOUNS.get(annotation, "a mapping") + (_range(metadata) if annotation in (int, float) else "")


def _constraints(metadata: Sequence[Any]) -> list[Any]:
    """The constraints inside `Field(...)` objects, which Annotated keeps folded."""
    return [c for item in metadata for c in (item.metadata if isinstance(item, FieldInfo) else [item])]


def _range(metadata: Sequence[Any]) -> str:
    low = next((m for m in metadata if isinstance(m, Ge | Gt)), None)
    high = next((m for m in metadata if isinstance(m, Le | Lt)), None)
    if low and high:
        left = f"[{low.ge}" if isinstance(low, Ge) else f"({low.gt}"
        right = f"{high.le}]" if isinstance(high, Le) else f"{high.lt})"
        return f" in {left}, {right}"
    if low:
        return f" of at least {low.ge}" if isinstance(low, Ge) else f" above {low.gt}"
    if high:
        return f" of at most {high.le}" if isinstance(high, Le) else f" below {high.lt}"
    return ""
