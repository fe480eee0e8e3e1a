"""Timings, as ratios on one machine: `scripts/bench epoch`. Nothing here is asserted: machines are noisy."""

import gzip
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

from regbench.config import run_config
from regbench.config.location import config_dir
from regbench.data import datasets
from regbench.experiment import checks
from regbench.experiment.checks import check_techniques
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.experiment.train import run, train
from regbench.records.rows import Epoch
from regbench.sweep.engines import workers
from regbench.sweep.engines.environment import SPINNING
from regbench.text import plural

Batches = Iterable[tuple[Tensor, Tensor]]

BARE = "bare loop, one after another"
BATCH, LR, MEAN, STD = 100, 1e-3, 0.1307, 0.3081
MEASURED = """
import atexit, pathlib, sys
from regbench.cli.main import main
status = pathlib.Path("/proc/self/status")
peak = lambda: int(status.read_text().split("VmHWM:")[1].split()[0]) / 1000 if status.exists() else float("nan")
atexit.register(lambda: print(peak(), file=sys.stderr))
main()
"""
NORMS, WHEN = ("none", "batch", "layer", "rms", "instance"), "2026-01-01T10:00:00+00:00"


@click.group()
def main() -> None:
    """Compare regbench with what people would write instead."""


@main.command()
@click.option("--rounds", default=5, show_default=True, help="The best of so many is shown.")
@click.option("--threads", default=0, help="CPU threads; 0 leaves torch's number.")
@click.option("--loader/--no-loader", default=True, help="Time the DataLoader as well (some 10 s).")
def epoch(rounds: int, threads: int, loader: bool) -> None:
    """One epoch of the default mlp: 55,000 images trained on, 5,000 evaluated."""
    if threads:
        torch.set_num_threads(threads)
    contenders = {"regbench train": regbench_epochs, "bare loop over tensors in memory": bare_epochs}
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):  # in turn, so that a slow moment of the machine meets both
        for name, contender in contenders.items():
            best[name] = min(best[name], *contender())
    if loader:
        best["torchvision dataset + DataLoader"] = min(loader_epochs())
    show(best, reference="bare loop over tensors in memory", rounds=rounds)


def show(seconds: dict[str, float], reference: str, rounds: int) -> None:
    """A row for each contender, and how it compares with the reference."""
    title = f"an epoch, best of {rounds} rounds, {torch.get_num_threads()} threads, torch {torch.__version__}"
    table = Table("", "seconds", "ratio", "images/s", title=title)
    for name, value in seconds.items():
        table.add_row(name, f"{value:.3f}", f"{value / seconds[reference]:.2f}", f"{55_000 / value:,.0f}")
    Console().print(table)


@main.command()
@click.argument("jobs", type=click.IntRange(100), nargs=-1)
def plan(jobs: tuple[int, ...]) -> None:
    """Compose, check and plan a sweep of so many JOBS (default: 100, 1,000 and 10,000), training nothing."""
    table = Table("jobs", "seconds", "ms per job", "MB more", title="planning a sweep, each in a process of its own")
    for count in jobs or (100, 1_000, 10_000):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
            seconds, memory = fresh.submit(planned, count).result()
        table.add_row(f"{count:,}", f"{seconds:.2f}", f"{seconds / count * 1e3:.2f}", f"{memory / 1e6:,.0f}")
    Console().print(table)


