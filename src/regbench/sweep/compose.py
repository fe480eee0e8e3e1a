"""The jobs of a sweep, composed as Hydra composes them, in a fraction of its time."""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository
from hydra._internal.defaults_list import create_defaults_list
from hydra.core.config_loader import ConfigLoader
from hydra.core.default_element import ResultDefault
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf, open_dict

from regbench.config.run_config import AXES, RunConfig
from regbench.experiment.checks import checked

OF_THE_JOB = re.compile(r"\$\{\s*hydra:")  # an interpolation that may differ from job to job


@dataclass(frozen=True)
class Frame:
    """What Hydra composed for some options of some axes, before values are set; other options are fitted in."""

    structure: tuple[str, ...]
    options: Mapping[str, str]
    composed: DictConfig
    entries: Sequence[ResultDefault]
    nodes: dict[tuple[str, str], DictConfig | None] = field(default_factory=dict)

    @cached_property
    def differs_by_job(self) -> bool:
        """Whether Hydra's own values are used in it."""
        return differs_by_job(self.composed)


class Files(CachingConfigRepository):
    """The YAML files that Hydra finds, each read once."""

    def load_config(self, config_path: str) -> ConfigResult | None:
        """What is in a file, if there is one: a copy, for merging changes it. Hydra's own are not merged here."""
        found = super().load_config(config_path)
        return found if is_hydra_s(config_path) else copy.deepcopy(found)


