import csv
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regbench.config.run_config import RunConfig
from regbench.data.split import load_split
from regbench.experiment import train as experiment
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.models.architectures import build
from regbench.records.rows import Epoch, LayerFigures
from regbench.techniques.dropout import Dropout
from regbench.training.diagnostics import FLAT, IMAGES, SLOPES, dead, near_zero, saturated
from regbench.training.trainer import Trainer

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
MLP = ("model.hidden=[16,12]", "data.train_size=500", "data.val_size=300", "epochs=2", "precision=fp64")
CNN = ("model=cnn", "model.channels=[4,6]", "model.dense=[8]", "data.train_size=300", "data.val_size=100", "epochs=1")
RUNS = {
    "mlp": (*MLP, "norm=batch", "dropout=0.4"),
    "mlp, norm after sigmoid": (*MLP, "norm=layer", "norm_position=post", "activation=sigmoid", "augment=affine"),
    "cnn": (*CNN, "precision=fp64", "norm=batch", "dropout=0.3"),
    "cnn, no norm": (*CNN, "precision=fp64", "activation=tanh", "regularizer=l2", "regularizer.strength=0.01"),
    "few images, max-norm": (*MLP, "data.train_size=30", "max_norm=0.5", "clip_norm=0.1", "activation=leaky_relu"),
}
PLAIN = "optimizer=sgd"  # adam blows up the rounding error that is all the gradient of a bias before batch norm
Rows = list[list[LayerFigures]]  # of each epoch


def trainer_of(*configs: RunConfig) -> Trainer:
    return Trainer(configs, [load_split(config.data, config.seed, CPU, Path("unused")) for config in configs], CPU)


def fit(trainer: Trainer) -> tuple[list[list[Epoch]], list[Rows]]:
    """Each run's records, and its rows of layers.csv, by epoch."""
    records: list[list[Epoch]] = [[] for _ in trainer.configs]
    rows: list[Rows] = [[] for _ in trainer.configs]
    for found in trainer.epochs(lambda images: None):
        for run, record in found.items():
            records[run].append(record)
            rows[run].append(trainer.layers.get(run, []))
    return records, rows


def without_seconds(records: Sequence[Epoch]) -> list[dict[str, Any]]:
    return [{**vars(record), "seconds": 0} for record in records]


def flat(rows: Rows) -> list[dict[str, Any]]:
    return [asdict(row) for epoch in rows for row in epoch]


def agree(rows: list[dict[str, Any]], expected: list[dict[str, Any]], tolerance: float = 1e-10) -> None:
    """The same epochs and layers, equal figures except for rounding, and empty cells in the same places."""
    for row, other in zip(rows, expected, strict=True):
        cells, wanted = ({key: cell for key, cell in line.items() if isinstance(cell, float)} for line in (row, other))
        assert cells == pytest.approx(wanted, rel=tolerance, abs=tolerance)
        assert {key: row[key] for key in row.keys() - cells} == {key: other[key] for key in other.keys() - wanted}


# Against torch's own hooks


def spread(features: Tensor) -> tuple[float, float]:
    mean = features.sum() / features.numel()
    return mean.item(), ((features - mean) ** 2).mean().sqrt().item()


