"""From a text to a function of values: what a condition may be made of, and what a wrong one is told."""

import ast
import math
import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from regbench.condition.comparing import COMPARABLE, NOTHING, NoTruthError, equal, holds, quoted, truth
from regbench.condition.syntax import ARITHMETIC, dotted, is_shallow, items, number_of, terms
from regbench.errors import UserError, no_such
from regbench.text import shown

Values = Mapping[str, Any]
_Part = Callable[[Values], Any]

_WORDS = {"true": True, "false": False, "null": None}
_ACCURACY = "_acc"  # how the names of accuracies end
_ALLOWED = "comparisons, in, and, or, not, + - * / // %, numbers, text and lists"
_EXAMPLE = "norm != none and optimizer.lr < 0.01"


class Expression:
    """A condition that a mapping from keys to values fulfils or does not fulfil.

    A name without a dot on the right of a comparison is text unless the mapping has it as a key: `norm == batch` means
    `norm == 'batch'`. Any other name is one of `keys`. A comparison with a key that the mapping lacks is false, and so
    is `clip_norm > 1` where clip_norm is null.
    """

    def __init__(self, text: str, typed: str | None = None) -> None:
        """Parse the text; messages show what was `typed` for it.

        Raises:
            UserError: the text is not an expression, uses syntax that a condition may not use, or compares an accuracy,
                which is a fraction, with a number above 1.
        """
        self._text = typed or text
        self.keys: list[str] = []
        self._wanted: list[tuple[str, Any]] = []  # keys, each with a value that it is compared with
        try:
            body = ast.parse(text.strip(), mode="eval").body
            if not is_shallow(body):
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
            return truth(self._condition(values))
        except NoTruthError as error:
            raise UserError(f"{self._text}: {error}") from None
        except (TypeError, ArithmeticError) as error:
            raise UserError(f"{self._text}: {error}") from None

    def check(self, allowed: Collection[str], place: str) -> None:
        """Raise UserError unless every key is allowed; `place` says in the message what has the allowed keys."""
        for key in self.keys:
            if key not in allowed:
                raise UserError(f"{self._text}: {no_such('key', key, place, allowed)}")

    @property
    def words(self) -> set[str]:
        """The keys, and the words that are compared with them, which may be keys too."""
        return {*self.keys, *(value for _, value in self._wanted if isinstance(value, str))}

    def absent(self, runs: Sequence[Values]) -> Iterator[str]:
        """Say of each value that `==`, `!=` or `in` compares a key with, and that no run has, which ones there are."""
        for key, value in self._wanted:
            values = [run[key] for run in runs if key in run]
            named_like_a_key = isinstance(value, str) and any(value in run for run in runs)
            if values and not named_like_a_key and not any(equal(known, value) for known in values):
                reason = no_such("value", shown(value), f"the runs of '{key}'", set(map(shown, values)))
                yield f"{self._text}: {reason}"

    def _wrong(self, reason: str) -> UserError:
        return UserError(f"{self._text}: {reason}. Allowed: {_ALLOWED}, as in {_EXAMPLE!r}")

    def _read(self, node: ast.expr) -> _Part:
        match node:
            case ast.BoolOp(op, parts):
                conditions = [self._read(part) for part in parts]
                quantifier = all if isinstance(op, ast.And) else any
                return lambda values: quantifier(truth(condition(values)) for condition in conditions)
            case ast.UnaryOp(ast.Not(), operand):
                negated = self._read(operand)
                return lambda values: not truth(negated(values))
            case ast.Compare(left, ops, rights) if all(type(op) in COMPARABLE for op in ops):
                self._wanted += _wanted(left, ops, rights)
                operands = [self._value(left), *(self._value(right, may_be_text=True) for right in rights)]
                return lambda values: holds(ops, [operand(values) for operand in operands])
            case ast.Compare(_, ops, _) if any(isinstance(op, ast.Is | ast.IsNot) for op in ops):
                raise self._wrong("values are compared by == and !=")
        return self._value(node)

    def _check_fractions(self, body: ast.expr) -> None:
        """Raise UserError if an accuracy, or a sum with one, is compared with a number above 1: tables show percent."""
        for node in ast.walk(body):
            if isinstance(node, ast.Compare):
                parts = [part for side in (node.left, *node.comparators) for part in terms(side)]
                names = [name for part in parts if (name := dotted(part)) and name.endswith(_ACCURACY)]
                percent = [number for part in parts if (number := number_of(part)) is not None and abs(number) > 1]
                if names and percent:
                    fraction = f"{percent[0] / 100:.6g}"
                    raise UserError(
                        f"{self._text}: {names[0]} is a fraction: write {fraction} instead of {percent[0]:g}"
                    )

    def _value(self, node: ast.expr, may_be_text: bool = False) -> _Part:
        match node:
            case ast.Name() | ast.Attribute():
                return self._name(dotted(node), may_be_text)
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

    def _name(self, name: str | None, may_be_text: bool) -> _Part:
        if name is None:
            raise self._wrong("is not a condition")
        if name in _WORDS:
            return lambda _: _WORDS[name]
        if may_be_text and "." not in name:
            return lambda values: values.get(name, name)
        self.keys.append(name)
        return lambda values: values.get(name, NOTHING)

    def _computed(self, compute: Callable[[Any, Any], Any], left: ast.expr, right: ast.expr) -> _Part:
        operands = self._value(left), self._value(right)

        def result(values: Values) -> Any:
            numbers = [operand(values) for operand in operands]
            if NOTHING in numbers or None in numbers:
                return NOTHING
            if not all(isinstance(number, int | float) for number in numbers):
                wrong = next(number for number in numbers if not isinstance(number, int | float))
                raise TypeError(f"only numbers can be computed with, and {quoted(wrong)} is none")
            return compute(*numbers)

        return result


