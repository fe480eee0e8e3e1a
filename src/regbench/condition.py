"""Conditions on named values, `norm != none and optimizer.lr < 0.01`: parsed as Python's syntax, never executed."""

import ast
import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from regbench.errors import UserError, no_such
from regbench.text import shown

Values = Mapping[str, Any]
_Part = Callable[[Values], Any]

_WORDS = {"true": True, "false": False, "null": None}
_NOTHING = object()  # the value of a key that the mapping lacks
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: lambda left, right: _equal(left, right),
    ast.NotEq: lambda left, right: not _equal(left, right),
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, options: any(_equal(value, option) for option in options),
    ast.NotIn: lambda value, options: not any(_equal(value, option) for option in options),
}
_ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_SUMS = (ast.Add, ast.Sub)
_ACCURACY = "_acc"  # how the names of accuracies end
_DEEPEST = 100  # parts of a condition inside one another
_ALLOWED = "comparisons, in, and, or, not, + - * / // %, numbers, text and lists"
_EXAMPLE = "norm != none and optimizer.lr < 0.01"


class _NoTruthError(TypeError):
    """A number, text or a list where a condition must be."""


class Expression:
    """A condition that a mapping from keys to values fulfils or does not fulfil.

    A name without a dot on the right of a comparison is text unless the mapping has it as a key: `norm == batch` means
    `norm == 'batch'`. Any other name is one of `keys`. A comparison with a key that the mapping lacks is false, and so
    is `clip_norm > 1` where clip_norm is null.
    """

    def __init__(self, text: str) -> None:
        """Parse the text.

        Raises:
            UserError: the text is not an expression, uses syntax that a condition may not use, or compares an accuracy,
                which is a fraction, with a number above 1.
        """
        self._text = text
        self.keys: list[str] = []
        try:
            body = ast.parse(text.strip(), mode="eval").body
            if not _is_shallow(body):
                raise self._wrong("is nested too deeply")
            self._check_fractions(body)
            self._condition = self._read(body)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self._wrong("is not a condition") from None

    def __call__(self, values: Values) -> bool:
        """Tell whether the values fulfil the condition.

        Raises:
            UserError: the condition compares a number with text, computes with something other than numbers, or is
                itself a number, text or list.
        """
        try:
            return _truth(self._condition(values))
        except _NoTruthError as error:
            raise UserError(f"{self._text}: {error}") from None
        except (TypeError, ArithmeticError) as error:
            raise self._wrong(str(error)) from None

    def check(self, allowed: Collection[str], place: str) -> None:
        """Raise UserError unless every key is allowed; `place` says in the message what has the allowed keys."""
        for key in self.keys:
            if key not in allowed:
                raise UserError(f"{self._text}: {no_such('key', key, place, allowed)}")

    def _wrong(self, reason: str) -> UserError:
        return UserError(f"{self._text}: {reason}. Allowed: {_ALLOWED}, as in {_EXAMPLE!r}")

    def _read(self, node: ast.expr) -> _Part:
        match node:
            case ast.BoolOp(op, parts):
                conditions = [self._read(part) for part in parts]
                quantifier = all if isinstance(op, ast.And) else any
                return lambda values: quantifier(_truth(condition(values)) for condition in conditions)
            case ast.UnaryOp(ast.Not(), operand):
                negated = self._read(operand)
                return lambda values: not _truth(negated(values))
            case ast.Compare(left, ops, rights) if all(type(op) in _COMPARISONS for op in ops):
                operands = [self._value(left), *(self._value(right, may_be_text=True) for right in rights)]
                return lambda values: _holds(ops, [operand(values) for operand in operands])
        return self._value(node)

    def _check_fractions(self, body: ast.expr) -> None:
        """Raise UserError if an accuracy, or a sum with one, is compared with a number above 1: tables show percent."""
        for node in ast.walk(body):
            if isinstance(node, ast.Compare):
                parts = [part for side in (node.left, *node.comparators) for part in _terms(side)]
                names = [name for part in parts if (name := _dotted(part)) and name.endswith(_ACCURACY)]
                percent = [number for part in parts if (number := _number(part)) is not None and abs(number) > 1]
                if names and percent:
                    fraction = f"{percent[0] / 100:.6g}"
                    raise UserError(
                        f"{self._text}: {names[0]} is a fraction: write {fraction} instead of {percent[0]:g}"
                    )

    def _value(self, node: ast.expr, may_be_text: bool = False) -> _Part:
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
            case ast.BinOp(left, op, right) if type(op) in _ARITHMETIC:
                return self._computed(_ARITHMETIC[type(op)], left, right)
        raise self._wrong(f"{ast.unparse(node)} is not allowed")

    def _name(self, name: str | None, may_be_text: bool) -> _Part:
        if name is None:
            raise self._wrong("is not a condition")
        if name in _WORDS:
            return lambda _: _WORDS[name]
        if may_be_text and "." not in name:
            return lambda values: values.get(name, name)
        self.keys.append(name)
        return lambda values: values.get(name, _NOTHING)

    def _computed(self, compute: Callable[[Any, Any], Any], left: ast.expr, right: ast.expr) -> _Part:
        operands = self._value(left), self._value(right)

        def result(values: Values) -> Any:
            numbers = [operand(values) for operand in operands]
            if _NOTHING in numbers or None in numbers:
                return _NOTHING
            if not all(isinstance(number, int | float) for number in numbers):
                raise TypeError("only numbers can be computed with")
            return compute(*numbers)

        return result


