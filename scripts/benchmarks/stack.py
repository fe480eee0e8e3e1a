"""`scripts/bench stack`: runs that train as one model, one after another, and as bare loops."""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import click
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.bare import BATCH, TEST_IMAGES, VAL_IMAGES, bare_sweep_seconds, network
from benchmarks.measure import best_of, config_of, fresh
from regbench.experiment.checks import check_techniques
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.experiment.train import train

_BARE = "bare loop, one after another"
_EVALUATED = VAL_IMAGES + TEST_IMAGES


@click.command()
@click.option("--model", type=click.Choice(["mlp", "cnn"]), default="mlp", show_default=True)
@click.option("--runs", default=32, show_default=True)
@click.option("--images", default=55_000, show_default=True, help="Training images of each run.")
@click.option("--rounds", default=2, show_default=True, help="The best of n is shown.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="For regbench's runs, as for train.")
def stack(model: str, runs: int, images: int, rounds: int, overrides: tuple[str, ...]) -> None:
    """A sweep over seeds, one epoch each: as one model, one after another, and as a bare loop.

    Everything counts: data split, training, validation, test, files. The bare loop trains, validates and tests.
    """
    words = [f"model={model}", f"data.train_size={images}", *overrides]
    sweep = partial(fresh, sweep_seconds, runs)
    contenders: dict[str, Callable[[], float]] = {
        "regbench, stacked": partial(sweep, words),
        "regbench, one after another": partial(sweep, [*words, "runtime.stack=1"]),
        _BARE: partial(fresh, bare_sweep_seconds, runs, model, images),
    }
    if model == "mlp":
        contenders["the products alone"] = partial(fresh, products_alone, runs, images)
    best = best_of(rounds, contenders)
    peak = max(fresh(_product_peak) for _ in range(rounds))
    _show(best, runs, runs * _operations(model, images), peak)


def _show(seconds: dict[str, float], runs: int, work: float, peak: float) -> None:
    """A row for each way to train the runs: how many a minute, how it compares, what share of the machine it uses."""
    title = f"{runs} runs, {torch.get_num_threads()} threads, torch {torch.__version__}, peak {peak / 1e9:,.0f} GFLOP/s"
    table = Table("", "seconds", "runs/min", "x bare loop", "of peak", title=title)
    for name, value in seconds.items():
        share = f"{work / value / peak:.0%}"
        table.add_row(name, f"{value:.1f}", f"{60 * runs / value:.1f}", f"{seconds[_BARE] / value:.2f}", share)
    Console().print(table)


def sweep_seconds(runs: int, overrides: list[str]) -> float:
    """Seconds that a sweep over seeds takes once it is planned."""
    from regbench.training import stacking

    with tempfile.TemporaryDirectory() as folder:
        words = [[*overrides, "epochs=1", f"runtime.dir={folder}", f"seed={seed}"] for seed in range(runs)]
        configs = [config_of(words_of_run) for words_of_run in words]
        check_techniques(configs[0])
        groups = stacking.groups(configs, torch.device("cpu"))
        start = time.perf_counter()
        for group in groups:
            train([Run(configs[place], words[place]) for place in group.places], Reporter("off"))
        return time.perf_counter() - start


def _product_peak(side: int = 2_048, rounds: int = 5) -> float:
    """Operations per second of a large matrix product, by the fastest way that torch has."""
    a, b = torch.randn(side, side), torch.randn(side, side)
    return 2 * side**3 / _product_seconds(a, b, rounds)


def _product_seconds(a: Tensor, b: Tensor, rounds: int) -> float:
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

    No way of training with torch takes less: products of this size reach only a share of the peak.
    """
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        forward, backward = map(max, zip(*pool.map(_step_products, [20] * threads), strict=True))
    return runs * (images * (forward + backward) + _EVALUATED * forward) / BATCH / threads


def _step_products(rounds: int) -> tuple[float, float]:
    """Seconds of the forward and the backward products of one batch, each the best of some rounds."""
    forward = backward = 0.0
    layers = [layer for layer in network() if isinstance(layer, nn.Linear)]
    for layer in layers:
        inputs, outputs = layer.in_features, layer.out_features
        x, weight, above = torch.randn(BATCH, inputs), torch.randn(outputs, inputs), torch.randn(BATCH, outputs)
        forward += _product_seconds(x, weight, rounds)
        backward += _product_seconds(above.t(), x.t(), rounds)
        if layer is not layers[0]:  # images need no gradient
            backward += _product_seconds(above, weight.t(), rounds)
    return forward, backward


def _operations(model: str, images: int) -> float:
    """Floating-point operations of one run's products and convolutions: an epoch, validation and test."""
    from torch.utils.flop_counter import FlopCounterMode

    net, x = network(model), torch.zeros(BATCH, 28, 28)
    with FlopCounterMode(display=False) as forward:
        logits = net(x)
    with FlopCounterMode(display=False) as backward:
        logits.sum().backward()
    whole = forward.get_total_flops() + backward.get_total_flops()
    return (whole * images + forward.get_total_flops() * _EVALUATED) / BATCH
