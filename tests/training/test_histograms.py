"""Histograms of layers, against numpy's."""

from pathlib import Path

import numpy as np
import pytest
import torch

from regbench.records import histograms as records
from regbench.records.files import HISTOGRAMS
from regbench.records.rows import BINS, Histogram
from regbench.training.histograms import histograms
from regbench.training.stack import Stack
from support import SMALL, batch, composed, trainer_of

CPU = torch.device("cpu")


def observed(*overrides: str, runs: int = 3) -> tuple[Stack, list[list[Histogram]]]:
    stack = Stack([composed(*SMALL, *overrides, f"seed={seed}") for seed in range(runs)], CPU)
    stack.begin_epoch(0)
    stack.step(*batch(runs))
    return stack, histograms(stack.network.template, stack.observe(*batch(runs)), 1)


def test_counts_are_numpys_for_each_run_of_a_stack() -> None:
    stack, found = observed("norm=layer")
    for run, of_run in enumerate(found):
        assert [h[1:3] for h in of_run][:5] == [
            *(("dense1", quantity) for quantity in ("before", "after", "weight", "gradient")),
            ("dense2", "before"),
        ]
        assert [h.quantity for h in of_run if h.layer == "output"] == ["before", "weight", "gradient"]
        weight = next(h for h in of_run if h[1:3] == ("dense1", "weight"))
        values = stack.models[run].get_submodule("dense1.affine").weight.detach().numpy().ravel()
        reach = 5 * values.std(dtype=np.float64)
        ends = max(values.min(), values.mean() - reach), min(values.max(), values.mean() + reach)
        assert (weight.low, weight.high) == pytest.approx(ends, rel=1e-6)
        expected, _ = np.histogram(np.clip(values, *ends), BINS, ends)
        assert np.abs(weight.counts - expected).sum() <= 4  # at an edge float32 may round to either side
        assert weight.counts.sum() == values.size


def test_equal_values_are_in_one_bin_and_values_that_are_not_finite_in_none() -> None:
    _, equal = observed("init=constant", "optimizer=sgd", "optimizer.lr=0", runs=1)
    weight = next(h for h in equal[0] if h.quantity == "weight")
    assert weight.low == weight.high and weight.counts[0] == weight.counts.sum() == 784 * 16
    stack = Stack([composed(*SMALL, f"seed={seed}") for seed in range(2)], CPU)
    stack.begin_epoch(0)
    stack.step(*batch(2))
    observation = stack.observe(*batch(2))
    observation.weights["output.weight"][1] = torch.nan
    first, second = histograms(stack.network.template, observation, 1)
    assert {h[1:3] for h in first} - {h[1:3] for h in second} == {("output", "weight")}


def test_the_first_and_the_last_epoch_are_kept() -> None:
    trainer = trainer_of([composed(*SMALL, "epochs=3", f"seed={seed}") for seed in range(2)])
    epochs = [
        {h.epoch for of_run in trainer.histograms.values() for h in of_run} for _ in trainer.epochs(lambda _: None)
    ]
    assert epochs == [{1}, set(), {3}]
    plain = trainer_of([composed(*SMALL, "epochs=1", "runtime.diagnostics=off")])
    assert [plain.histograms for _ in plain.epochs(lambda _: None)] == [{}]


def a_histogram(epoch: int, layer: str = "dense1") -> Histogram:
    return Histogram(epoch, layer, "before", -1.5, 2.5, np.arange(BINS) + epoch)


def test_the_file_gives_them_back_and_a_later_epoch_replaces_what_follows_it(tmp_path: Path) -> None:
    assert records.read(tmp_path) == []
    for epoch in (1, 5, 3):
        records.add(tmp_path, [a_histogram(epoch), a_histogram(epoch, "output")])
    found = records.read(tmp_path)
    assert [h[:5] for h in found] == [a_histogram(epoch, name)[:5] for epoch in (1, 3) for name in ("dense1", "output")]
    assert np.array_equal(found[2].counts, np.arange(BINS) + 3)
    whole = (tmp_path / HISTOGRAMS).read_bytes()
    for damaged in (whole[:-1], whole.replace(b"before", b"behind"), whole.replace(b"1 dense1", b"x dense1"), b""):
        (tmp_path / HISTOGRAMS).write_bytes(damaged)
        assert records.read(tmp_path) == []