def plain_rows(config: RunConfig, trainer: Trainer, before: dict[str, Tensor]) -> list[dict[str, Any]]:
    """The last epoch's rows as anyone would compute them, with hooks on a separate model."""
    split = trainer.splits[0]
    model = build(config).double()
    model.load_state_dict(trainer.weights(0))
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda _, given, out, name=name: seen.update({name: (given[0], out)}))
        if isinstance(module, Dropout):
            module.eval()
    rows = split.train[:IMAGES]
    loss = F.cross_entropy(model(split.scaled(split.train_images[rows]).double()), split.train_labels[rows])
    if config.regularizer.name == "l2":
        weights = [module.weight for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
        loss = loss + 0.01 * sum((weight**2).sum() for weight in weights)
    loss.backward()
    return [plain_row(config, name, block, seen, before) for name, block in model.named_children() if name in LAYERS]


LAYERS = {"conv1", "conv2", "dense1", "dense2", "output"}


def plain_row(
    config: RunConfig, name: str, block: nn.Module, seen: dict[str, tuple[Tensor, Tensor]], before: dict[str, Tensor]
) -> dict[str, Any]:
    affine = name if name == "output" else f"{name}.affine"
    row: dict[str, Any] = dict.fromkeys(LayerFigures.__dataclass_fields__)
    row |= {"epoch": config.epochs, "layer": name}
    if f"{name}.norm" in seen:
        given, made = seen[f"{name}.norm"]
        row["before_mean"], row["before_std"] = spread(given)
        row["after_mean"], row["after_std"] = spread(made)
    else:
        row["before_mean"], row["before_std"] = spread(seen[affine][1])
    if name != "output":
        given, made = seen[f"{name}.activation"]
        units = made.detach().numpy().swapaxes(0, 1).reshape(made.shape[1], -1)
        if config.activation.name == "relu":
            row["dead"] = sum(not unit.any() for unit in units) / len(units)
        if config.activation.name == "sigmoid":
            row["saturated"] = (given.sigmoid() * (1 - given.sigmoid()) < FLAT / 4).double().mean().item()
        if config.activation.name == "tanh":
            row["saturated"] = (1 / given.cosh() ** 2 < FLAT).double().mean().item()
    row["grad_norm"] = math.sqrt(sum((p.grad**2).sum().item() for p in block.parameters() if p.grad is not None))
    weight = block.get_parameter("weight" if name == "output" else "affine.weight").detach()
    old = before[f"{affine}.weight"]
    row["weight_norm"] = weight.flatten().norm().item()
    row["near_zero"] = ((weight > -1e-3) & (weight < 1e-3)).double().mean().item()
    row["update_ratio"] = ((weight - old).flatten().norm() / old.flatten().norm()).item()
    return row


@pytest.mark.parametrize("run", RUNS)
def test_the_figures_are_those_of_plain_hooks(make_config, monkeypatch, run):
    config = make_config(*RUNS[run])
    trainer = trainer_of(config)
    names = [f"{name}.weight" for name, module in trainer.stack.models[0].named_modules() if hasattr(module, "weight")]
    before: dict[str, Tensor] = {}
    step = trainer.stack.step

    def remembering(images: Tensor, labels: Tensor) -> Any:
        before.update({name: tensor for name, tensor in trainer.weights(0).items() if name in names})
        return step(images, labels)

    monkeypatch.setattr(trainer.stack, "step", remembering)
    _, (rows,) = fit(trainer)
    weights = {name: tensor for name, tensor in before.items() if "norm" not in name}
    plain = plain_rows(config, trainer, weights)
    agree(flat(rows[-1:]), plain)


def test_a_unit_is_dead_if_it_is_0_for_every_image_and_pixel():
    outputs = torch.rand(5, 4, 3, 3) + 0.1
    outputs[:, 1] = 0
    outputs[0, 2] = 0
    outputs[:, 3, 0, 0] = 0
    assert dead(outputs) == 1 / 4
    assert dead(outputs[:, :, 0, 0]) == 2 / 4


@pytest.mark.parametrize("kind", SLOPES)
def test_saturated_is_where_the_slope_is_small(kind):
    inputs = torch.linspace(-8, 8, 1001, dtype=torch.float64, requires_grad=True)
    outputs = kind()(inputs)
    (slope,) = torch.autograd.grad(outputs.sum(), inputs)
    share = (slope < FLAT * slope.max()).double().mean().item()
    assert 0.3 < share < 0.8
    assert saturated(outputs.detach(), SLOPES[kind]).item() == pytest.approx(share)


def test_an_l1_penalty_leaves_more_weights_near_zero(make_config):
    plain = make_config(*MLP, "optimizer.lr=0.003", "epochs=3")
    penalized = make_config(*MLP, "optimizer.lr=0.003", "epochs=3", "regularizer=l1", "regularizer.strength=0.01")
    shares = [fit(trainer_of(config))[1][0][-1][0].near_zero for config in (plain, penalized)]
    assert shares[1] > 2 * shares[0]
    assert near_zero(torch.tensor([0.0, 9e-4, -9e-4, 0.0011, -1.0])).item() == pytest.approx(3 / 5)


# What they leave alone


@pytest.mark.parametrize(
    "words", [("norm=batch", "dropout=0.3"), ("optimizer=lbfgs",), ("augment=affine",)], ids=" ".join
)
def test_on_or_off_a_run_has_the_same_bits(make_config, words):
    on = make_config(*MLP[:-1], *words)
    off = make_config(*MLP[:-1], *words, "runtime.diagnostics=off")
    assert on.identity("") == off.identity("")
    trainers = [trainer_of(config) for config in (on, off)]
    ((watched, rows), (alone, none)) = [(records, rows) for (records,), (rows,) in map(fit, trainers)]
    assert without_seconds(watched) == without_seconds(alone)
    assert [len(epoch) for epoch in rows] == [3, 3]
    assert none == [[], []]
    one, other = (trainer.weights(0) for trainer in trainers)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("shared", "own"),
    [
        (("norm=batch", PLAIN), [("dropout=0.3",), ("seed=4",), ("init=xavier", "optimizer.lr=0.01")]),
        (("activation=tanh", "norm=group", "norm.groups=2", "norm_position=post"), [("max_norm=1",), ("seed=1",)]),
        (("regularizer=l1",), [("regularizer.strength=0.01",), ("label_smoothing=0.1",), ("augment=affine",)]),
    ],
    ids=["batch norm, dropout", "group norm after tanh", "penalties"],
)
def test_a_run_of_a_stack_has_the_figures_that_it_has_alone(make_config, shared, own):
    configs = [make_config(*MLP, *shared, *words) for words in own]
    _, together = fit(trainer_of(*configs))
    for config, rows in zip(configs, together, strict=True):
        _, (alone,) = fit(trainer_of(config))
        agree(flat(rows), flat(alone))


