"""What is left to do of the recorded steps of a function: a program for the next calls."""

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from torch import Tensor

Operation = Callable[..., Any]
_Getter = Callable[[Sequence[Any]], Sequence[Any]]
_Instruction = tuple[Operation, _Getter, int, Iterable[int]]  # what gets the arguments; slots: of the result, to free


class Step(NamedTuple):
    """Calls an operation with the values of some slots and puts its result into another slot."""

    operation: Operation
    reads: Sequence[int]
    writes: int
    acts: bool = False  # changes a tensor in place, so that it is needed even if nothing reads its result
    by_shape: bool = False  # the numbers in the tensors that it reads do not matter
    result: Tensor | None = None  # of the recorded call: one tensor that nothing changes and no chance makes


def fold(steps: Sequence[Step], values: list[Any], variable: Iterable[int]) -> list[Step]:
    """Put results that are the same in each call among the values; return the steps that are left.

    Such as the gradient of 1 that a backward pass begins with. Only what is made of shapes and numbers counts: weights,
    and what else comes from outside, may change between calls.

    Args:
        steps: in their order.
        values: what each slot holds from the beginning.
        variable: slots that an input fills, or that hold tensors from outside.
    """
    varies, folded = {*variable, *(step.writes for step in steps)}, set[int]()
    for step in steps:
        reads = {*step.reads}
        if step.result is not None and (step.by_shape or (reads & folded and not reads & varies)):
            values[step.writes] = step.result
            folded.add(step.writes)
            varies.discard(step.writes)
    return [step for step in steps if step.writes not in folded]


def program(steps: Sequence[Step], outputs: Sequence[int]) -> Sequence[_Instruction]:
    """The steps that change a tensor or that the outputs need."""
    made, live, instructions = {step.writes for step in steps}, {*outputs}, []
    for step in reversed(steps):
        if step.acts or step.writes in live:
            spent = ({*step.reads, step.writes} & made) - live
            instructions.append((step.operation, getter(step.reads), step.writes, tuple(spent)))
            live |= {*step.reads}
    return instructions[::-1]


def getter(slots: Sequence[int]) -> _Getter:
    """A function that gets the values of these slots."""
    first = slots[0] if slots else 0
    return itemgetter(*slots) if len(slots) > 1 else itemgetter(slice(first, first + len(slots)))
