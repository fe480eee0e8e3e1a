"""A function of tensors on a CPU as the operations of torch that one call of it carries out, to be repeated.

Two other recorders give the same bits (default mlp, one thread, 2 cores of an AMD Zen 3; here a recording takes 23 ms).
`make_fx` with folded views takes 540 ms to record and 0.1 ms (4 %) longer for a step. A `torch.fx.Graph` of the same
operations takes 42 ms to record, as long for a step, and never frees the source text of a recording (10 kB).
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from regbench.training.replay_program import Operation, Step, fold, getter, program

Replay = Callable[..., Sequence[Tensor]]
_Place = tuple[int, torch.Size, tuple[int, ...], int]  # memory of a tensor, size, stride, offset

_OF_SHAPE = {torch.ops.aten.zeros_like.default, torch.ops.aten.ones_like.default, torch.ops.aten.full_like.default}


class _Recording(TorchDispatchMode):
    """Writes down what torch carries out, below autograd and `torch.func`, where each operation is a plain one.

    Each input, each value from outside and each result has a slot. Views are not taken one after another, but once,
    by their place in the memory that an input or a step brings; views of tensors from outside exist already.
    """

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.values: list[Any] = []  # what each slot holds from the beginning; None if an input or a step fills it
        self.steps: list[Step] = []
        self._slots: dict[_Place, int] = {}
        self._bases: dict[int, tuple[int, torch.dtype]] = {}  # of memory: the first slot with a tensor in it
        self._results: list[Any] = []  # kept so that no two tensors have the same memory one after the other
        self._written: set[int] = set()  # memory that an operation changes in place
        self._inputs = len(inputs)
        for tensor in inputs:
            self._define(tensor, self._new(None))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Tell torch not to import its compiler only to hide this class from it: 2.5 s of CPU time."""
        return False

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Carry out an operation.

        Raises:
            RuntimeError: It returns something else than tensors, such as a number, which may differ in the next call.
        """
        result = operation(*args, **(kwargs or {}))
        if operation.namespace != "profiler":
            self._add(operation, args, kwargs or {}, result)
        return result

    def _add(self, operation: Any, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> None:
        """Add an operation unless it only takes a view."""
        results = result if isinstance(result, list | tuple) else [result]
        if not all(isinstance(tensor, Tensor | None) for tensor in results):
            raise RuntimeError(f"{operation} does not return a tensor")
        self._results.append(result)
        known = {_memory(tensor) for tensor in _tensors([*args, *kwargs.values()])}
        fresh = [i for i, tensor in enumerate(results) if tensor is not None and _memory(tensor) not in known]
        acts = operation._schema.is_mutable
        if not acts and not fresh:
            return
        if acts:
            self._written |= known
        by_shape, draws = operation in _OF_SHAPE, torch.Tag.nondeterministic_seeded in operation.tags
        if self._depends(kwargs.values()):
            operation, args = partial(_call, operation, tuple(kwargs)), [*args, *kwargs.values()]
        elif kwargs:
            operation = partial(operation, **kwargs)
        slot = self._step(operation, [*map(self.slot, args)], acts, by_shape, None if acts or draws else result)
        for i in fresh:
            self._define(results[i], slot if isinstance(result, Tensor) else self._step(itemgetter(i), [slot]))

    def slot(self, value: Any) -> int:
        """The slot that holds a value, with a new step if the value has to be made from other slots."""
        if isinstance(value, Tensor) and _memory(value) in self._bases:
            return self._view(value)
        if isinstance(value, list | tuple) and self._depends(value):
            return self._step(lambda *items: [*items], [*map(self.slot, value)])
        return self._new(value)

    def _depends(self, values: Iterable[Any]) -> bool:
        """Whether any of the values is or contains a tensor that an input or a step brings."""
        return any(_memory(tensor) in self._bases for tensor in _tensors(values))

    def _view(self, tensor: Tensor) -> int:
        (base, dtype), place = self._bases[_memory(tensor)], _place(tensor)
        if dtype != tensor.dtype:
            raise RuntimeError(f"a view of {dtype} as {tensor.dtype}")
        if place not in self._slots:
            reads = [base, *map(self._new, place[1:])]
            self._slots[place] = self._step(torch.as_strided, reads, result=tensor)
        return self._slots[place]

    def _define(self, tensor: Tensor, slot: int) -> None:
        """Note that a slot holds a tensor with new memory."""
        self._slots[_place(tensor)] = slot
        self._bases[_memory(tensor)] = slot, tensor.dtype

    def _step(
        self, operation: Operation, reads: Sequence[int], acts: bool = False, by_shape: bool = False, result: Any = None
    ) -> int:
        """Add a step; the slot of its result."""
        slot = self._new(None)
        self.steps.append(Step(operation, reads, slot, acts, by_shape, result if isinstance(result, Tensor) else None))
        return slot

    def steps_that_vary(self) -> list[Step]:
        """The steps, without those that give the same in each call: their results become values."""
        outside = [slot for slot, value in enumerate(self.values) if _tensors([value])]
        steps = [step._replace(result=None) if self._is_written(step.result) else step for step in self.steps]
        return fold(steps, self.values, [*range(self._inputs), *outside])

    def _is_written(self, result: Tensor | None) -> bool:
        return result is not None and _memory(result) in self._written

    def _new(self, value: Any) -> int:
        self.values.append(value)
        return len(self.values) - 1


def record(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]) -> tuple[Replay, Sequence[Tensor]]:
    """Call a function and write down what it does; return a function that repeats this, and the outputs of the call.

    The replay carries out the same operations on the same tensors, except for the inputs, which have the same shapes,
    and what is made from them. Branches that Python took and numbers that it computed stay as they were. Nobody may
    write to what the replay returns: it may return the same tensor again.

    Raises:
        RuntimeError: Something in the function cannot be repeated.
    """
    copies = [_copy(tensor) for tensor in inputs]
    with _Recording(copies) as recording:
        outputs = [*function(*copies)]
    places = [recording.slot(tensor) for tensor in outputs]
    instructions, results = program(recording.steps_that_vary(), places), getter(places)
    values = recording.values[len(copies) :]

    @torch.no_grad()
    def replay(*given: Tensor) -> Sequence[Tensor]:
        slots = [*map(_plain, given), *values]
        for operation, arguments, slot, spent in instructions:
            slots[slot] = operation(*arguments(slots))
            for free in spent:
                slots[free] = None
        return results(slots)

    return replay, outputs


def _call(operation: Operation, names: Sequence[str], *values: Any) -> Any:
    """Call an operation; the last values belong to the names of keywords."""
    positional = len(values) - len(names)
    return operation(*values[:positional], **dict(zip(names, values[positional:], strict=True)))


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    """All tensors among the values and in lists of them."""
    nested = [_tensors(value) if isinstance(value, list | tuple) else [value] for value in values]
    return [value for some in nested for value in some if isinstance(value, Tensor)]


def _plain(tensor: Tensor) -> Tensor:
    """The tensor with its elements in a row from the start of its memory."""
    return tensor if tensor.is_contiguous() and tensor.storage_offset() == 0 else _copy(tensor)


def _copy(tensor: Tensor) -> Tensor:
    return tensor.clone(memory_format=torch.contiguous_format)


def _memory(tensor: Tensor) -> int:
    memory: int = tensor.untyped_storage()._cdata
    return memory


def _place(tensor: Tensor) -> _Place:
    return _memory(tensor), tensor.size(), tensor.stride(), int(tensor.storage_offset())
