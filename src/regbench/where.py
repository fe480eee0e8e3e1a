"""A filter over runs: `optimizer.lr<0.01 and norm!='none'`. Python's grammar reads it, only this page evaluates it."""

import ast
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from regbench.errors import UserError, no_such

Getter = Callable[[Mapping[str, Any]], Any]

LONGEST = 2_000
LITERALS = {"null": None, "true": True, "false": False}
ORDERS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
GRAMMAR = "keys, numbers, 'texts', [lists], null, true, false, < <= == != >= >, in, and, or, not, parentheses"


def condition(text: str, keys: Mapping[str, str]) -> Callable[[Mapping[str, Any]], bool]:
    """What `text` says of a run, given as its columns.

    A key that a run's option does not have (NaN) equals nothing and is neither less nor more than anything.

    Args:
        text: comparisons of keys with values, joined by and, or, not.
        keys: the names that may be used, and the column of each.

    Raises:
        UserError: it is no such text, or names what no run has; on use, a text is compared with a number by size.
    """
    try:
        found = _truth(_parsed(text), keys)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        found = None
    except UserError as error:
        raise UserError(f"--where {text}: {error}") from None
    if found is None:
        hint = " Write == to compare." if "=" in text and not set("<>!=") & set(text.replace("=", "", 1)) else ""
        raise UserError(f"--where {text[:200]}: cannot be read.{hint} Allowed: {GRAMMAR}")
    return found


def _parsed(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise SyntaxError
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of `1and`
        return ast.parse(text.strip(), mode="eval").body


def _truth(node: ast.expr, keys: Mapping[str, str]) -> Callable[[Mapping[str, Any]], bool]:
    if isinstance(node, ast.BoolOp):
        parts = [_truth(value, keys) for value in node.values]
        together = all if isinstance(node.op, ast.And) else any
        return lambda run: together(part(run) for part in parts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = _truth(node.operand, keys)
        return lambda run: not inner(run)
    if isinstance(node, ast.Compare):
        values = [_value(value, keys) for value in (node.left, *node.comparators)]
        links = [_comparison(op) for op in node.ops]
        steps = list(zip(links, values, values[1:], strict=False))
        return lambda run: all(link(left(run), right(run)) for link, left, right in steps)
    if isinstance(node, ast.Name | ast.Attribute):
        value = _value(node, keys)
        return lambda run: value(run) is True
    raise SyntaxError


def _value(node: ast.expr, keys: Mapping[str, str]) -> Getter:
    if isinstance(node, ast.Name) and node.id in LITERALS:
        return lambda _: LITERALS[node.id]
    if isinstance(node, ast.Name | ast.Attribute):
        key = _dotted(node)
        if key not in keys:
            raise UserError(f"(a text is quoted: '{key}') {no_such('key', key, 'the runs', keys)}")
        return lambda run: run[keys[key]]
    constant = _constant(node)
    return lambda _: constant


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Name):
        return node.id
    raise SyntaxError


def _constant(node: ast.expr) -> Any:
    if isinstance(node, ast.List | ast.Tuple):
        return tuple(map(_constant, node.elts))
    if isinstance(node, ast.Name) and node.id in LITERALS:
        return LITERALS[node.id]
    value = ast.literal_eval(node)  # numbers with a sign, texts, None, True, False; executes nothing
    if not isinstance(value, str | int | float | None):
        raise SyntaxError
    return value


def _comparison(op: ast.cmpop) -> Callable[[Any, Any], bool]:
    if isinstance(op, ast.Eq | ast.Is):
        return _equal
    if isinstance(op, ast.NotEq | ast.IsNot):
        return lambda left, right: not _equal(left, right)
    if isinstance(op, ast.In):
        return _contained
    if isinstance(op, ast.NotIn):
        return lambda left, right: not _contained(left, right)
    order = ORDERS[type(op)]
    return lambda left, right: _ordered(order, left, right)


def _equal(left: Any, right: Any) -> bool:
    """As values of a config: 1 and true differ, as they do in YAML."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _contained(left: Any, right: Any) -> bool:
    return any(_equal(left, item) for item in right) if isinstance(right, tuple) else _equal(left, right)


def _ordered(order: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    if any(value is None or (isinstance(value, float) and math.isnan(value)) for value in (left, right)):
        return False
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in (left, right)]
    if not all(numbers) and not (isinstance(left, str) and isinstance(right, str)):
        raise UserError(f"--where: {left!r} and {right!r} cannot be compared by size")
    return order(left, right)
