"""torch and the techniques: they take seconds to import, and something is shown meanwhile."""

import ctypes
import gc
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import Any

from regbench.console import meanwhile

# Parameters of glibc's `mallopt` (man 3 mallopt) and their values, in bytes. Larger pieces than the second are given
# back, or they would leave gaps: 4 cnns as one model took 70 % more memory.
_TRIM_THRESHOLD = -1, 2**31 - 1
_MMAP_THRESHOLD = -3, 2**25


def load_torch(shown: bool = True, values: Mapping[str, Any] | None = None) -> None:
    """Import what checks and trains runs, unless it is there.

    Args:
        shown: on a terminal, until it is there.
        values: of a config, not yet checked: with its progress, a line says so where there is no terminal.
    """
    if "torch" in sys.modules:
        return
    runtime = (values or {}).get("runtime")
    as_line = isinstance(runtime, Mapping) and runtime.get("progress") in ("auto", "plain")
    with meanwhile("loading torch", as_line) if shown else nullcontext(), _without_garbage():
        keep_freed_memory()
        import_module("regbench.experiment.train")


def keep_freed_memory() -> None:
    """Keep memory that is freed for the next training step, where the C library is glibc; elsewhere do nothing.

    glibc would give large pieces back to the kernel, which clears each page before it gives it again. In pairs of
    processes on 2 cores of an AMD Zen 3, the cnn's steps took 0.96 to 0.99 of the time with this.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(*_TRIM_THRESHOLD)
        library.mallopt(*_MMAP_THRESHOLD)


@contextmanager
def _without_garbage() -> Iterator[None]:
    """Look for no garbage in a block, nor later in what is there at its end: at torch each look takes 0.3 s."""
    gc.collect()  # what is garbage now would stay for ever
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
