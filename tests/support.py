"""What tests of several rooms share: configs and options as the command line would make them."""

import copy
import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hydra import initialize_config_dir
from hydra._internal.config_repository import ConfigRepository
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from regbench.config.location import config_dir
from regbench.config.registry import Option
from regbench.config.run_config import AXES, RunConfig
from regbench.data.split import Split, load_split
from regbench.experiment.checks import check, registries
from regbench.experiment.resolving import resolved
from regbench.experiment.run import Run
from regbench.images import Images
from regbench.records.rows import Epoch
from regbench.records.run_dir import RunDir
from regbench.sweep.compose import Composer
from regbench.training.trainer import Tests, Trainer


@cache
def composed(*overrides: str) -> RunConfig:
    """The run that `regbench train OVERRIDES` would train: composed from conf/ as in a sweep, then checked.

    Hydra alone takes 0.2 s for each (2 cores of an AMD Zen 3). The composer takes 5 ms where it knows the axes that are
    chosen on, so all of them are named.
    """
    composer, defaults = _composer()
    if any(word.startswith(("+", "~")) for word in overrides):  # a recipe chooses too
        return check(resolved(composer.compose(overrides)))
    words = [word.split("=", 1) for word in overrides]
    chosen = defaults | {key: value for key, value in words if key in AXES}
    values = [f"{key}={value}" for key, value in words if key not in AXES]
    return check(resolved(composer.compose([f"{axis}={name}" for axis, name in chosen.items()] + values)))


@cache
def _composer() -> tuple[Composer, dict[str, str]]:
    """A composer for the whole session, and the option that each axis has by default."""
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("config", [], RunMode.MULTIRUN)
    return Composer(master, loader), {axis: master.hydra.runtime.choices[axis] for axis in AXES}