def planned(jobs: int) -> tuple[float, int]:
    """Seconds to plan a grid, and bytes by which they raise the process's peak of memory."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    from regbench.sweep.compose import Composer
    from regbench.sweep.grid import expand
    from regbench.sweep.plan import plan

    grid = [
        "norm=none,batch,layer,group",
        "init=xavier,kaiming,orthogonal,lecun,normal",
        "optimizer.lr=0.1,0.03,0.01,0.003,0.001",
    ]
    with tempfile.TemporaryDirectory() as folder, initialize_config_dir(str(config_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        words = [*grid, f"seed=range(0,{jobs // 100})", f"runtime.dir={folder}"]
        master = loader.load_configuration("config", words, RunMode.MULTIRUN)
        before, start = peak_memory(), time.perf_counter()
        found = plan(Composer(master, loader).jobs(expand(loader, {}, words)))
        seconds, memory = time.perf_counter() - start, peak_memory() - before
    assert len(found.pending) == jobs
    return seconds, memory


@main.command()
@click.argument("runs", type=click.IntRange(10), nargs=-1)
def summary(runs: tuple[int, ...]) -> None:
    """Collate so many finished RUNS (default: 100, 1,000 and 10,000) by `regbench summary`, from a cold start."""
    table = Table("runs", "seconds", "of CPU", "MB at most", title="regbench summary, the best of 3 processes")
    for count in runs or (100, 1_000, 10_000):
        with tempfile.TemporaryDirectory() as folder:
            lay_out(Path(folder), count)
            spent = min(collated(folder) for _ in range(3))
        table.add_row(f"{count:,}", f"{spent[0]:.2f}", f"{spent[1]:.2f}", f"{spent[2]:,.0f}")
    Console().print(table)


def lay_out(folder: Path, runs: int) -> None:
    """Finished runs as `regbench train` leaves them, of 5 norms, 2 initializers and as many seeds as it takes."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from regbench.experiment import provenance

    facts = provenance.facts(torch.device("cpu"), 1)
    names = ("train_loss", "train_acc", "val_loss", "val_acc", "test_loss", "test_acc")
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cells = [[f"norm={norm}", f"init={init}"] for norm in NORMS for init in ("xavier", "kaiming")]
        configs = [checks.check(OmegaConf.to_container(compose("config", cell))).dump() for cell in cells]  # type: ignore[arg-type]
    for number in range(runs):
        figures = {"epoch": 5} | dict.fromkeys(names, 0.9 + (number * 7919 % 997) / 10_000)
        record = facts | {
            "format": 1,
            "status": "completed",
            "identity": f"{number:064x}",
            "config": configs[number % len(cells)] | {"seed": number // len(cells)},
            "result": {"last": figures, "best_val": figures, "seconds": 3.1},
            "times": dict.fromkeys(("started", "updated", "finished"), WHEN),
        }
        path = folder / "default" / f"run{number:05}"
        path.mkdir(parents=True)
        (path / "run.json").write_text(json.dumps(record, indent=1))


def collated(folder: str) -> tuple[float, float, float]:
    """Seconds, seconds of CPU and peak megabytes (on Linux) of one `regbench summary`."""
    words = [sys.executable, "-c", MEASURED, "summary", folder]
    start = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    peak = process.stderr.read()  # not ru_maxrss, which counts what this process held when it forked
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    assert status == 0
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, float(peak or "nan")


def peak_memory() -> int:
    """Bytes that this process has held in main memory at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@main.command()
@click.option("--model", type=click.Choice(["mlp", "cnn"]), default="mlp", show_default=True)
@click.option("--runs", default=32, show_default=True)
@click.option("--images", default=55_000, show_default=True, help="Training images of each run.")
@click.option("--rounds", default=2, show_default=True, help="The best of so many is shown.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="For regbench's runs, as for train.")
def stack(model: str, runs: int, images: int, rounds: int, overrides: tuple[str, ...]) -> None:
    """A sweep over seeds, one epoch each: as one model, one after another, and as a bare loop.

    Everything counts: data split, training, validation, test, files. The bare loop trains, validates and tests.
    """
    own = [f"model={model}", f"data.train_size={images}", *overrides]
    contenders: dict[str, Callable[[], float]] = {
        "regbench, stacked": partial(fresh, SPINNING, sweep_seconds, runs, own),
        "regbench, one after another": partial(fresh, SPINNING, sweep_seconds, runs, [*own, "runtime.stack=1"]),
        BARE: partial(fresh, {}, bare_sweep_seconds, runs, model, images),
    }
    if model == "mlp":
        contenders["the products alone"] = partial(fresh, {}, products_alone, runs, images)
    best = dict.fromkeys(contenders, float("inf"))
    peak = 0.0
    for _ in range(rounds):
        for name, contender in contenders.items():
            best[name] = min(best[name], contender())
        peak = max(peak, fresh({}, product_peak))
    show_stacks(best, runs, runs * operations(model, images), peak)


def fresh(variables: dict[str, str], function: Callable[..., float], *arguments: Any) -> float:
    """What a function returns in a process of its own, with these variables in its environment."""
    with patch.dict(os.environ, variables), ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def show_stacks(seconds: dict[str, float], runs: int, work: float, peak: float) -> None:
    """A row for each way to train the runs: how many a minute, how it compares, what share of the machine it uses."""
    title = f"{runs} runs, {torch.get_num_threads()} threads, torch {torch.__version__}, peak {peak / 1e9:,.0f} GFLOP/s"
    table = Table("", "seconds", "runs/min", "x bare loop", "of peak", title=title)
    bare = seconds[BARE]
    for name, value in seconds.items():
        share = f"{work / value / peak:.0%}"
        table.add_row(name, f"{value:.1f}", f"{60 * runs / value:.1f}", f"{bare / value:.2f}", share)
    Console().print(table)


def sweep_seconds(runs: int, overrides: list[str]) -> float:
    """Seconds that a sweep over seeds takes once it is planned."""
    from regbench.training import stacking

    with tempfile.TemporaryDirectory() as folder:
        words = [[*overrides, "epochs=1", f"runtime.dir={folder}", f"seed={seed}"] for seed in range(runs)]
        configs = [checked(own) for own in words]
        check_techniques(configs[0])
        groups = stacking.groups(configs, torch.device("cpu"))
        start = time.perf_counter()
        for group in groups:
            mine = [Run(configs[place], words[place]) for place in group.places]
            train(mine, Reporter("off"))
        return time.perf_counter() - start


def bare_sweep_seconds(runs: int, model: str, images: int) -> float:
    """Seconds of as many bare loops, one after another."""
    return sum(bare_seconds(model, images) for _ in range(runs))


def checked(overrides: list[str]) -> run_config.RunConfig:
    """The run that the overrides mean."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return checks.check(OmegaConf.to_container(compose("config", overrides), resolve=True))  # type: ignore[arg-type]


def product_peak(side: int = 2_048, rounds: int = 5) -> float:
    """Operations per second of a large matrix product, by the fastest way that torch has."""
    a, b = torch.randn(side, side), torch.randn(side, side)
    return 2 * side**3 / best_product(a, b, rounds)


def best_product(a: Tensor, b: Tensor, rounds: int) -> float:
    """Seconds of a · bᵀ, by the fastest way that torch has."""
    ways: list[Callable[[], Tensor]] = [lambda: a @ b.t()]
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        ways.append(lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], ""))
    best = float("inf")
    for way in ways * rounds:
        start = time.perf_counter()
        way()
        best = min(best, time.perf_counter() - start)
    return best