class Composer:
    """Composes job after job.

    Hydra reads YAML and works through the defaults list for each job anew, which is what takes its time. Here it does
    so once for the jobs that choose on the same axes, and reads files once for all of them; a job is put together from
    such a frame and its options, and its values are set by the function with which Hydra sets them. Where the parts
    depend on one another, Hydra composes the whole job.
    """

    def __init__(self, master: DictConfig, loader: ConfigLoader) -> None:
        """`master` is the config of the sweep, as Hydra composed it for the sweeper."""
        assert isinstance(loader, ConfigLoaderImpl), "the only one that Hydra has"
        self._master, self._loader = master, loader
        self._parser = OverridesParser.create(config_loader=loader)
        self._parse = cache(lambda word: self._parser.parse_overrides([word])[0])
        self._always: list[str] = list(OmegaConf.to_object(master.hydra.overrides.hydra))  # type: ignore[arg-type]
        self._name = master.hydra.job.config_name
        self._groups = set(loader.get_group_options("", ObjectType.GROUP, self._name, self._always))
        self._files = Files(loader.repository)
        loader._process_config_searchpath(self._name, self._parser.parse_overrides(self._always), self._files)
        self._frames: dict[tuple[tuple[str, ...], tuple[str, ...]], Frame] = {}

    def check(self, overrides: Sequence[str], number: int = 0) -> RunConfig:
        """The run that a job's overrides mean; raises what `compose` and `checked` raise."""
        return checked(self.compose(overrides, number))

    def compose(self, overrides: Sequence[str], number: int = 0) -> DictConfig:
        """The config of one job, without its hydra node; `number` is what `${hydra:job.num}` means in it.

        Raises:
            HydraException: what Hydra raises for overrides that it cannot follow.
        """
        parsed = [self._parse(word) for word in overrides]
        structure = tuple(str(override.input_line) for override in parsed if self._is_structure(override))
        options = {override.key_or_group: str(override.value()) for override in parsed if is_option(override)}
        frame = self._frame(structure, options)
        nodes = {axis: self._node(frame, axis, option) for axis, option in options.items()}
        if frame.differs_by_job or None in nodes.values() or any(map(differs_by_job, parsed)):
            return self._whole(overrides, number)
        composed = copy.deepcopy(frame.composed)
        for axis, node in nodes.items():
            if options[axis] != frame.options[axis]:
                composed[axis] = node
        values = [override for override in parsed if not is_option(override) and not self._is_structure(override)]
        ConfigLoaderImpl._apply_overrides_to_config(values, composed)
        return composed

    def _is_structure(self, override: Override) -> bool:
        """Whether it changes the defaults list, or Hydra itself: `+experiment=x`, `~norm`, `data@more=kmnist`."""
        if is_option(override):
            return False
        key = override.key_or_group
        group = "/" in key or key in self._groups
        return bool(override.package) or key.startswith("hydra") or (group and not isinstance(override.value(), dict))

    def _frame(self, structure: tuple[str, ...], options: Mapping[str, str]) -> Frame:
        """The frame for jobs of the same structure that choose on the same axes, made for the first of them."""
        key = structure, tuple(options)
        if key not in self._frames:
            words = words_of(structure, options)
            composed = without_hydra(self._loader.load_sweep_config(self._master, words))
            self._frames[key] = Frame(structure, options, composed, self._entries(words))
        return self._frames[key]

    def _node(self, frame: Frame, axis: str, option: str) -> DictConfig | None:
        """What an option puts into its axis's place; None if it does more than that."""
        if (axis, option) not in frame.nodes:
            first = option == frame.options[axis]
            words = words_of(frame.structure, {**frame.options, axis: option})
            entries = frame.entries if first else self._entries(words)
            node = None
            if independent(axis, option, entries, frame.entries):
                node = frame.composed[axis] if first else self._merged(entries)[axis]
            frame.nodes[axis, option] = None if node is None or differs_by_job(node) else node
        return frame.nodes[axis, option]

    def _entries(self, words: Sequence[str]) -> Sequence[ResultDefault]:
        """The defaults list: the files that Hydra merges, in their order."""
        overrides = self._parser.parse_overrides(self._always + list(words))
        return create_defaults_list(self._files, self._name, overrides, prepend_hydra=True, skip_missing=False).defaults

    def _merged(self, entries: Sequence[ResultDefault]) -> DictConfig:
        """What is in these files, without Hydra's own."""
        ours = [entry for entry in entries if not is_hydra_s(str(entry.config_path))]
        return self._loader._compose_config_from_defaults_list(ours, self._files)

    def _whole(self, overrides: Sequence[str], number: int) -> DictConfig:
        """The job as Hydra's basic launcher composes it."""
        composed = self._loader.load_sweep_config(self._master, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
        HydraConfig.instance().set_config(composed)  # where `${hydra:…}` looks when the values are resolved
        return without_hydra(composed)


def is_hydra_s(path: str) -> bool:
    """Whether a file configures Hydra itself."""
    return path.startswith("hydra/")


def words_of(structure: Sequence[str], options: Mapping[str, str]) -> list[str]:
    """The overrides that they are."""
    return [*structure, *(f"{axis}={option}" for axis, option in options.items())]


def is_option(override: Override) -> bool:
    """Whether it chooses one of the axes' options."""
    simple = override.type == OverrideType.CHANGE and override.package is None
    return simple and override.key_or_group in AXES and isinstance(override.value(), str)


def independent(axis: str, option: str, entries: Sequence[ResultDefault], others: Sequence[ResultDefault]) -> bool:
    """Whether of two defaults lists the first has its own entry for the axis and is otherwise the second."""
    mine = [entry for entry in entries if entry.package == axis]
    if [entry.config_path for entry in mine] != [f"{axis}/{option}"] or len(entries) != len(others):
        return False
    pairs = zip(entries, others, strict=True)
    return all(entry == other or entry.package == other.package == axis for entry, other in pairs)


def differs_by_job(part: DictConfig | Override) -> bool:
    """Whether Hydra's own values, which differ from job to job, are used in a config or in an override."""
    text = str(part.value()) if isinstance(part, Override) else OmegaConf.to_yaml(part)
    return OF_THE_JOB.search(text) is not None


def without_hydra(composed: DictConfig) -> DictConfig:
    """A copy without Hydra's own node, as a task sees it."""
    task = copy.deepcopy(composed)
    with open_dict(task):
        del task["hydra"]
    return task
