"""The fast way to compose: Hydra works through files and defaults lists once, not once for each job.

It leans on names inside Hydra that another version may not have: importing this module, or making `Frames`, raises
ImportError or AttributeError then.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from hydra._internal.config_repository import CachingConfigRepository
from hydra._internal.defaults_list import create_defaults_list
from hydra.core.config_loader import ConfigLoader
from hydra.core.default_element import ResultDefault
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf

from regbench.config.run_config import AXES
from regbench.sweep.job import without_hydra
from regbench.sweep.plain_values import plain_values, replaced

_HYDRA_VALUE = re.compile(r"\$\{\s*hydra:")  # an interpolation that may differ from job to job


@dataclass(frozen=True)
class _Word:
    """An override, and what it does: choose an option, change the defaults list or Hydra itself, or set a value."""

    override: Override
    axis: str | None  # of the option
    option: str
    structure: str | None


@dataclass(frozen=True)
class _Frame:
    """What Hydra composed for some options of some axes, before values are set; other options are fitted in."""

    structure: tuple[str, ...]
    options: Mapping[str, str]
    config: DictConfig
    defaults: Sequence[ResultDefault]
    nodes: dict[tuple[str, str], DictConfig | None] = field(default_factory=dict)
    templates: dict[tuple[str, ...], Mapping[str, Any] | None] = field(default_factory=dict)

    @cached_property
    def differs_by_job(self) -> bool:
        """Whether it uses values of Hydra itself."""
        return _differs_by_job(self.config)


class _Files(CachingConfigRepository):
    """The YAML files that Hydra finds, each read once."""

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Return a file's content, None without such a file: a copy, because merging changes it.

        Hydra's own files are not merged here.
        """
        content = super().load_config(config_path)
        return content if _is_hydras(config_path) else copy.deepcopy(content)


