"""Say what pydantic refused, in the words of the command line."""

import math
import re
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from regbench.errors import UnknownKeyError, UserError, nearest
from regbench.text import shown

_FLOAT32, _INT64 = (2 - 2**-23) * 2.0**127, 2**63 - 1  # the largest numbers
_ITEMS = (64, 0.9)  # of lists in hints, unless what was given can be one: a width, a share
_NOUNS = {float: "a number", int: "an integer", bool: "true or false", str: "text", type(None): "null"}


def wrong_value(
    error: ValidationError, schema: type[BaseModel], prefix: str = "", option: str | None = None
) -> UserError:
    """Describe the first error that pydantic found: `dropout=1.5: must be a number in [0, 1)`.

    A key that there is not comes before one that is missing: it may be the same, misspelt. `option` is what is chosen
    on the axis that the prefix names.
    """
    first = min(error.errors(include_url=False), key=lambda found: found["type"] == "missing")
    return _explain(first["loc"], first["type"], first["input"], schema, prefix, option)


def _explain(
    loc: Sequence[int | str], kind: str, value: Any, schema: type[BaseModel], prefix: str, option: str | None = None
) -> UserError:
    key = str(loc[0])
    field = schema.model_fields.get(key)
    if field is None:
        return UnknownKeyError(f"{prefix}{key}", option, schema.model_fields)
    if kind == "missing" and len(loc) == 1:
        return UserError(f"{prefix}{key} is missing: must be {describe(field)}")
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel) and len(loc) > 1:
        return _explain(loc[1:], kind, value, field.annotation, f"{prefix}{key}.")
    places = [part for part in loc[1:] if isinstance(part, int) and kind != "missing"]
    index = "".join(f"[{place}]" for place in places)
    allowed = _describe(_item(field.annotation, places[0])) if places and not field.title else describe(field)
    name = f"{prefix}{key}{index}"
    hint = _nearest_example(value, field) or _hint(name, value, field.annotation)
    return UserError(f"{name}={shown(value)}: must be {_finite(allowed, value)}{'.' * bool(hint)}{hint}")


def holds(value: Any) -> bool:
    """Tell whether torch holds all numbers in a value: float32 or int64. Infinity has a place in float32."""
    if isinstance(value, list | tuple):
        return all(map(holds, value))
    if isinstance(value, int):
        return abs(value) <= _INT64
    return not isinstance(value, float) or not math.isfinite(value) or abs(value) <= _FLOAT32


def _finite(allowed: str, value: Any) -> str:
    """Say that infinity is no number, where one above 0 is asked for, and how large a number may be."""
    if isinstance(value, float) and math.isinf(value):
        return re.sub(r"\ba number", "a finite number", allowed)
    most = f"{_INT64:,}" if isinstance(value, int) else f"{_FLOAT32:.2g}"
    return allowed if holds(value) else f"{allowed}, and no larger than {most}"


def _nearest_example(value: Any, field: FieldInfo) -> str:
    """Say which word may be meant where a pattern says what is allowed; of several, by the first that is none."""
    known = list(map(str, field.examples or ()))
    words = [word for word in str(value).split("+") if word not in known]
    return nearest(words[0], known) if words else ""


def _hint(name: str, value: Any, annotation: Any) -> str:
    """Write what may be meant: a word, a range of a sweep, a list with brackets."""
    if hint := nearest(str(value), words(annotation)):
        return hint
    ends = re.fullmatch(r"(\d+)\s*(?:-|\.\.+|:|…|to)\s*(\d+)", str(value)) if isinstance(value, str) else None
    if ends and re.search("number|integer", _describe(annotation)):
        return f" A range is -m '{name}=range({ends[1]},{int(ends[2]) + 1})'"
    if isinstance(value, float) and annotation is str:
        return " In quotes a number is text"
    length = _length(annotation)
    if isinstance(value, int | float | str) and _is_list(annotation) and "[" not in name and length:
        items = [item for item in (value, *_ITEMS) if _fits([item] * length, annotation)]
        return f" As in '{name}=[{','.join([shown(items[0])] * length)}]'" if items else ""
    if isinstance(value, list | tuple) and value and not _is_list(annotation):
        plain = f"{name}={','.join(map(shown, value))}"
        return f" {f'A sweep is -m {plain}' if len(value) > 1 else f'Write {plain}'}, without brackets"
    return ""


def _fits(value: Any, annotation: Any) -> bool:
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError:
        return False
    return True


def _length(annotation: Any) -> int:
    """Return how many alike items a list must have: 1 for a list of any length, 0 if no value can be all of them."""
    items = get_args(annotation)
    if get_origin(annotation) is not tuple or Ellipsis in items:
        return 1
    return len(items) if len(set(map(_describe, items))) == 1 else 0


def _is_list(annotation: Any) -> bool:
    """Whether a type is a list, or one that may be null."""
    return get_origin(annotation) in (list, tuple) or any(map(_is_list, get_args(annotation)))


def _item(annotation: Any, place: int) -> Any:
    """Return the type of one item of a list."""
    args = get_args(annotation)
    if get_origin(annotation) is tuple and Ellipsis not in args:
        return args[place]
    return args[0] if get_origin(annotation) in (list, tuple) else _item(args[0], place)


def words(annotation: Any) -> list[str]:
    """Return the words that a type allows: `fan_in`, `fan_out`."""
    if get_origin(annotation) is Literal:
        return [word for word in get_args(annotation) if isinstance(word, str)]
    return [word for part in get_args(annotation) for word in words(part)]


def describe(field: FieldInfo) -> str:
    """Say what a field allows: `a number in [0, 1)`, or its title if type and range do not say it."""
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
        return _describe_list(origin, args, _limits(metadata))
    return _NOUNS.get(annotation, "a mapping") + (_range(_limits(metadata)) if annotation in (int, float) else "")


def _describe_list(origin: type, args: Sequence[Any], limits: Mapping[str, Any]) -> str:
    items = [_describe(arg) for arg in args if arg is not Ellipsis]
    size = f" of at least {limits['min_length']}" if "min_length" in limits else ""
    if origin is tuple and len(items) == len(args):
        size = f" of {len(args)}"
    return f"a list{size}, " + (f"each {items[0]}" if len(set(items)) == 1 else ", then ".join(items))


def _constraints(metadata: Sequence[Any]) -> list[Any]:
    """Return the constraints inside `Field(...)` objects too: Annotated keeps those folded."""
    return [c for item in metadata for c in (item.metadata if isinstance(item, FieldInfo) else [item])]


def _limits(metadata: Sequence[Any]) -> dict[str, Any]:
    """Return the limits by name: pydantic's constraints have one or several of these attributes."""
    names = ("ge", "gt", "le", "lt", "min_length")
    return {name: limit for m in metadata for name in names if (limit := getattr(m, name, None)) is not None}


def _range(limits: Mapping[str, Any]) -> str:
    low = f"[{limits['ge']}" if "ge" in limits else f"({limits['gt']}" if "gt" in limits else ""
    high = f"{limits['le']}]" if "le" in limits else f"{limits['lt']})" if "lt" in limits else ""
    if low and high:
        return f" in {low}, {high}"
    words = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
    return next((f" {words[name]} {limits[name]}" for name in words if name in limits), "")
