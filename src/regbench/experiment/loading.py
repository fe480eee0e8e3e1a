"""torch and the techniques: they take seconds to import, and something is shown meanwhile."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module

from regbench.console import meanwhile


def load_torch(progress: object = None) -> None:
    """Import what checks and trains runs, unless it is there.

    `progress` is `runtime.progress`, maybe not yet checked; None shows nothing.
    """
    if "torch" in sys.modules:
        return
    shown = meanwhile("loading torch", as_line=progress in ("auto", "plain")) if progress else nullcontext()
    with shown, _without_garbage():
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
