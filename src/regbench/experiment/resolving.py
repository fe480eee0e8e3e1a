"""The values of a composed config, with those of the environment in paths only."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers.oc import env

from regbench.errors import UserError

_PATHS = ("runtime.dir", "runtime.cache", "data.path")  # the values that may hold a variable of the environment
Composed = DictConfig | dict[str, Any]  # a dict: plain values, among which nothing is left to resolve
_HIDDEN = "(a path from the environment)"


def resolved(composed: Composed, complete: bool = True) -> dict[str, Any]:
    """Return the values of a config; those of the environment stand in paths only, and are copied nowhere else.

    Raises:
        UserError: another value reads the environment.
        OmegaConfBaseException: an interpolation leads nowhere; a value is missing, if it must be `complete`.
    """
    if isinstance(composed, dict):
        return composed
    reads: list[str] = []
    with suppress(_EnvironmentError), _hidden_environment(reads):
        return _container(composed, complete)
    paths = {key: path for key in _PATHS if isinstance(path := OmegaConf.select(composed, key), str)}
    rest = copy.deepcopy(composed)
    for key in paths:
        OmegaConf.update(rest, key, _HIDDEN)
    try:
        with _hidden_environment(reads):
            values = _container(rest, complete)
    except _EnvironmentError as error:
        raise UserError(f"{error}: reads the environment, which only paths may: {', '.join(_PATHS)}") from None
    for key, path in paths.items():
        axis, _, leaf = key.partition(".")
        values[axis][leaf] = path
    return values


class _EnvironmentError(Exception):
    """A value reads the environment; the text is its key."""


@contextmanager
def _hidden_environment(reads: list[str]) -> Iterator[None]:
    """Refuse `${oc.env:…}` in the block.

    Raises:
        _EnvironmentError: the block has used it.
    """

    def refuse(name: str, *_: Any) -> NoReturn:
        reads.append(name)
        raise LookupError(name)

    OmegaConf.register_new_resolver("oc.env", refuse, replace=True)
    try:
        yield
    except OmegaConfBaseException as error:
        if not reads:
            raise
        raise _EnvironmentError(error.full_key) from None
    finally:
        OmegaConf.register_new_resolver("oc.env", env, replace=True)


def _container(composed: DictConfig, complete: bool) -> dict[str, Any]:
    values: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=complete)
    return cast(dict[str, Any], values)
