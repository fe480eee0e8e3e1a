"""How long runs take: by their arithmetic, or by a few steps."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace

from regbench.config.location import cache_dir
from regbench.config.registry import Option
from regbench.config.run_config import RunConfig
from regbench.data.datasets import is_here
from regbench.data.split import load_split
from regbench.models.architectures import skeleton
from regbench.models.sizes import sizes
from regbench.training import lanes
from regbench.training.machine import find_device, set_up, shared, whole

_TRAINING_IMAGES = 60_000  # of the data sets that can be downloaded
FORWARD = 0.1  # the time to evaluate an image, in large batches, as a share of the time to train on one
TESTS = 20_000 * FORWARD  # the test images, twice, in training images
_BESIDE = 100_000  # products in the time of all that is no product: about right for small mlps on 2 cores
_WARM_UP = 8  # steps of each run that prepare: some ordinary ones, the recording, its comparison


def images(config: RunConfig) -> float:
    """Count the training images of an epoch; images to validate count by their share of the time."""
    args = config.data.args
    size = args.get("train_size") or _TRAINING_IMAGES - args.get("val_size", 0)
    return float(size + FORWARD * args.get("val_size", 0))


def work(config: RunConfig) -> float:
    """Estimate the work of an epoch, to compare runs whose time is not known."""
    return images(config) * (sizes(skeleton(config)).products + _BESIDE)


def work_of_run(config: RunConfig) -> float:
    """Estimate the work of all epochs and of the tests."""
    return work(config) * (config.epochs + TESTS / images(config))


class _EnoughError(Exception):
    """Enough steps are timed."""


class _Clock:
    """Measures the time from image to image, after the first steps of every run, for some seconds."""

    def __init__(self, seconds: float, batch_size: int) -> None:
        self._limit = seconds
        self._images = -_WARM_UP * batch_size
        self._first = self._start = self._last = time.perf_counter()
        self._seen = 0

    def tick(self, images: int) -> None:
        """Count the images that every run has seen, on average."""
        began = self._images >= 0
        self._images += images
        self._seen += images
        self._last = time.perf_counter()
        if not began and self._images >= 0:
            self._start, self._images = self._last, 0
        elif began and self._images and self._last - self._start > self._limit:
            raise _EnoughError

    def seconds_per_image(self) -> float | None:
        """Return the seconds of an image of every run; with the first steps, if the runs end before they are over."""
        if self._images > 0:
            return (self._last - self._start) / self._images
        return (self._last - self._first) / self._seen if self._seen else None


def timed(configs: Sequence[RunConfig], seconds: float) -> float | None:
    """Train runs of one shape together for some seconds; return the seconds of an image of one run, None if none."""
    clock = _Clock(seconds, configs[0].batch_size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _train(configs, clock)
    except _EnoughError:
        pass
    except Exception:  # whatever it is, the run will tell; here only the time is missing
        return None
    measured = clock.seconds_per_image()
    return None if measured is None else measured / len(configs)


def _train(configs: Sequence[RunConfig], clock: _Clock) -> None:
    config = configs[0]
    device = find_device(config)
    set_up(config, device)
    machine = (whole if config.runtime.stack == 1 else shared)(config, device)
    split = load_split(_present(config), config.seed, device, cache_dir(config.runtime.cache))
    trainer = lanes.trainer(configs, [split] * len(configs), machine)
    for _ in trainer.epochs(clock.tick):
        pass


def _present(config: RunConfig) -> Option:
    """Return the data; MNIST, which has the same sizes, in place of data that are not downloaded yet."""
    here = is_here(config.data.name, cache_dir(config.runtime.cache))
    return config.data if here else replace(config.data, name="mnist")
