"""A condition on named values, `norm != none and optimizer.lr < 0.01`: read as Python's syntax, never executed."""

import ast
import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from regbench.errors import UserError, no_such

Values = Mapping[str, Any]
Part = Callable[[Values], Any]

WORDS = {"true": True, "false": False, "null": None}
NOTHING = object()  # what a key means where there is no such value
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: lambda left, right: _equal(left, right),
    ast.NotEq: lambda left, right: not _equal(left, right),
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, options: any(_equal(value, option) for option in options),
    ast.NotIn: lambda value, options: not any(_equal(value, option) for option in options),
}
ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
ALLOWED = "comparisons, in, and, or, not, + - * / // %, numbers, texts and lists"
EXAMPLE = "norm != none and optimizer.lr < 0.01"


class Expression:
    """A condition that is true or false of a mapping from keys to values.

    A name without a dot on the right of a comparison is a text unless the mapping has it as a key: `norm == batch` is
    `norm == 'batch'`. Any other name is one of `keys`. A comparison with a key that the mapping lacks is false, and so
    is `clip_norm > 1` where clip_norm is null.
    """

    def __init__(self, text: str) -> None:
        """Read it.

        Raises:
            UserError: it is no expression, or says more than a condition may say.
        """
        self._text = text
        self.keys: list[str] = []
        try:
            self._condition = self._read(ast.parse(text.strip(), mode="eval").body)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self._wrong("is no condition") from None

    def __call__(self, values: Values) -> bool:
        """Whether it is true of the values.

        Raises:
            UserError: a number is compared with a text, or something else than numbers computed with.
        """
        try:
            return bool(self._condition(values))
        except (TypeError, ArithmeticError) as error:
            raise self._wrong(str(error)) from None

    def check(self, allowed: Collection[str], place: str) -> None:
        """See to it that each of its keys is one of those allowed, which are those of `place`.

        Raises:
            UserError: one is not.
        """
        for key in self.keys:
            if key not in allowed:
                raise UserError(f"{self._text}: {no_such('key', key, place, allowed)}")

    def _wrong(self, reason: str) -> UserError:
        return UserError(f"{self._text}: {reason}. Allowed: {ALLOWED}, as in {EXAMPLE!r}")

    def _read(self, node: ast.expr) -> Part:
        match node:
            case ast.BoolOp(op, parts):
                conditions = [self._read(part) for part in parts]
                quantifier = all if isinstance(op, ast.And) else any
                return lambda values: quantifier(condition(values) for condition in conditions)
            case ast.UnaryOp(ast.Not(), operand):
                negated = self._read(operand)
                return lambda values: not negated(values)
            case ast.Compare(left, ops, rights) if all(type(op) in COMPARISONS for op in ops):
                operands = [self._value(left), *(self._value(right, may_be_text=True) for right in rights)]
                return lambda values: _holds(ops, [operand(values) for operand in operands])
        value = self._value(node)
        return lambda values: (found := value(values)) is not NOTHING and found

    def _value(self, node: ast.expr, may_be_text: bool = False) -> Part:
        match node:
            case ast.Name() | ast.Attribute():
                return self._name(_dotted(node), may_be_text)
            case ast.Constant(bool() | int() | float() | str() | None as constant):
                return lambda _: constant
            case ast.List(items) | ast.Tuple(items):
                parts = [self._value(item, may_be_text) for item in items]
                return lambda values: [part(values) for part in parts]
            case ast.UnaryOp(ast.USub(), operand):
                return self._computed(operator.sub, ast.Constant(0), operand)
            case ast.BinOp(left, op, right) if type(op) in ARITHMETIC:
                return self._computed(ARITHMETIC[type(op)], left, right)
        raise self._wrong(f"{ast.unparse(node)} is not allowed")

    def _name(self, name: str | None, may_be_text: bool) -> Part:
        if name is None:
            raise self._wrong("is no condition")
        if name in WORDS:
            return lambda _: WORDS[name]
        if may_be_text and "." not in name:
            return lambda values: values.get(name, name)
        self.keys.append(name)
        return lambda values: values.get(name, NOTHING)

    def _computed(self, compute: Callable[[Any, Any], Any], left: ast.expr, right: ast.expr) -> Part:
        operands = self._value(left), self._value(right)

        def result(values: Values) -> Any:
            found = [operand(values) for operand in operands]
            if NOTHING in found or None in found:
                return NOTHING
            if not all(isinstance(value, int | float) for value in found):
                raise TypeError("only numbers can be computed with")
            return compute(*found)

        return result


def condition(text: str) -> Expression:
    """An expression, or KEY=VALUE for short: a number, true, false, null, a list in brackets; any other is a text.

    Raises:
        UserError: it is neither.
    """
    short = re.fullmatch(r"\s*([\w.]+)\s*=\s*(?!=)(.*?)\s*", text)
    return Expression(f"{short[1]} == {_literal(short[2])}" if short else text)


def _literal(value: str) -> str:
    if value in WORDS or value.startswith("["):
        return value
    try:
        return repr(float(value)) if math.isfinite(float(value)) else repr(value)
    except ValueError:
        return repr(value)


def _dotted(node: ast.expr) -> str | None:
    """`optimizer.lr` as it was written; None for what is no name."""
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(front, name):
            prefix = _dotted(front)
            return None if prefix is None else f"{prefix}.{name}"
    return None


def _holds(ops: list[ast.cmpop], operands: list[Any]) -> bool:
    """A chain of comparisons, `0 < dropout <= 0.5`."""
    values = [_listed(value) for value in operands]
    return all(map(_compared, ops, values, values[1:]))


def _compared(op: ast.cmpop, left: Any, right: Any) -> bool:
    if left is NOTHING or right is NOTHING or (isinstance(op, ORDERED) and (left is None or right is None)):
        return False
    if isinstance(op, ast.In | ast.NotIn) and not isinstance(right, list):
        raise TypeError("what follows 'in' must be a list")
    return bool(COMPARISONS[type(op)](left, right))


def _equal(left: Any, right: Any) -> bool:
    """As values of a config: 1 and true differ, as they do in YAML."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _listed(value: Any) -> Any:
    """A list for a tuple, so that both are equal if their items are."""
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value
