"""What a YAML file writes under hydra.sweeper, in the words of a command line."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from regbench.config.vocabulary import GROUPS
from regbench.errors import UserError
from regbench.text import shown


def overrides(params: Mapping[str, Any]) -> dict[str, str]:
    """Write each value as the command line does: the list `[none, batch]` is `none,batch`, several values.

    Raises:
        UserError: an axis has the text of a list, which would merge its options.
    """
    return {key: _override(str(key), value) for key, value in params.items()}


def _override(key: str, value: Any) -> str:
    text = ",".join(map(shown, value)) if _is_list(value) else value if isinstance(value, str) else shown(value)
    if key.lstrip("+") in GROUPS and text.startswith("["):
        raise UserError(f"hydra.sweeper.params: {key}: {text}: several options have no quotes, or no brackets")
    return text


def groups(zipped: Any) -> list[list[str]]:
    """Return groups of keys in step: a list of names is one group.

    Raises:
        UserError: it is no list of names, nor of such lists.
    """
    if _is_names(zipped):
        return [list(zipped)] if zipped else []
    if _is_list(zipped) and all(map(_is_names, zipped)):
        return [list(group) for group in zipped]
    raise UserError(f"hydra.sweeper.zip={shown(zipped)}: must be lists of keys, as in [[norm, init]]")


def grids(union: Any) -> list[list[str]]:
    """Return the overrides of each grid of a union: a mapping of its values, or a list of its overrides.

    Raises:
        UserError: it is no list of these.
    """
    if _is_list(union) and all(grid and (isinstance(grid, Mapping) or _is_names(grid)) for grid in union):
        return [_words(grid) for grid in union]
    example = "[{optimizer: sgd, optimizer.lr: [0.1, 0.5]}, {optimizer: adam}]"
    raise UserError(f"hydra.sweeper.union={shown(union)}: must be a list of grids, as in {example}")


def _words(grid: Mapping[str, Any] | Sequence[str]) -> list[str]:
    if isinstance(grid, Mapping):
        return [f"{key}={text}" for key, text in overrides(grid).items()]
    if word := next((word for word in grid if "=" not in word), None):
        raise UserError(f"hydra.sweeper.union: {word}: values are written KEY=VALUE")
    return list(grid)


def conditions(where: Any) -> list[str]:
    """Return conditions: text is one of them.

    Raises:
        UserError: one is not text.
    """
    if isinstance(where, str):
        return [where]
    if _is_names(where):
        return list(where)
    raise UserError(f"hydra.sweeper.where={shown(where)}: must be conditions, as in ['norm != none']")


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_names(value: Any) -> TypeGuard[Sequence[str]]:
    return _is_list(value) and all(isinstance(name, str) for name in value)