def _is_shallow(body: ast.expr) -> bool:
    """Tell whether no part stands deeper in others than may be: each level takes calls of Python, which end."""
    level: list[ast.AST] = [body]
    for _ in range(2 * _DEEPEST):  # an operator is a node between two parts
        level = [part for node in level for part in ast.iter_child_nodes(node)]
        if not level:
            return True
    return False


def condition(text: str) -> Expression:
    """Parse an expression, or its short form KEY=VALUE.

    A VALUE is a number, true, false, null or a list in brackets; anything else is text. In `norm=batch and seed=0` each
    sign of equality means `==`.

    Raises:
        UserError: the text is neither.
    """
    short = re.fullmatch(r"\s*([\w.]+)\s*=\s*(?!=)(.*?)\s*", text)
    if short and not re.search(r"\s(and|or)\s", short[2]):
        return Expression(f"{short[1]} == {_literal(short[2])}")
    return Expression(re.sub(r"(?<![=<>!])=(?!=)", "==", text) if short else text)


def _literal(value: str) -> str:
    if value in _WORDS or value.startswith("["):
        return value
    try:
        return repr(float(value)) if math.isfinite(float(value)) else repr(value)
    except ValueError:
        return repr(value)


def _truth(value: Any) -> bool:
    """Tell whether a part of a condition is true: one about a key that is null or missing is not.

    Raises:
        _NoTruthError: the part is a number, text or a list.
    """
    if value is _NOTHING or value is None:
        return False
    if isinstance(value, bool):
        return value
    example = "norm == batch" if isinstance(value, str) else "epochs > 5"
    raise _NoTruthError(f"{shown(value)} is neither true nor false. Compare it, as in {example!r}")


def _terms(node: ast.expr) -> list[ast.expr]:
    """Return the parts of a sum or a list; any other expression is its only part."""
    match node:
        case ast.BinOp(left, op, right) if isinstance(op, _SUMS):
            return [*_terms(left), *_terms(right)]
        case ast.List(items) | ast.Tuple(items):
            return [part for item in items for part in _terms(item)]
        case ast.UnaryOp(ast.USub(), operand):
            return _terms(operand)
    return [node]


def _number(node: ast.expr) -> float | None:
    """Compute an expression of numbers alone; None for any other, and where the result is no number."""
    match node:
        case ast.Constant(int() | float() as constant) if not isinstance(constant, bool):
            return constant
        case ast.BinOp(left, op, right) if type(op) in _ARITHMETIC:
            numbers = [_number(left), _number(right)]
            try:
                return None if None in numbers else float(_ARITHMETIC[type(op)](*numbers))
            except ArithmeticError:
                return None
    return None


def _dotted(node: ast.expr) -> str | None:
    """Return a name as it was written, `optimizer.lr`; None for any other syntax."""
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(front, name):
            prefix = _dotted(front)
            return None if prefix is None else f"{prefix}.{name}"
    return None


def _holds(ops: list[ast.cmpop], operands: list[Any]) -> bool:
    """Tell whether a chain of comparisons is true, `0 < dropout <= 0.5`."""
    values = [_listed(value) for value in operands]
    return all(map(_compared, ops, values, values[1:]))


def _compared(op: ast.cmpop, left: Any, right: Any) -> bool:
    if left is _NOTHING or right is _NOTHING or (isinstance(op, _ORDERED) and (left is None or right is None)):
        return False
    if isinstance(op, ast.In | ast.NotIn) and not isinstance(right, list):
        raise TypeError("a list must follow 'in'")
    return bool(_COMPARISONS[type(op)](left, right))


def _equal(left: Any, right: Any) -> bool:
    """Compare values of a config: 1 and true differ, as they do in YAML."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _listed(value: Any) -> Any:
    """Turn tuples into lists, so that the two are equal if their items are equal."""
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value
