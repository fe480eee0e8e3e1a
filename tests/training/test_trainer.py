import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regbench.config.run_config import RunConfig
from regbench.data.split import Split, load_split, order
from regbench.models.architectures import build
from regbench.records.rows import Epoch
from regbench.techniques.optimizer import OPTIMIZERS
from regbench.training.trainer import Trainer
from support import EPOCH

CPU = torch.device("cpu")
TINY = ("model.hidden=[16]", "data.train_size=500", "data.val_size=300", "epochs=2")


L2 = ("regularizer=l2", "regularizer.strength=0.01")


def split_of(config: RunConfig) -> Split:
    return load_split(config.data, config.seed, CPU, Path("unused"))


def trainer_of(*configs: RunConfig) -> Trainer:
    return Trainer(configs, [split_of(config) for config in configs], CPU)


def train(trainer: Trainer) -> list[Epoch]:
    return [records[0] for records in trainer.epochs(lambda images: None)]


def pixels(images: Tensor) -> Tensor:
    return (images.float() / 255 - 0.1307) / 0.3081


def plain_optimizer(model: nn.Module, config: RunConfig) -> torch.optim.Optimizer:
    classes = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    return classes[config.optimizer.name](model.parameters(), **config.optimizer.args)


def plain_penalty(model: nn.Module, strength: float) -> Tensor:
    weights = [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    return strength * sum(((weight**2).sum() for weight in weights), torch.zeros(()))


def plain_evaluation(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(part) for part in pixels(images).split(77)])
    return F.cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).double().mean().item()


