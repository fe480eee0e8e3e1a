"""What people would write instead of regbench: a bare loop over tensors, and the way of most tutorials."""

import gzip
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regbench.data import datasets

BATCH = 100
TEST_IMAGES, VAL_IMAGES = 10_000, 5_000

LR = 1e-3
_MEAN, _STD = 0.1307, 0.3081
_Batches = Iterable[tuple[Tensor, Tensor]]


def network(model: str = "mlp") -> nn.Sequential:
    """The default model, as anyone would write it."""
    if model == "mlp":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
        )
    maps = [nn.Unflatten(1, (1, 28)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()]
    for inputs, width in ((16, 32), (32, 64)):
        maps += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*maps, nn.Flatten(), nn.Linear(3136, 100), nn.ReLU(), nn.Linear(100, 10))


def bare_epochs(epochs: int = 3) -> list[float]:
    """Seconds of each epoch of the default mlp, trained and validated."""
    seconds, _, _ = _bare_loop("mlp", 55_000, epochs)
    return seconds


def bare_sweep_seconds(runs: int, model: str, images: int) -> float:
    """Seconds of n runs, one after another: one epoch of training and validation each, and the test."""
    return bare_sweep(runs, model, images)[1]


def bare_sweep(runs: int, model: str, images: int) -> tuple[float, float, float, float]:
    """Seconds of the training, the same with validation and test, and of compiling; the mean test accuracy."""
    training, whole, right = map(sum, zip(*(_bare_run(model, images) for _ in range(runs)), strict=True))
    return training, whole, 0.0, right / runs


def _bare_run(name: str, images: int) -> tuple[float, float, float]:
    (seconds,), training, model = _bare_loop(name, images, 1)
    test = datasets.load("mnist", Path())
    start = time.perf_counter()
    x = scaled(test.test_images)
    _, hits = _evaluate(model, zip(x.split(1_000), test.test_labels.split(1_000), strict=True))
    return training, seconds + time.perf_counter() - start, hits / len(x)


def _bare_loop(name: str, count: int, epochs: int) -> tuple[list[float], float, nn.Module]:
    """The same training and evaluation with nothing around it: images scaled beforehand, fused adam, no reports.

    Seconds of each epoch, and those of all training without validation; the model.
    """
    images = datasets.load("mnist", Path())
    x, y = scaled(images.train_images), images.train_labels
    train_x, train_y, val_x, val_y = x[:count], y[:count], x[-VAL_IMAGES:], y[-VAL_IMAGES:]
    model = network(name)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
    seconds, training = [], 0.0
    for _ in range(epochs):
        start = time.perf_counter()
        _train_epoch(model, optimizer, train_x, train_y)
        training += time.perf_counter() - start
        _evaluate(model, zip(val_x.split(1_000), val_y.split(1_000), strict=True))
        seconds.append(time.perf_counter() - start)
    return seconds, training, model


def scaled(images: Tensor) -> Tensor:
    """Images of bytes, scaled as in training."""
    return images.float().div_(255).sub_(_MEAN).div_(_STD)


def _train_epoch(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    model.train()
    loss_sum, hits = torch.zeros(()), torch.zeros((), dtype=torch.int64)
    for rows in torch.randperm(len(x)).split(BATCH):
        labels = y[rows]
        logits = model(x[rows])
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_sum += loss.detach() * len(rows)
        hits += (logits.argmax(1) == labels).sum()


@torch.inference_mode()
def _evaluate(model: nn.Module, batches: _Batches) -> tuple[float, int]:
    """Summed loss and hits."""
    model.eval()
    loss_sum, hits = 0.0, 0
    for x, y in batches:
        logits = model(x)
        loss_sum += F.cross_entropy(logits, y, reduction="sum").item()
        hits += int((logits.argmax(1) == y).sum())
    return loss_sum, hits


def loader_seconds() -> float:
    """Seconds of an epoch of the mlp on a torchvision dataset with transforms behind a DataLoader."""
    from torch.utils.data import DataLoader, random_split

    with tempfile.TemporaryDirectory() as folder:
        train, val = random_split(_torchvision_mnist(Path(folder)), [55_000, VAL_IMAGES])
        loaders = DataLoader(train, BATCH, shuffle=True), DataLoader(val, 1_000)
        model = network()
        return _loader_epoch(model, torch.optim.Adam(model.parameters(), lr=LR, fused=True), *loaders)


def _torchvision_mnist(folder: Path) -> Any:
    """Torchvision's data set, of the files in the package."""
    from torchvision.datasets import MNIST
    from torchvision.transforms import Compose, Normalize, ToTensor

    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in datasets.MNIST_SHA256:
        (raw / file.removesuffix(".gz")).write_bytes(gzip.decompress(datasets.embedded(file)))
    return MNIST(folder, transform=Compose([ToTensor(), Normalize((_MEAN,), (_STD,))]))


def _loader_epoch(model: nn.Module, optimizer: torch.optim.Optimizer, train: _Batches, val: _Batches) -> float:
    start = time.perf_counter()
    model.train()
    loss_sum, hits = 0.0, 0
    for x, y in train:
        logits = model(x)
        loss = F.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(y)
        hits += int((logits.argmax(1) == y).sum())
    _evaluate(model, val)
    return time.perf_counter() - start