def test_a_cnn_of_a_stack_has_the_figures_that_it_has_alone(make_config):
    configs = [make_config(*RUNS["cnn"], PLAIN, f"seed={seed}") for seed in (0, 1)]
    _, together = fit(trainer_of(*configs))
    for config, rows in zip(configs, together, strict=True):
        _, (alone,) = fit(trainer_of(config))
        agree(flat(rows), flat(alone))


def test_a_run_that_diverges_has_its_figures_and_changes_no_other_run_s(make_config):
    configs = [make_config(*MLP, "optimizer=sgd", "activation=leaky_relu", f"optimizer.lr={lr}") for lr in (1e38, 0.1)]
    (wild_records, records), (wild, rows) = fit(trainer_of(*configs))
    assert [record.diverged for record in wild_records] == [True]
    assert [row.layer for row in wild[0]] == ["dense1", "dense2", "output"]
    assert all(math.isnan(row.weight_norm or 0.0) for row in wild[0])
    (alone_records,), (alone,) = fit(trainer_of(configs[1]))
    assert [vars(one)["train_loss"] for one in records] == pytest.approx([one.train_loss for one in alone_records])
    agree(flat(rows), flat(alone))


# On disk


class Stopping(Reporter):
    """Presses Ctrl-C after some steps."""

    def __init__(self, steps: int) -> None:
        super().__init__("off")
        self.steps = steps

    def tick(self, images: int) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise KeyboardInterrupt


def placed(config: RunConfig, folder: Path) -> RunConfig:
    return config.model_copy(update={"runtime": config.runtime.model_copy(update={"dir": str(folder)})})


def table(folder: Path) -> Path:
    (path,) = folder.glob("*/*/layers.csv")
    return path


def test_layers_csv_has_a_row_for_each_epoch_and_layer(make_config, tmp_path):
    config = placed(make_config(*MLP), tmp_path)
    _, (rows,) = fit(trainer_of(config))
    experiment.run(Run(config, []), Reporter("off"))
    with table(tmp_path).open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["epoch"], line["layer"]) for line in lines] == [
        (epoch, layer) for epoch in "12" for layer in ("dense1", "dense2", "output")
    ]
    assert {line["after_mean"] for line in lines} == {""}
    assert [float(line["grad_norm"]) for line in lines] == [row["grad_norm"] for row in flat(rows)]


def test_a_stopped_run_s_rows_are_those_of_its_checkpoint(make_config, tmp_path):
    config = make_config(*MLP, "norm=batch", "dropout=0.3", "epochs=3")
    whole, stopped = (Run(placed(config, tmp_path / name), []) for name in ("whole", "stopped"))
    experiment.run(whole, Reporter("off"))
    with pytest.raises(KeyboardInterrupt):
        experiment.run(stopped, Stopping(12))
    assert len(table(tmp_path / "stopped").read_text().splitlines()) == 1 + 2 * 3
    with table(tmp_path / "stopped").open("a") as file:
        file.write("3,dense1,0.5,1\n3,den")
    experiment.run(stopped, Reporter("off"))
    assert table(tmp_path / "stopped").read_bytes() == table(tmp_path / "whole").read_bytes()


def test_a_diverged_run_keeps_its_rows(make_config, tmp_path):
    config = placed(make_config(*MLP, "optimizer=sgd", "activation=leaky_relu", "optimizer.lr=1e38"), tmp_path)
    assert experiment.run(Run(config, []), Reporter("off")).state == "diverged"
    with table(tmp_path).open(newline="") as file:
        assert [line["weight_norm"] for line in csv.DictReader(file)] == ["nan"] * 3


def test_off_leaves_no_layers_csv_behind(train, tmp_path):
    words = ("model.hidden=[16]", "data.train_size=500", "epochs=1", "runtime.progress=off")
    assert train(*words).code == 0
    table(tmp_path / "runs")
    assert train(*words, "diagnostics=off", "force=true").code == 0
    assert not list(tmp_path.rglob("layers.csv"))
    ended = train("diagnostics=of")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "error: runtime.diagnostics=of: must be on or off. Did you mean 'off'?\n"