class Frames:
    """Composes jobs that choose on the same axes from one frame.

    A job is a copy of the frame with its own options in place; the function with which Hydra sets values sets them.
    Most jobs set plain values for keys that are there: `values` does so in plain dicts, which is 50 times as fast.
    """

    def __init__(self, master: DictConfig, loader: ConfigLoader) -> None:
        """`master` is the config of the sweep, as Hydra composed it for the sweeper.

        Raises:
            AttributeError: this Hydra lacks a name that is needed here.
        """
        inside: Any = loader
        self._apply, self._merge = inside._apply_overrides_to_config, inside._compose_config_from_defaults_list
        self._master, self._loader = master, loader
        self._parser = OverridesParser.create(config_loader=loader)
        self._read = cache(self._word)
        self._always: list[str] = list(OmegaConf.to_object(master.hydra.overrides.hydra))  # type: ignore[arg-type]
        self._name = master.hydra.job.config_name
        self._groups = set(loader.get_group_options("", ObjectType.GROUP, self._name, self._always))
        self._files = _Files(inside.repository)
        inside._process_config_searchpath(self._name, self._parser.parse_overrides(self._always), self._files)
        self._frames: dict[tuple[tuple[str, ...], tuple[str, ...]], _Frame] = {}

    def values(self, overrides: Sequence[str]) -> dict[str, Any] | None:
        """Return the values of one job; None unless they are plain and its overrides replace some that are there.

        Jobs share what their overrides do not replace.

        Raises:
            HydraException: Hydra cannot follow the overrides.
        """
        words = [self._read(word) for word in overrides]
        frame, options = self._frame_of(words)
        names = tuple(options.values())
        if names not in frame.templates:
            config = self._chosen(frame, options)
            frame.templates[names] = None if config is None else plain_values(config)
        template = frame.templates[names]
        return None if template is None else replaced(template, _settings(words))

    def compose(self, overrides: Sequence[str]) -> DictConfig | None:
        """Return the config of one job, without its hydra node; None where its parts depend on one another.

        Raises:
            HydraException: Hydra cannot follow the overrides.
        """
        words = [self._read(word) for word in overrides]
        frame, options = self._frame_of(words)
        if any(_differs_by_job(word.override) for word in words) or (config := self._chosen(frame, options)) is None:
            return None
        self._apply(_settings(words), config)
        return config

    def _word(self, text: str) -> _Word:
        override = self._parser.parse_overrides([text])[0]
        if _is_option(override):
            return _Word(override, override.key_or_group, str(override.value()), None)
        return _Word(override, None, "", str(override.input_line) if self._is_structure(override) else None)

    def _frame_of(self, words: Sequence[_Word]) -> tuple[_Frame, dict[str, str]]:
        """Return the frame of a job, and the options that its overrides choose, by axis."""
        structure = tuple(word.structure for word in words if word.structure is not None)
        options = {word.axis: word.option for word in words if word.axis is not None}
        return self._frame(structure, options), options

    def _chosen(self, frame: _Frame, options: Mapping[str, str]) -> DictConfig | None:
        """Copy the frame with these options in place; None where its parts depend on one another."""
        nodes = {axis: self._node(frame, axis, option) for axis, option in options.items()}
        if frame.differs_by_job or None in nodes.values():
            return None
        config = copy.deepcopy(frame.config)
        for axis, node in nodes.items():
            if options[axis] != frame.options[axis]:
                config[axis] = node
        return config

    def _is_structure(self, override: Override) -> bool:
        """Whether it changes the defaults list, or Hydra itself: `+experiment=x`, `~norm`, `data@more=kmnist`.

        Or else chooses an option.
        """
        key = override.key_or_group
        group = "/" in key or key in self._groups
        return bool(override.package) or key.startswith("hydra") or (group and not isinstance(override.value(), dict))

    def _frame(self, structure: tuple[str, ...], options: Mapping[str, str]) -> _Frame:
        """Return the frame for jobs of this structure that choose on these axes; the first such job makes it."""
        key = structure, tuple(options)
        if key not in self._frames:
            words = _words(structure, options)
            config = without_hydra(self._loader.load_sweep_config(self._master, words))
            self._frames[key] = _Frame(structure, options, config, self._defaults(words))
        return self._frames[key]

    def _node(self, frame: _Frame, axis: str, option: str) -> DictConfig | None:
        """Return what an option puts into its axis's place; None if it does more than that."""
        if (axis, option) not in frame.nodes:
            first = option == frame.options[axis]
            words = _words(frame.structure, {**frame.options, axis: option})
            defaults = frame.defaults if first else self._defaults(words)
            node = None
            if _differ_only_in(axis, option, defaults, frame.defaults):
                node = frame.config[axis] if first else self._merged(defaults)[axis]
            frame.nodes[axis, option] = None if node is None or _differs_by_job(node) else node
        return frame.nodes[axis, option]

    def _defaults(self, words: Sequence[str]) -> Sequence[ResultDefault]:
        """List the files that Hydra merges, in their order."""
        overrides = self._parser.parse_overrides(self._always + list(words))
        return create_defaults_list(self._files, self._name, overrides, prepend_hydra=True, skip_missing=False).defaults

    def _merged(self, defaults: Sequence[ResultDefault]) -> DictConfig:
        """Merge the files, except Hydra's own."""
        ours = [default for default in defaults if not _is_hydras(str(default.config_path))]
        merged: DictConfig = self._merge(ours, self._files)
        return merged


def _is_hydras(path: str) -> bool:
    """Whether a file configures Hydra itself."""
    return path.startswith("hydra/")


def _words(structure: Sequence[str], options: Mapping[str, str]) -> list[str]:
    """Write both as overrides."""
    return [*structure, *(f"{axis}={option}" for axis, option in options.items())]


def _settings(words: Sequence[_Word]) -> list[Override]:
    """Return the overrides that set values."""
    return [word.override for word in words if word.axis is None and word.structure is None]


def _is_option(override: Override) -> bool:
    """Whether it chooses one of an axis's options."""
    simple = override.type == OverrideType.CHANGE and override.package is None
    return simple and override.key_or_group in AXES and isinstance(override.value(), str)


def _differ_only_in(axis: str, option: str, defaults: Sequence[ResultDefault], others: Sequence[ResultDefault]) -> bool:
    """Whether the first of two defaults lists has the option's file for the axis, and is the second in all else."""
    for_axis = [default.config_path for default in defaults if default.package == axis]
    if for_axis != [f"{axis}/{option}"] or len(defaults) != len(others):
        return False
    pairs = zip(defaults, others, strict=True)
    return all(default == other or default.package == other.package == axis for default, other in pairs)


def _differs_by_job(part: DictConfig | Override) -> bool:
    """Whether a config or an override uses values of Hydra itself, which differ from job to job."""
    text = str(part.value()) if isinstance(part, Override) else OmegaConf.to_yaml(part)
    return _HYDRA_VALUE.search(text) is not None
