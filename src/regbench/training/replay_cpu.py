"""A function of tensors on a CPU as the operations of torch that a call of it came down to, to be run again."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Replay = Callable[..., Sequence[Tensor]]


class Call(NamedTuple):
    """An operation that was carried out."""

    operation: Any  # a torch._ops.OpOverload
    args: Sequence[Any]
    kwargs: dict[str, Any]
    result: Tensor | Sequence[Tensor | None] | None


class Line(NamedTuple):
    """A line of the program."""

    text: str
    makes: set[str]  # names that it gives to tensors
    uses: set[str]
    acts: bool  # on tensors that there are, so that it is needed even if what it makes is not


class Place(NamedTuple):
    """Where in memory a tensor's elements are."""

    memory: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int


class Listener(TorchDispatchMode):
    """Writes down what torch carries out, below autograd and `torch.func`, where each operation is a plain one."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Call] = []

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Carry out an operation.

        Raises:
            RuntimeError: it gives no tensor, but a number, say, that it reads out of one: next time it may be another.
        """
        result = operation(*args, **(kwargs or {}))
        if operation.namespace == "profiler":
            return result
        if not all(isinstance(each, Tensor | None) for each in _listed(result)):
            raise RuntimeError(f"{operation} gives what is no tensor")
        self.calls.append(Call(operation, args, kwargs or {}, result))
        return result


def record(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]) -> tuple[Replay, Sequence[Tensor]]:
    """Call a function and write down what it does: what does so again with inputs of the same shapes, and the outputs.

    The same operations are repeated on the same tensors, but for the inputs and what is made from them. Branches that
    Python took, and numbers that it computed, stay as they were.

    Raises:
        RuntimeError: something in it cannot be repeated.
    """
    own = [_copy(tensor) for tensor in inputs]
    with Listener() as listener:
        outputs = [*function(*own)]
    program = Program(own)
    for call in listener.calls:  # which keeps all tensors, so that no two of them have had the same memory
        program.add(call)
    run = program.compiled(outputs)

    @torch.no_grad()
    def replay(*given: Tensor) -> Sequence[Tensor]:
        return run(*map(_plain, given))

    return replay, outputs


def _plain(tensor: Tensor) -> Tensor:
    """The tensor with its elements in a row from the start of its memory."""
    return tensor if tensor.is_contiguous() and tensor.storage_offset() == 0 else _copy(tensor)


def _copy(tensor: Tensor) -> Tensor:
    return tensor.clone(memory_format=torch.contiguous_format)


class Program:
    """Straight Python: a line for each operation that makes or changes something.

    Views are not taken step by step, but once, by their place in the memory that they look at; those of tensors from
    outside are there already.
    """

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        self._lines: list[Line] = []
        self._constants: dict[str, Any] = {"view": torch.as_strided}
        self._made: dict[int, tuple[str, torch.dtype]] = {}  # memory that the program makes: a first tensor in it
        self._names: dict[Place, str] = {}
        self._numbers = count()
        self._parameters = [self._new(tensor) for tensor in inputs]

    def add(self, call: Call) -> None:
        """Have the program carry out an operation as well, unless it only looks at what there is."""
        known = {_memory(tensor) for tensor in _tensors((call.args, call.kwargs))}
        results = _listed(call.result)
        fresh = [tensor is not None and _memory(tensor) not in known for tensor in results]
        acts = call.operation._schema.is_mutable
        if not acts and not any(fresh):
            return
        words = [self._word(value) for value in call.args]
        words += [f"{key}={self._word(value)}" for key, value in call.kwargs.items()]
        uses = self._used((call.args, call.kwargs))
        text = f"{self._constant(call.operation)}({', '.join(words)})"
        names = [self._new(tensor) if new else "_" for tensor, new in zip(results, fresh, strict=True)]
        if any(fresh):
            text = f"{names[0] if isinstance(call.result, Tensor) else ''.join(f'{name}, ' for name in names)} = {text}"
        self._lines.append(Line(text, {*names} - {"_"}, uses, acts))

    def _new(self, tensor: Tensor) -> str:
        """A name for a tensor that has memory of its own."""
        name = self._names[_place(tensor)] = f"t{next(self._numbers)}"
        self._made[_memory(tensor)] = name, tensor.dtype
        return name

    def _used(self, values: Any) -> set[str]:
        """The names of tensors of the program's own."""
        return {self._tensor(tensor) for tensor in _tensors(values) if _memory(tensor) in self._made}

    def _word(self, value: Any) -> str:
        """A value as it is written in the program."""
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(self._word, value))}]"
        return repr(value) if value is None or type(value) in (bool, int) else self._constant(value)

    def _tensor(self, tensor: Tensor) -> str:
        """The name of a tensor, with a line that makes it if it is a view which the program has not had yet."""
        if _memory(tensor) not in self._made:
            return self._constant(tensor)
        (base, dtype), place = self._made[_memory(tensor)], _place(tensor)
        if dtype != tensor.dtype:
            raise RuntimeError(f"a view of {dtype} as {tensor.dtype}")
        if place not in self._names:
            name = self._names[place] = f"t{next(self._numbers)}"
            text = f"{name} = view({base}, {place.size}, {place.stride}, {place.offset})"
            self._lines.append(Line(text, {name}, {base}, False))
        return self._names[place]

    def _constant(self, value: Any) -> str:
        name = f"c{len(self._constants)}"
        self._constants[name] = value
        return name

    def compiled(self, outputs: Sequence[Tensor]) -> Replay:
        """The program as a function of the inputs, without lines that nothing needs; tensors go when they are spent."""
        result = f"return {self._word(outputs)}"
        live = self._used(outputs)
        body: list[str] = []
        for line in reversed(self._lines):
            if not line.acts and not line.makes & live:
                continue
            spent = (line.uses | line.makes) - live - {*self._parameters}
            body += [f"del {', '.join(sorted(spent))}"] if spent else []
            body.append(line.text)
            live |= line.uses
        source = "\n    ".join([f"def run({', '.join(self._parameters)}):", *reversed(body), result])
        exec(compile(source, "<tape>", "exec"), self._constants)  # names and numbers of our own making
        run: Replay = self._constants["run"]
        return run


def _listed(result: Any) -> Sequence[Any]:
    return result if isinstance(result, list | tuple) else [result]


def _memory(tensor: Tensor) -> int:
    memory: int = tensor.untyped_storage()._cdata
    return memory


def _place(tensor: Tensor) -> Place:
    return Place(_memory(tensor), tuple(tensor.size()), tensor.stride(), int(tensor.storage_offset()))


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _tensors(each)
