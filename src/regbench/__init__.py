"""regbench: which training technique helps, by how much, and is the difference real?

In Python: `load`, `curves` and `compare`. Nothing is imported before one of them is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regbench.api import compare, curves, load

__all__ = ["compare", "curves", "load"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'regbench' has no attribute '{name}'")
    from regbench import api

    return getattr(api, name)
