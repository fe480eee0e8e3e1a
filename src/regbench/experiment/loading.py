"""torch and the techniques: they take seconds to import, and something is shown meanwhile."""

import gc
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import Any

from regbench.console import meanwhile


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
        import_module("regbench.experiment.train")


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
