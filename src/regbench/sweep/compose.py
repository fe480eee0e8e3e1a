"""The jobs of a sweep, composed as Hydra composes them, in a fraction of its time."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf, open_dict

from regbench.experiment.resolving import Composed
from regbench.sweep.job import Job, without_hydra

if TYPE_CHECKING:
    from regbench.sweep.frames import Frames


class Composer:
    """Composes job after job.

    Hydra reads YAML and works through the defaults list for each job anew, which is what takes its time. `Frames` does
    so once for many jobs. Hydra composes the whole job where the parts of a config depend on one another, and every
    job if it lacks a name that `Frames` needs.
    """

    def __init__(self, master: DictConfig, loader: ConfigLoader) -> None:
        """`master` is the config of the sweep, as Hydra composed it for the sweeper."""
        self._master, self._loader = master, loader
        self._frames = _frames(master, loader)

    def jobs(self, overrides: Iterable[Sequence[str]], first: int = 0) -> Iterator[Job]:
        """Compose one job after another, each when it is asked for; `first` is the number of the first.

        A job that cannot be composed has the reason with it, and raises it when it is checked.

        Raises:
            HydraException: Hydra does not know an option.
        """
        return (self._job(words, number) for number, words in enumerate(overrides, first))

    def _job(self, words: Sequence[str], number: int) -> Job:
        try:
            return Job(words, self.compose(words, number))
        except ConfigCompositionException as error:
            return Job(words, self._forced(words, number), error)

    def _forced(self, words: Sequence[str], number: int) -> DictConfig:
        """Compose a job, and set its values where there is no such key too: conditions may ask for them."""
        parsed = OverridesParser.create(config_loader=self._loader).parse_overrides(list(words))
        values = [override for override in parsed if "." in override.key_or_group and not override.is_delete()]
        chosen = [str(override.input_line) for override in parsed if override not in values]
        composed = self._config(chosen, number)
        for override in values:
            OmegaConf.update(composed, override.key_or_group, override.value(), force_add=True)
        return composed

    def compose(self, overrides: Sequence[str], number: int = 0) -> Composed:
        """Return the config of one job, without its hydra node; `number` is what `${hydra:job.num}` means in it.

        Raises:
            HydraException: Hydra cannot follow the overrides.
        """
        values = self._frames.values(overrides) if self._frames else None
        return self._config(overrides, number) if values is None else values

    def _config(self, overrides: Sequence[str], number: int) -> DictConfig:
        composed = self._frames.compose(overrides) if self._frames else None
        return self._whole(overrides, number) if composed is None else composed

    def _whole(self, overrides: Sequence[str], number: int) -> DictConfig:
        """Compose a job as Hydra's basic launcher does."""
        composed = self._loader.load_sweep_config(self._master, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
        HydraConfig.instance().set_config(composed)  # where `${hydra:…}` looks when the values are resolved
        return without_hydra(composed)


def _frames(master: DictConfig, loader: ConfigLoader) -> "Frames | None":
    """Return the fast way, None if this version of Hydra lacks a name inside it that the fast way needs."""
    try:
        from regbench.sweep.frames import Frames

        return Frames(master, loader)
    except (ImportError, AttributeError):
        return None