def products_alone(runs: int, images: int) -> float:
    """Seconds that the products of the mlp's runs would take on operands in the cache, a thread to each core.

    No way of training with torch takes less: what share of the peak products of this size come to is theirs.
    """
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        forward, backward = map(max, zip(*pool.map(step_products, [20] * threads), strict=True))
    return runs * (images * (forward + backward) + 15_000 * forward) / BATCH / threads


def step_products(rounds: int) -> tuple[float, float]:
    """Seconds of the forward and the backward products of one batch, each the best of some rounds."""
    forward = backward = 0.0
    layers = [layer for layer in network() if isinstance(layer, nn.Linear)]
    for layer in layers:
        inputs, outputs = layer.in_features, layer.out_features
        x, weight, above = torch.randn(BATCH, inputs), torch.randn(outputs, inputs), torch.randn(BATCH, outputs)
        forward += best_product(x, weight, rounds)
        backward += best_product(above.t(), x.t(), rounds)
        if layer is not layers[0]:  # images need no gradient
            backward += best_product(above, weight.t(), rounds)
    return forward, backward


def operations(model: str, images: int) -> float:
    """Floating-point operations of one run's products and convolutions: an epoch, validation and test."""
    from torch.utils.flop_counter import FlopCounterMode

    net, x = network(model), torch.zeros(BATCH, 28, 28)
    with FlopCounterMode(display=False) as forward:
        logits = net(x)
    with FlopCounterMode(display=False) as backward:
        logits.sum().backward()
    whole = forward.get_total_flops() + backward.get_total_flops()
    return (whole * images + forward.get_total_flops() * 15_000) / BATCH


@main.command()
@click.option("--model", "models", type=click.Choice(["mlp", "cnn"]), multiple=True, default=("mlp", "cnn"))
@click.option("--runs", default=24, show_default=True)
@click.option("--images", default=55_000, show_default=True, help="Training images of each run.")
@click.option("--rounds", default=1, show_default=True, help="The best of so many is shown.")
@click.option("--only", multiple=True, metavar="WORD", help="Only ways whose name has the word; may be repeated.")
def sweep(models: tuple[str, ...], runs: int, images: int, rounds: int, only: tuple[str, ...]) -> None:
    """A sweep over seeds, one epoch each, as a whole command from its start to its table: ways to share the cores.

    The bare loop, in a process of its own likewise, trains, validates and tests.
    """
    ways = {name: words for name, words in ways_to_sweep().items() if not only or any(word in name for word in only)}
    for model in models:
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(rounds):  # in turn, so that a slow moment of the machine meets all
            for name, words in ways.items():
                best[name] = min(best[name], command_seconds(words, model, runs, images))
        show_sweep(
            f"{model}: {runs} runs, {images:,} images, {workers.cores()} cores, torch {torch.__version__}", best, runs
        )


def ways_to_sweep() -> dict[str, list[str] | None]:
    """What each way adds to the command; None is the bare loop."""
    cores, alone = workers.cores(), "runtime.stack=1"
    ways: dict[str, list[str] | None] = {
        "bare loop, one after another": None,
        "Hydra's basic launcher": ["hydra/launcher=basic"],
        "in process, one after another": [alone],
        "in process, stacked": [],
    }
    for jobs in (2**power for power in range(1, cores.bit_length())):
        threads = cores // jobs
        words = ["hydra/launcher=processes", f"hydra.launcher.n_jobs={jobs}", f"runtime.threads={threads}"]
        ways[f"{jobs} processes of {plural(threads, 'thread')}"] = [*words, alone]
        ways[f"{jobs} processes of {plural(threads, 'thread')}, stacked"] = words
    return ways


