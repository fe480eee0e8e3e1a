"""Values of a config that mean what they say, as plain dicts: nothing in them is to be resolved or converted."""

from collections.abc import Iterable, Mapping
from typing import Any

from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import AnyNode, DictConfig, ListConfig, OmegaConf

_MISSING = "???"


def plain_values(config: DictConfig) -> dict[str, Any] | None:
    """Return the values of a config; None if one is missing, typed, or an interpolation."""
    return _container(config) if _is_untyped(config) else None


def _container(config: DictConfig) -> dict[str, Any] | None:
    values: Any = OmegaConf.to_container(config)
    return values if _is_plain(values) else None


def _is_untyped(node: Any) -> bool:
    """Whether a config takes any value in any place, as one from YAML does."""
    if isinstance(node, DictConfig | ListConfig):
        children = node._content
        if not isinstance(children, dict | list):  # null, missing or an interpolation
            return True
        return all(map(_is_untyped, children.values() if isinstance(children, dict) else children))
    return type(node) is AnyNode


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(_is_plain, value.values() if isinstance(value, dict) else value))
    if isinstance(value, str):
        return "${" not in value and value != _MISSING
    return value is None or type(value) in (bool, int, float)


def replaced(values: Mapping[str, Any], overrides: Iterable[Override]) -> dict[str, Any] | None:
    """Copy values with those of overrides in place; None if one does more than to replace a value by a plain one."""
    copied = dict(values)
    for override in overrides:
        if override.type != OverrideType.CHANGE or override.package is not None:
            return None
        value, (*parents, key) = override.value(), override.key_or_group.split(".")
        branch = _own_branch(copied, parents)
        if key not in branch or isinstance(branch[key], dict) or isinstance(value, dict) or not _is_plain(value):
            return None
        branch[key] = value
    return copied


def _own_branch(values: dict[str, Any], parents: Iterable[str]) -> dict[str, Any]:
    """Copy the dicts on the way to a key; return the last one, an empty one if the way ends before."""
    for parent in parents:
        if not isinstance(values.get(parent), dict):
            return {}
        values[parent] = dict(values[parent])
        values = values[parent]
    return values
