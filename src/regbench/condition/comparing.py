"""How the values in a condition are compared, and which of them are true."""

import ast
import operator
from collections.abc import Callable
from typing import Any

from regbench.text import shown

NOTHING = object()  # the value of a key that the mapping lacks
COMPARABLE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: lambda left, right: equal(left, right),
    ast.NotEq: lambda left, right: not equal(left, right),
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, options: any(equal(value, option) for option in options),
    ast.NotIn: lambda value, options: not any(equal(value, option) for option in options),
}
_ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list"}


class NoTruthError(TypeError):
    """A number, text or a list where a condition must be."""


def truth(value: Any) -> bool:
    """Tell whether a part of a condition is true: one about a key that is null or missing is not.

    Raises:
        NoTruthError: the part is a number, text or a list.
    """
    if value is NOTHING or value is None:
        return False
    if isinstance(value, bool):
        return value
    example = "norm == batch" if isinstance(value, str) else "epochs > 5"
    raise NoTruthError(f"{shown(value)} is neither true nor false. Compare it, as in {example!r}")


def holds(ops: list[ast.cmpop], operands: list[Any]) -> bool:
    """Tell whether a chain of comparisons is true, `0 < dropout <= 0.5`."""
    values = [_listed(value) for value in operands]
    return all(map(_compared, ops, values, values[1:]))


def _compared(op: ast.cmpop, left: Any, right: Any) -> bool:
    if left is NOTHING or right is NOTHING or (isinstance(op, _ORDERED) and (left is None or right is None)):
        return False
    if isinstance(op, ast.In | ast.NotIn) and not isinstance(right, list):
        raise TypeError(f"a list must follow 'in', as in [{shown(right)}]")
    if isinstance(op, _ORDERED):
        _check_order(left, right)
    return bool(COMPARABLE[type(op)](left, right))


def quoted(value: Any) -> str:
    """Write a value as a condition has it: text in quotes."""
    return repr(value) if isinstance(value, str) else shown(value)


def _check_order(left: Any, right: Any) -> None:
    kinds = [_KINDS.get(type(value), "a value") for value in (left, right)]
    if len(set(kinds)) > 1:
        sides = " and ".join(f"{quoted(value)} is {kind}" for value, kind in zip((left, right), kinds, strict=True))
        raise TypeError(f"{sides}: neither is less. Compare them by == or !=")
    if kinds[0] == "a list" and left and right:
        _check_order(left[0], right[0])


def equal(left: Any, right: Any) -> bool:
    """Compare values of a config: 1 and true differ, as they do in YAML."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _listed(value: Any) -> Any:
    """Turn tuples into lists, so that the two are equal if their items are equal."""
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value