def plain_loop(config: RunConfig, split: Split, rates: list[float], strength: float) -> list[dict[str, float | None]]:
    """Training as anyone would write it: the rows of metrics.csv without the seconds."""
    model = build(config)
    optimizer = plain_optimizer(model, config)
    rows = []
    for epoch, rate in enumerate(rates):
        for group in optimizer.param_groups:
            group["lr"] = rate
        shuffled = split.train[order(len(split.train), config.seed, epoch)]
        batches = list(shuffled.split(config.batch_size))
        if config.drop_last and len(batches[-1]) < config.batch_size:
            batches.pop()
        loss_sum = hits = seen = 0.0
        penalties, norms, clipped = [], [], []
        model.train()
        for rows_of_batch in batches:
            labels = split.train_labels[rows_of_batch]
            logits = model(pixels(split.train_images[rows_of_batch]))
            loss, penalty = F.cross_entropy(logits, labels), plain_penalty(model, strength)
            optimizer.zero_grad()
            (loss + penalty).backward()
            norm = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).norm().item()
            if config.clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
            loss_sum += loss.item() * len(labels)
            hits += (logits.argmax(1) == labels).sum().item()
            seen += len(labels)
            penalties.append(penalty.item())
            norms.append(norm)
            clipped.append(config.clip_norm is not None and norm > config.clip_norm)
        val = plain_evaluation(model, split.train_images[split.val], split.train_labels[split.val])
        weights = [layer.weight.flatten() for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
        rows.append(
            {
                "epoch": epoch + 1,
                "lr": rate,
                "train_loss": loss_sum / seen,
                "train_acc": hits / seen,
                "val_loss": val[0],
                "val_acc": val[1],
                "gap": val[0] - loss_sum / seen,
                "penalty": sum(penalties) / len(penalties),
                "grad_norm": sum(norms) / len(norms),
                "clipped": sum(clipped) / len(clipped),
                "weight_norm": torch.cat(weights).norm().item(),
            }
        )
    return rows


@pytest.mark.parametrize(
    ("overrides", "rates", "strength"),
    [
        (["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.lr=0.05", "batch_size=64"], [0.05] * 2, 0.0),
        (["regularizer=l2", "regularizer.strength=0.01", "seed=3"], [1e-3] * 2, 0.01),
        (["norm=batch", "scheduler=cosine", "optimizer=sgd", "epochs=3"], [0.1, 0.075, 0.025], 0.0),
        (["optimizer=sgd", "clip_norm=0.9", "batch_size=300", "drop_last=true"], [0.1] * 2, 0.0),
        (["model=cnn", "model.channels=[4,8]", "model.dense=[]", "data.train_size=300"], [1e-3] * 2, 0.0),
        (
            ["model=cnn", "model.channels=[4,8]", "model.dense=[]", "data.train_size=300", "clip_norm=5", *L2],
            [1e-3] * 2,
            0.01,
        ),
    ],
    ids=["sgd momentum, a small last batch", "l2", "batch norm, cosine", "clipping, drop_last", "cnn", "cnn, l2"],
)
def test_the_figures_are_those_of_a_plain_loop(make_config, overrides, rates, strength):
    sizes = ("data.train_size=2000", "data.val_size=1234", "epochs=2")
    hidden = () if "model=cnn" in overrides else ("model.hidden=[32]",)
    config = make_config(*hidden, *sizes, *overrides)
    split = split_of(config)
    rows = [{**vars(record)} for record in train(Trainer([config], [split], CPU))]
    for row in rows:
        assert row.pop("seconds") > 0
    for row, plain in zip(rows, plain_loop(config, split, rates, strength), strict=True):
        assert row == pytest.approx(plain, rel=2e-4, abs=1e-9)


@pytest.mark.parametrize("batch_size", [60, 50], ids=["a rest is left", "no rest is left"])
def test_figures_summed_in_parts_are_the_same(make_config, monkeypatch, batch_size):
    config = make_config(*TINY, f"batch_size={batch_size}", "clip_norm=4")
    whole = [without_seconds(record) for record in train(trainer_of(config))]
    monkeypatch.setattr("regbench.training.epoch_figures.KEPT_LOGITS", 2 * batch_size * 10)
    parts = [without_seconds(record) for record in train(trainer_of(config))]
    assert parts == [pytest.approx(row, rel=1e-12) for row in whole]


def test_some_steps_are_clipped_and_some_are_not(make_config):
    """The share in the test above is then neither 0 nor 1, which a wrong share could equal too."""
    config = make_config(*TINY, "optimizer=sgd", "clip_norm=4", "batch_size=20", "epochs=1")
    (record,) = train(trainer_of(config))
    assert 0 < record.clipped < 1
    assert math.isclose(record.clipped * 25, round(record.clipped * 25), rel_tol=1e-6)


@pytest.mark.parametrize(
    ("batch_size", "drop_last", "steps"),
    [(100, False, [100] * 5), (100, True, [100] * 5), (120, False, [120] * 4 + [20]), (120, True, [120] * 4)],
)
def test_an_epoch_sees_each_image_once(make_config, batch_size, drop_last, steps):
    config = make_config(*TINY, f"batch_size={batch_size}", f"drop_last={drop_last}")
    trainer = trainer_of(config)
    seen: list[int] = []
    list(trainer.epochs(seen.append))
    assert seen == steps * 2
    assert trainer.images_per_epoch == sum(steps)


def test_each_epoch_has_a_new_order(make_config, monkeypatch):
    config = make_config(*TINY, "runtime.diagnostics=off")
    split = split_of(config)
    rows: list[Tensor] = []
    original = Split.batch
    monkeypatch.setattr(Split, "batch", lambda self, r, draws: (rows.append(r), original(self, r, draws))[1])
    train(Trainer([config], [split], CPU))
    training = [part for part in rows if part.shape == (1, config.batch_size)]
    assert len(training) == 10
    first, second = torch.cat(training[:5], 1)[0], torch.cat(training[5:], 1)[0]
    assert not torch.equal(first, second)
    assert first.sort().values.equal(split.train.sort().values)
    assert second.sort().values.equal(split.train.sort().values)


# Evaluation


def test_evaluation_covers_every_image_without_dropout(make_config):
    config = make_config(*TINY, "data.val_size=2345", "dropout=0.5", "norm=batch", "batch_size=64")
    trainer = trainer_of(config)
    split, model = trainer.splits[0], trainer.stack.models[0]
    record = train(trainer)[-1]
    loss, acc = plain_evaluation(model, split.train_images[split.val], split.train_labels[split.val])
    assert (record.val_loss, record.val_acc) == pytest.approx((loss, acc), rel=1e-5)
    test_loss, test_acc = trainer.test()[0]["last"]
    assert test_acc * 10_000 == pytest.approx(round(test_acc * 10_000), abs=1e-6)
    assert len(split.test_labels) == 10_000
    if trainer.best[0].epoch == config.epochs:
        assert (test_loss, test_acc) == pytest.approx(plain_evaluation(model, split.test_images, split.test_labels))


def test_the_test_figures_belong_to_the_last_and_the_chosen_epoch(make_config):
    config = make_config(*TINY, "epochs=6", "optimizer.lr=0.03", "model.hidden=[64]")
    trainer = trainer_of(config)
    split, model = trainer.splits[0], trainer.stack.models[0]
    snapshots, losses = [], []
    for records in trainer.epochs(lambda images: None):
        snapshots.append({name: value.clone() for name, value in model.state_dict().items()})
        losses.append(records[0].val_loss)
    chosen = losses.index(min(losses))
    assert chosen < 5, "overfits: the last epoch must not be the best"
    best = trainer.best[0]
    assert (best.epoch, best.val_loss) == (chosen + 1, losses[chosen])
    assert all(torch.equal(best.weights[name], value) for name, value in snapshots[chosen].items())
    figures = trainer.test()[0]
    for name, snapshot in {"last": snapshots[-1], "best_val": snapshots[chosen]}.items():
        model.load_state_dict(snapshot)
        plain = plain_evaluation(model, split.test_images, split.test_labels)
        assert figures[name] == pytest.approx(plain, rel=1e-5)
        model.eval()
        with torch.no_grad():
            classes = model(split.scaled(split.test_images)).argmax(1)
        assert (trainer.predicted[0][name] == classes.numpy()).mean() > 0.9999  # a tie may be rounded otherwise
        rights = trainer.predicted[0][name] == split.test_labels.numpy()
        assert rights.sum() == round(figures[name][1] * 10_000)
    assert figures["last"] != figures["best_val"]


def test_the_first_among_equals_is_chosen(make_config):
    trainer = trainer_of(make_config(*TINY, "optimizer=sgd", "optimizer.lr=0"))
    first, second = train(trainer)
    assert first.val_loss == second.val_loss
    assert trainer.best[0].epoch == 1


def test_without_validation_the_last_epoch_is_chosen(make_config):
    trainer = trainer_of(make_config(*TINY, "data.val_size=0", "epochs=3"))
    records = train(trainer)
    assert [(record.val_loss, record.val_acc) for record in records] == [(None, None)] * 3
    best = trainer.best[0]
    assert best.epoch == 3
    current = trainer.stack.models[0].state_dict()
    assert all(torch.equal(best.weights[name], value) for name, value in current.items())
    figures = trainer.test()[0]
    assert figures["last"] == figures["best_val"]


# Divergence


def test_training_stops_when_the_loss_is_not_finite(make_config):
    trainer = trainer_of(make_config(*TINY, "epochs=5", "optimizer=sgd", "optimizer.lr=1e6"))
    (record,) = train(trainer)
    assert record.diverged
    assert trainer.finished == 1


def test_a_run_that_diverged_leaves_and_the_other_continues(make_config):
    sound = make_config(*TINY, "epochs=3", "optimizer=sgd")
    wild = make_config(*TINY, "epochs=3", "optimizer=sgd", "optimizer.lr=1e6")
    trainer = trainer_of(wild, sound)
    records = list(trainer.epochs(lambda images: None))
    diverged = [{run: record.diverged for run, record in epoch.items()} for epoch in records]
    assert diverged == [{0: True, 1: False}, {1: False}, {1: False}]
    assert trainer.active == list(trainer.test()) == [1]


def test_training_stops_when_every_run_has_diverged(make_config):
    rates = ("optimizer.lr=1e6", "optimizer.lr=1e20")
    trainer = trainer_of(*[make_config(*TINY, "epochs=5", "optimizer=sgd", rate) for rate in rates])
    (records,) = trainer.epochs(lambda images: None)
    assert all(record.diverged for record in records.values())
    assert (trainer.finished, trainer.active, trainer.test()) == (1, [], {})


@pytest.mark.parametrize("figure", ["train_loss", "val_loss", "penalty"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_every_loss_counts_for_divergence(figure, value):
    assert not EPOCH.diverged
    assert replace(EPOCH, **{figure: value}).diverged


# Resuming


@pytest.mark.parametrize(
    "optimizer",
    [name if name in ("adam", "muon") else pytest.param(name, marks=pytest.mark.slow) for name in OPTIMIZERS],
)
def test_a_saved_run_resumes_to_the_same_bits(make_config, optimizer):
    techniques = ("norm=batch", "dropout=0.3", "scheduler=cosine", "epochs=3", f"optimizer={optimizer}")
    changes = {
        "sgd": ["optimizer.momentum=0.9"],
        "adam": ["optimizer.amsgrad=true"],
        "lbfgs": ["optimizer.max_iter=2"],
        "muon": ["model.hidden=[16,16]"],
        "radam": ["scheduler=one_cycle", "scheduler.interval=step", "scheduler.warmup_epochs=0.5"],
        "nadam": ["scheduler=reduce_on_plateau", "scheduler.patience=0", "scheduler.threshold=1"],
    }
    config = make_config(*TINY, *techniques, *changes.get(optimizer, []))
    whole = trainer_of(config)
    expected = train(whole)
    assert len({record.lr for record in expected}) > 1

    file = io.BytesIO()
    interrupted = trainer_of(config)
    next(interrupted.epochs(lambda images: None))
    torch.save(interrupted.state(0), file)
    file.seek(0)
    resumed = trainer_of(config)
    resumed.load_state(0, torch.load(file, weights_only=True))
    records = train(resumed)

    assert [without_seconds(record) for record in records] == [without_seconds(record) for record in expected[1:]]
    assert resumed.best[0].epoch == whole.best[0].epoch
    for name, value in whole.weights(0).items():
        assert torch.equal(value, resumed.weights(0)[name]), name
        assert torch.equal(whole.best[0].weights[name], resumed.best[0].weights[name]), name


def without_seconds(record: Epoch) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key != "seconds"}


def test_a_state_is_not_moved_by_later_training(make_config):
    """The best epoch's weights are a copy, not the parameters that training continues with."""
    trainer = trainer_of(make_config(*TINY, "optimizer=sgd", "optimizer.lr=0.1"))
    epochs = trainer.epochs(lambda images: None)
    next(epochs)
    before = {name: value.clone() for name, value in trainer.best[0].weights.items()}
    kept = trainer.best[0].weights
    next(epochs)
    assert all(torch.equal(before[name], value) for name, value in kept.items())


def test_the_same_config_trains_to_the_same_bits(make_config):
    config = make_config(*TINY, "dropout=0.2", "norm=batch")
    first, second = trainer_of(config), trainer_of(config)
    torch.manual_seed(1)
    records = train(first)
    torch.manual_seed(2)
    assert [without_seconds(r) for r in records] == [without_seconds(r) for r in train(second)]
    assert all(torch.equal(value, second.weights(0)[name]) for name, value in first.weights(0).items())


def test_training_leaves_the_global_generator_alone(make_config):
    config = make_config(*TINY, "dropout=0.2", "norm=batch")
    torch.manual_seed(5)
    state = torch.get_rng_state()
    trainer = trainer_of(config)
    train(trainer)
    trainer.test()[0]
    assert torch.equal(torch.get_rng_state(), state)


def test_training_prints_nothing_and_touches_no_file(make_config, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer = trainer_of(make_config(*TINY))
    train(trainer)
    trainer.test()[0]
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
