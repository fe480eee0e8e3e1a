"""torch and the techniques: they take seconds to import, and something is shown meanwhile."""

import sys
from importlib import import_module

from regbench.console import meanwhile


def load_torch(progress: object) -> None:
    """Import what checks and trains runs, unless it is there; `progress` is `runtime.progress`, not yet checked."""
    if "torch" not in sys.modules:
        with meanwhile("loading torch", as_line=progress in ("auto", "plain")):
            import_module("regbench.experiment.train")
