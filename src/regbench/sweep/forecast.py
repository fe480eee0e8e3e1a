"""What a sweep will take, before it begins: time and space."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from regbench.config.location import cache_dir, user_path
from regbench.config.run_config import RunConfig
from regbench.data.datasets import is_here
from regbench.experiment.run import Run
from regbench.models.architectures import skeleton, weight_count
from regbench.sweep.known_times import KnownTimes
from regbench.sweep.speed import TESTS, images, timed, work
from regbench.training.stacking import Group

_SECONDS = 2.0  # for timed steps, all shapes together
_LEAST = 0.05  # seconds of steps, of one shape
_FILES, _ROW, _LAYER = 12_000, 220, 200  # bytes: of small files, of an epoch in metrics.csv, of a layer in layers.csv


@dataclass(frozen=True)
class _Shape:
    """The groups of one shape; `configs` are those of the first group."""

    groups: Sequence[Group]
    configs: Sequence[RunConfig]

    @property
    def images(self) -> float:
        """The images of all runs, in all epochs and in the tests."""
        config, runs = self.configs[0], sum(len(group.places) for group in self.groups)
        return runs * (config.epochs * images(config) + TESTS)

    @property
    def work_of_image(self) -> float:
        """The work of an image, to compare shapes."""
        return work(self.configs[0]) / images(self.configs[0])


@dataclass(frozen=True)
class Forecast:
    """What runs will take: seconds in one process on this machine (0: not known) and their source, bytes, downloads."""

    seconds: float
    source: str
    bytes: float
    missing: Sequence[str]

    def lines(self) -> Iterator[str]:
        """Say it in words."""
        known = f"{_duration(self.seconds)} in one process on this machine ({self.source})"
        yield f"Time: {known if self.seconds else 'not known, as no step ends'}."
        yield f"Disk: {_size(self.bytes)}."
        yield from (f"{name}: not downloaded yet" for name in self.missing)


def forecast(pending: Sequence[Run], groups: Sequence[Group]) -> Forecast:
    """Estimate what the runs will take."""
    seconds, source = _time([run.config for run in pending], groups)
    missing = dict.fromkeys(run.config.data.name for run in pending if not _is_here(run.config))
    return Forecast(seconds, source, sum(_bytes(run.config) for run in pending), list(missing))


def _is_here(config: RunConfig) -> bool:
    return is_here(config.data.name, cache_dir(config.runtime.cache))


def _time(configs: Sequence[RunConfig], groups: Sequence[Group]) -> tuple[float, str]:
    """Return the seconds that all runs take, and where the number comes from."""
    shapes = _shapes(configs, groups)
    runtime = configs[0].runtime
    known = KnownTimes(user_path("runtime.dir", runtime.dir), groups)
    speeds: dict[int, float] = {}  # seconds of an image, by the number of the shape
    for number, shape in enumerate(shapes):
        if seconds := known.seconds(shape.groups[0]):
            speeds[number] = seconds / images(shape.configs[0])
    unknown = {number: shape for number, shape in enumerate(shapes) if number not in speeds}
    sources = ["as runs like these took"] * bool(speeds)
    measured = _measured(unknown)
    which = "each shape" if len(measured) == len(shapes) else f"{len(measured)} of {len(shapes)} shapes"
    sources += [f"from a few timed steps of {which}"] * bool(unknown)
    speeds |= measured
    pace = sum(speeds.values()) / max(sum(shapes[number].work_of_image for number in speeds), 1)
    total = sum(shape.images * speeds.get(number, pace * shape.work_of_image) for number, shape in enumerate(shapes))
    return total, ", ".join(sources)


def _shapes(configs: Sequence[RunConfig], groups: Sequence[Group]) -> list[_Shape]:
    alike: dict[tuple[str, bool], list[Group]] = {}
    for group in groups:
        alike.setdefault((str(group.shape), len(group.places) > 1), []).append(group)
    return [_Shape(same, [configs[place] for place in same[0].places]) for same in alike.values()]


def _measured(shapes: dict[int, _Shape]) -> dict[int, float]:
    """Time a few steps of each shape, those with the most work first, until the time for it is over; at least one."""
    speeds: dict[int, float] = {}
    order = sorted(shapes, key=lambda number: -shapes[number].images * shapes[number].work_of_image)
    ends = time.monotonic() + _SECONDS
    for number in order:
        if speeds and time.monotonic() >= ends:
            break
        share = max(_SECONDS / (2 * len(shapes)), _LEAST)
        if speed := timed(shapes[number].configs, share):
            speeds[number] = speed
    return speeds


def _bytes(config: RunConfig) -> float:
    """Estimate the bytes of a completed run's files."""
    model = skeleton(config)
    layers = sum(parameter.dim() > 1 for parameter in model.parameters()) * (config.runtime.diagnostics == "on")
    width = 8 if config.precision == "fp64" else 4
    return width * weight_count(model) + _FILES + config.epochs * (_ROW + layers * _LAYER)


def _duration(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"about {max(seconds, 1):.0f} s"


def _size(size: float) -> str:
    for unit, bytes_of in (("GB", 1e9), ("MB", 1e6)):
        if size >= bytes_of:
            return f"about {size / bytes_of:.3g} {unit}"
    return f"about {size / 1e3:.0f} kB"