def _wanted(left: ast.expr, ops: Sequence[ast.cmpop], rights: Sequence[ast.expr]) -> Iterator[tuple[str, Any]]:
    """Find the key and the values of `norm == batch`, `norm != batch` and `norm in [batch, layer]`."""
    key, kinds = dotted(left), (ast.Eq, ast.NotEq, ast.In, ast.NotIn)
    if key is None or len(ops) > 1 or not isinstance(ops[0], kinds):
        return
    for item in items(rights[0]) if isinstance(ops[0], ast.In | ast.NotIn) else rights:
        match item:
            case ast.Constant(bool() | int() | float() | str() as constant):
                yield key, constant
            case ast.Name(name) if name not in _WORDS:
                yield key, name


def condition(text: str) -> Expression:
    """Parse an expression, or its short form KEY=VALUE.

    A VALUE is a number, true, false, null or a list in brackets; anything else is text. In `norm=batch and seed=0` each
    sign of equality means `==`.

    Raises:
        UserError: the text is neither.
    """
    _check_commas(text)
    short = re.fullmatch(r"\s*([\w.]+)\s*=\s*(?!=)(.*?)\s*", text)
    if short and not re.search(r"\s(and|or)(\s|$)", short[2]):
        return Expression(f"{short[1]} == {_literal(short[2])}", text)
    return Expression(re.sub(r"(?<![=<>!])=(?!=)", "==", text) if short else text, text)


def _check_commas(text: str) -> None:
    """Raise UserError for `norm=batch,layer` and `norm=batch,init=xavier`, as a sweep and a baseline are written."""
    several = re.fullmatch(r"\s*([\w.]+)\s*==?\s*([^\s,\[\]()\"'=]+(?:\s*,\s*[^\s,\[\]()\"']+)+)\s*", text)
    if not several:
        return
    parts = re.split(r"\s*,\s*", several[2])
    if "=" in several[2]:
        raise UserError(
            f"{text}: conditions are joined by and: '{' and '.join([f'{several[1]}={parts[0]}', *parts[1:]])}'"
        )
    raise UserError(f"{text}: several values are written '{several[1]} in [{', '.join(parts)}]'")


def _literal(value: str) -> str:
    if value in _WORDS or value.startswith("["):
        return value
    try:
        return repr(float(value)) if math.isfinite(float(value)) else repr(value)
    except ValueError:
        return repr(value)
