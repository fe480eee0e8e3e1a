"""What can be read from the syntax of a condition without any values."""

import ast
import operator
from collections.abc import Callable
from typing import Any

ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_SUMS = (ast.Add, ast.Sub)
_DEEPEST = 100  # parts of a condition inside one another


def is_shallow(body: ast.expr) -> bool:
    """Tell whether no part stands deeper in others than may be: each level takes calls of Python, which end."""
    level: list[ast.AST] = [body]
    for _ in range(2 * _DEEPEST):  # an operator is a node between two parts
        level = [part for node in level for part in ast.iter_child_nodes(node)]
        if not level:
            return True
    return False


def terms(node: ast.expr) -> list[ast.expr]:
    """Return the parts of a sum or a list; any other expression is its only part."""
    match node:
        case ast.BinOp(left, op, right) if isinstance(op, _SUMS):
            return [*terms(left), *terms(right)]
        case ast.List(items) | ast.Tuple(items):
            return [part for item in items for part in terms(item)]
        case ast.UnaryOp(ast.USub(), operand):
            return terms(operand)
    return [node]


def number_of(node: ast.expr) -> float | None:
    """Compute an expression of numbers alone; None for any other, and where the result is no number."""
    match node:
        case ast.Constant(int() | float() as constant) if not isinstance(constant, bool):
            return constant
        case ast.BinOp(left, op, right) if type(op) in ARITHMETIC:
            numbers = [number_of(left), number_of(right)]
            try:
                return None if None in numbers else float(ARITHMETIC[type(op)](*numbers))
            except ArithmeticError:
                return None
    return None


def items(node: ast.expr) -> list[ast.expr]:
    """Return the items of a list; any other expression is its only item."""
    return list(node.elts) if isinstance(node, ast.List | ast.Tuple) else [node]


def dotted(node: ast.expr) -> str | None:
    """Return a name as it was written, `optimizer.lr`; None for any other syntax."""
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(front, name):
            prefix = dotted(front)
            return None if prefix is None else f"{prefix}.{name}"
    return None