def command_seconds(words: list[str] | None, model: str, runs: int, images: int) -> float:
    """Seconds of one way's command."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import bench; "
    bare = ["-c", f"{code}bench.bare_sweep_seconds({runs}, {model!r}, {images})"]
    seeds, size = f"seed=range(0,{runs})", f"data.train_size={images}"
    own = ["-m", "regbench", "train", "-m", seeds, f"model={model}", "epochs=1", size]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, *(bare if words is None else [*own, *words])]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


def show_sweep(title: str, seconds: dict[str, float], runs: int) -> None:
    """A row for each way."""
    table = Table("", "seconds", "runs/min", title=title)
    for name, value in seconds.items():
        table.add_row(name, f"{value:.1f}", f"{60 * runs / value:.1f}")
    Console().print(table)


class Stopwatch(Reporter):
    """Notes when each epoch is done with: trained, evaluated, on disk."""

    def __init__(self) -> None:
        super().__init__("off")
        self.laps: list[float] = []

    def epoch(self, record: Epoch) -> None:
        """The end of an epoch."""
        self.laps.append(time.perf_counter())
        super().epoch(record)


def regbench_epochs(epochs: int = 4) -> list[float]:
    """Whole epochs as `regbench train` does them, checkpoints and metrics written."""
    with tempfile.TemporaryDirectory() as folder:
        overrides = [f"epochs={epochs}", f"runtime.dir={folder}"]
        watch = Stopwatch()
        run(Run(checked(overrides), overrides), watch)
    return [after - before for before, after in zip(watch.laps, watch.laps[1:], strict=False)]


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
    """The default mlp's epochs, each trained and validated."""
    return [seconds for seconds, _ in bare_loop("mlp", 55_000, epochs)]


def bare_seconds(model: str, images: int) -> float:
    """One epoch of training and validation, and the test."""
    ((seconds, model_),) = bare_loop(model, images, 1)
    test = datasets.load("mnist", Path())
    start = time.perf_counter()
    x = test.test_images.float().div_(255).sub_(MEAN).div_(STD)
    evaluate(model_, zip(x.split(1_000), test.test_labels.split(1_000), strict=True))
    return seconds + time.perf_counter() - start


def bare_loop(name: str, count: int, epochs: int) -> list[tuple[float, nn.Module]]:
    """The same training and evaluation with nothing around it: images scaled beforehand, fused adam, no reports."""
    images = datasets.load("mnist", Path())
    x = images.train_images.float().div_(255).sub_(MEAN).div_(STD)
    y = images.train_labels
    train_x, train_y, val_x, val_y = x[:count], y[:count], x[55_000:], y[55_000:]
    model = network(name)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
    laps: list[tuple[float, nn.Module]] = []
    for _ in range(epochs):
        start = time.perf_counter()
        model.train()
        loss_sum, hits = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for rows in torch.randperm(len(train_x)).split(BATCH):
            labels = train_y[rows]
            logits = model(train_x[rows])
            loss = F.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.detach() * len(rows)
            hits += (logits.argmax(1) == labels).sum()
        evaluate(model, zip(val_x.split(1_000), val_y.split(1_000), strict=True))
        laps.append((time.perf_counter() - start, model))
    return laps


@torch.inference_mode()
def evaluate(model: nn.Module, batches: Batches) -> tuple[float, int]:
    """Summed loss and hits."""
    model.eval()
    loss_sum, hits = 0.0, 0
    for x, y in batches:
        logits = model(x)
        loss_sum += F.cross_entropy(logits, y, reduction="sum").item()
        hits += int((logits.argmax(1) == y).sum())
    return loss_sum, hits


def loader_epochs(epochs: int = 1) -> list[float]:
    """The way of most tutorials: a torchvision dataset with transforms behind a DataLoader."""
    from torch.utils.data import DataLoader, random_split
    from torchvision import datasets, transforms

    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "MNIST", "raw")
        raw.mkdir(parents=True)
        for file in datasets.MNIST_SHA256:
            (raw / file.removesuffix(".gz")).write_bytes(gzip.decompress(datasets.embedded(file)))
        transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])
        train, val = random_split(datasets.MNIST(folder, transform=transform), [55_000, 5_000])
        loaders = DataLoader(train, BATCH, shuffle=True), DataLoader(val, 1_000)
        model = network()
        optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
        return [loader_epoch(model, optimizer, *loaders) for _ in range(epochs)]


def loader_epoch(model: nn.Module, optimizer: torch.optim.Optimizer, train: Batches, val: Batches) -> float:
    """Seconds of one epoch over DataLoaders."""
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
    evaluate(model, val)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