@contextmanager
def files_read_once() -> Iterator[None]:
    """Hydra parses no YAML file twice that stands in its own folders or in conf/: 0.08 of 0.19 s (AMD Zen 3)."""
    read = ConfigRepository.load_config
    known: dict[tuple[Any, ...], Any] = {}

    def load_config(self: ConfigRepository, config_path: str) -> Any:
        places = tuple((source.scheme(), source.path, source.provider) for source in self.sources)
        if any(scheme == "file" and path != str(config_dir()) for scheme, path, _ in places):
            return read(self, config_path)
        if (key := (places, config_path)) not in known:
            known[key] = read(self, config_path)
        return copy.deepcopy(known[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigRepository, "load_config", load_config)
        yield


def option_of(axis: str, name: str, **changes: Any) -> Option:
    """An option with the values of its YAML file, some of them changed, checked."""
    return registries()[axis].check(yaml_values(axis, name) | changes)


def yaml_values(axis: str, name: str) -> dict[str, Any]:
    """What an option's YAML file sets, its name included."""
    return copy.deepcopy(_read_yaml(config_dir() / axis / f"{name}.yaml"))


@cache
def _read_yaml(path: Path) -> Any:
    return OmegaConf.to_container(OmegaConf.load(path))


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Train = Callable[..., Ended]


CPU = torch.device("cpu")
SMALL = ("model.hidden=[16,16]", "data.train_size=150", "data.val_size=100", "batch_size=50", "epochs=2")
SMALL_CNN = ("model=cnn", "model.channels=[4,8]", "model.dense=[12]", *SMALL[1:])

EXACT = 1e-10  # relative, in float64
# Relative, in float32 after ten steps: sums of products are rounded in another order, 6e-8 to begin with. An image in a
# hundred may change its class.
ROUNDING, FLIPPED = 1e-4, 0.01
# To optimizers that divide by the size of the gradient. A bias before a batch norm has a gradient of 0, in practice of
# rounding, which they would make as large as any.
DAMPED = {EXACT: 1e-6, ROUNDING: 1e-3}


class Outcome(NamedTuple):
    """The result of a run: its epochs, its test figures unless it diverged, and the weights at the end."""

    epochs: list[Epoch]
    tests: Tests | None
    weights: dict[str, torch.Tensor]


def split_of(config: RunConfig) -> Split:
    """As `load_split`, with fewer test images: 10,000 take longer than the training here.

    Convolutions see noise: of the equal pixels of a background, rounding chooses the one that max-pooling takes.
    """
    return _split(config.seed, tuple(config.data.args.items()), config.data.name, config.model.name == "cnn")


@cache
def _split(seed: int, args: tuple[Any, ...], name: str, noise: bool) -> Split:
    split = load_split(option_of("data", name, **dict(args)), seed, CPU, Path("unused"))
    images = noisy(split.train_images) if noise else split.train_images
    return replace(split, train_images=images, test_images=split.test_images[:300], test_labels=split.test_labels[:300])


@cache
def noisy(images: torch.Tensor) -> torch.Tensor:
    return torch.randint(256, images.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def trainer_of(configs: Sequence[RunConfig]) -> Trainer:
    return Trainer(configs, [split_of(config) for config in configs], CPU)


def outcomes(trainer: Trainer) -> list[Outcome]:
    """Train the runs of a trainer to the end."""
    epochs: list[list[Epoch]] = [[] for _ in trainer.configs]
    for records in trainer.epochs(lambda images: None):
        for run, record in records.items():
            epochs[run].append(replace(record, seconds=0.0))
    weights = {run: trainer.weights(run) for run in trainer.active}
    tests = trainer.test()
    return [Outcome(epochs[run], tests.get(run), weights.get(run, {})) for run in range(len(epochs))]


def assert_equal(actual: Outcome, expected: Outcome, tolerance: float) -> None:
    """All figures and weights within a relative tolerance; 0 means to the bit."""
    assert len(actual.epochs) == len(expected.epochs)
    for record, reference in zip(actual.epochs, expected.epochs, strict=True):
        assert vars(record) == {name: near(name, value, tolerance) for name, value in vars(reference).items()}
    assert (actual.tests is None) == (expected.tests is None)
    for name, (loss, acc) in (expected.tests or {}).items():
        assert actual.tests is not None
        assert actual.tests[name] == (near("loss", loss, tolerance), near("acc", acc, tolerance))
    assert actual.weights.keys() == expected.weights.keys()
    for name, tensor in expected.weights.items():
        absolute = tolerance * tensor.abs().max().item() if tensor.dim() > 1 else tolerance  # of biases, some are 0
        torch.testing.assert_close(
            actual.weights[name], tensor, rtol=tolerance, atol=absolute, msg=lambda text, of=name: f"{of}: {text}"
        )


def near(name: str, value: Any, tolerance: float) -> Any:
    if value is None:
        return None
    absolute = FLIPPED if tolerance == ROUNDING and "acc" in name else tolerance / 100
    if name == "gap":  # a small difference of two losses, each within the relative tolerance
        absolute = 10 * tolerance
    return pytest.approx(value, rel=tolerance, abs=absolute, nan_ok=True)


def batch(runs: int, samples: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return torch.rand(runs, samples, 28, 28, generator=rng), torch.randint(10, (runs, samples), generator=rng)


def synthetic_images(train: int = 97, test: int = 11, classes: int = 4) -> Images:
    """A small data set of random images; its classes differ in size."""
    rng = torch.Generator().manual_seed(0)

    def images(n: int) -> torch.Tensor:
        return torch.randint(0, 256, (n, 28, 28), generator=rng, dtype=torch.uint8)

    def labels(n: int) -> torch.Tensor:
        return (torch.rand(n, generator=rng).square() * classes).long()

    return Images(images(train), labels(train), images(test), labels(test))


def pack_idx(array: torch.Tensor) -> bytes:
    """The gzipped idx file of a uint8 tensor, written by the format's description."""
    shape = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + shape + array.numpy().tobytes(), mtime=0)


EPOCH = Epoch(
    epoch=1,
    lr=0.001,
    train_loss=0.3456,
    train_acc=0.91234,
    val_loss=0.2345,
    val_acc=0.9345,
    gap=-0.1111,
    penalty=0.0,
    grad_norm=1.0,
    clipped=0.0,
    weight_norm=10.0,
    seconds=2.5,
)
_TESTS = {"last": (0.2, 0.91), "best_val": (0.2, 0.9712)}


def leave(run: Run, epochs: int = 3, end: Callable[[RunDir], None] | None = None, **figures: Any) -> None:
    """Leave some epochs of a run, all with the same figures, and an end, if it has one."""
    with run.directory() as directory:
        directory.start({"overrides": list(run.overrides)})
        for epoch in range(1, epochs + 1):
            directory.save(replace(EPOCH, **{"epoch": epoch, **figures}), None)
        if end:
            end(directory)


def complete(directory: RunDir) -> None:
    directory.complete({}, 2, _TESTS, b"")
