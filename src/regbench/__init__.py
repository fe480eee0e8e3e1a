"""regbench: which training technique helps, by how much, and is the difference real?

In Python: `train`, `sweep`, `load`, `curves`, `compare`, `load_model`, and `UserError` for mistakes. Nothing is
imported before one of them is asked for.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regbench.api import compare, curves, load, load_model, train
    from regbench.errors import UserError

__all__ = ["UserError", "compare", "curves", "load", "load_model", "sweep", "train"]


class _Sweep(ModuleType):
    """The package `regbench.sweep`, which can be called: its name is also that of a function."""

    def __call__(self, *words: str, **values: Any) -> Any:
        from regbench import api

        return api.sweep(*words, **values)


class _Regbench(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        if name == "sweep" and isinstance(value, ModuleType):  # Python has imported the package
            value.__class__ = _Sweep
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Regbench


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'regbench' has no attribute '{name}'")
    if name == "sweep":
        from importlib import import_module

        return import_module("regbench.sweep")
    if name == "UserError":
        from regbench.errors import UserError

        return UserError
    from regbench import api

    return getattr(api, name)
