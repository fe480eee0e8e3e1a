"""What goes wrong while a run trains: exceptions as text, and the warnings of libraries."""

import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Failure:
    """An exception as text: the exception itself would keep the memory of all that was computed."""

    line: str
    traceback: str

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        """Describe an exception in one line, and in full."""
        line = _plainly(error) or f"{type(error).__name__}: {error}".splitlines()[0]
        return cls(line, "".join(traceback.format_exception(error)))


def _plainly(error: Exception) -> str | None:
    """Write `No space left on device (model.safetensors)` for an error of the system; None for any other."""
    if not (isinstance(error, OSError) and error.strerror):
        return None
    name = f" ({Path(error.filename).name})" if isinstance(error.filename, str) else ""
    return error.strerror + name


@contextmanager
def diverted_warnings(note: Callable[[str], None]) -> Iterator[None]:
    """Hand each warning of a library to `note`, once, in the place of the screen."""
    seen: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        text = f"warning: {' '.join(str(message).split())}"
        if text not in seen:
            seen.add(text)
            note(text)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
