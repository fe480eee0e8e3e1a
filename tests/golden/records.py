"""The content of a run.json, for tests; `python tests/golden/records.py` writes the committed directories again."""

import hashlib
import json
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from regbench.config import defaults
from regbench.config.run_config import AXES

HERE = Path(__file__).resolve().parent
EPOCHS = 5

NORMS: dict[str, dict[str, Any]] = {
    "none": {"name": "none"},
    "batch": {"name": "batch", "eps": 1e-05, "momentum": 0.1, "affine": True},
    "layer": {"name": "layer", "eps": 1e-05, "affine": True},
}
INITS: dict[str, dict[str, Any]] = {
    "kaiming": {"name": "kaiming", "distribution": "normal", "mode": "fan_in", "gain": None, "bias": 0.0},
    "xavier": {"name": "xavier", "distribution": "normal", "gain": None, "bias": 0.0},
}
CONFIG: dict[str, Any] = {
    "model": {"name": "mlp", "hidden": [256, 256]},
    "norm": NORMS["none"],
    "activation": {"name": "relu"},
    "init": INITS["kaiming"],
    "regularizer": {"name": "none"},
    "optimizer": {"name": "adam", "lr": 0.001, "betas": [0.9, 0.999], "eps": 1e-08, "weight_decay": 0.0},
    "scheduler": {"name": "constant"},
    "data": {"name": "mnist", "val_size": 5000, "train_size": None, "scaling": "standard"},
    "dropout": 0.0,
    "dropout_conv": None,
    "clip_norm": None,
    "clip_norm_type": 2.0,
    "clip_value": None,
    "epochs": EPOCHS,
    "batch_size": 100,
    "drop_last": False,
    "seed": 0,
    "study": "default",
    "force": False,
    "runtime": {"dir": "runs", "device": "auto", "threads": "auto", "progress": "auto", "cache": None},
}


def identity(config: Mapping[str, Any]) -> str:
    """Hash a config as the program does: two configs that must give the same numbers have the same identity."""
    kept = {key: value for key, value in config.items() if key not in ("study", "force", "runtime")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def figures(test_acc: float | None, epoch: int = EPOCHS) -> dict[str, float | None]:
    """Make one epoch's figures, in a plausible relation to the test accuracy, which is a fraction."""
    error = 0.0 if test_acc is None else 1 - test_acc
    others = {"train_loss": error, "train_acc": 1 - error / 4, "val_loss": 4 * error, "val_acc": 1 - error}
    return {"epoch": epoch, **others, "test_loss": 3 * error, "test_acc": test_acc}


def record(
    status: str = "completed",
    test_acc: float | None = 0.975,
    finished: str = "2026-01-01T10:05:00+00:00",
    **changes: Any,
) -> dict[str, Any]:
    """Make a run.json. `changes` are those of the config; the last epoch's accuracy is 0.001 below the chosen one's."""
    config = CONFIG | changes
    completed = status == "completed"
    last = None if test_acc is None else round(test_acc - 0.001, 6)
    result = {"last": figures(last), "best_val": figures(test_acc, EPOCHS - 1), "seconds": 4.25}
    return {
        "format": 1,
        "status": status,
        "identity": identity(config),
        "study": config["study"],
        "config": config,
        "result": result if completed else None,
        "error": None if completed or status == "running" else f"{status} in epoch 2",
        "overrides": [],
        "versions": {"regbench": "0.1.0", "torch": "2.9.0", "numpy": "2.3.0", "python": "3.12.0"},
        "machine": {"host": "host", "platform": "Linux", "device": "cpu", "device_name": "cpu", "threads": 2},
        "git": None,
        "times": {
            "started": "2026-01-01T10:00:00+00:00",
            "updated": finished,
            "finished": finished if status in ("completed", "diverged") else None,
        },
    }


def write(runs: Path, content: Mapping[str, Any], name: str | None = None) -> Path:
    """Write a record where the program does: runs/<study>/<slug>-<id>/run.json."""
    config = content["config"]
    chosen = [config[axis]["name"] for axis in ("model", "norm", "activation", "init", "optimizer")]
    slug = "-".join([option for option in chosen if option != "none"] + [f"s{config['seed']}"])
    path = runs / config["study"] / (name or f"{slug}-{content['identity'][:12]}")
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps(content, indent=1) + "\n")
    return path


def run(norm: str, init: str, seed: int, status: str, test_acc: float | None = None, **changes: Any) -> dict[str, Any]:
    """Make a record of the committed sweep."""
    return record(
        status, test_acc, **({"norm": NORMS[norm], "init": INITS[init], "seed": seed, "study": "norms"} | changes)
    )


def generate(runs: Path) -> None:
    """Write a sweep of three norms and two initializers in which almost everything went wrong that can."""
    for norm, init, accuracies in (
        ("none", "kaiming", (0.9781, 0.9765, 0.9790)),
        ("none", "xavier", (0.9774, 0.9779)),  # seed 2 is missing
        ("batch", "kaiming", (0.9812, 0.9804)),
        ("batch", "xavier", (0.9801, 0.9817, 0.9809)),
        ("layer", "kaiming", (0.9793,)),
    ):
        for seed, accuracy in enumerate(accuracies):
            write(runs, run(norm, init, seed, "completed", accuracy))
    write(runs, run("batch", "kaiming", 2, "diverged"))
    write(runs, run("layer", "kaiming", 1, "failed"))
    write(runs, run("layer", "kaiming", 2, "running"))
    write(runs, run("layer", "xavier", 0, "interrupted"))
    write(runs, run("none", "kaiming", 0, "completed", 0.9781, study="again", finished="2026-01-02T10:05:00+00:00"))
    write(runs, run("none", "kaiming", 1, "interrupted", study="again"))
    torn = write(runs, run("layer", "xavier", 1, "completed", 0.9788)) / "run.json"
    torn.write_text(torn.read_text()[:700])
    write(runs, run("layer", "xavier", 2, "completed", 0.9791) | {"format": 99})
    foreign = runs / "elsewhere" / "run.json"
    foreign.parent.mkdir()
    foreign.write_text('{"name": "not ours", "state": "finished"}\n')
    (runs / "notes.txt").write_text("A stray file.\n")
    (runs / "norms" / "sweep.log").write_text("Another one.\n")


VERDICTS = {"none": 0, "batch": 40, "layer": -30, "rms": 0, "group": 12, "instance": 3}  # planted, in 1/10,000
SPREAD = {"none": 15, "batch": 8, "layer": 8, "rms": 2, "group": 30, "instance": 20}  # of the differences
OTHER_NORMS = {name: {"name": name} for name in VERDICTS.keys() - NORMS.keys()}


def generate_verdicts(runs: Path) -> None:
    """Write a sweep of six norms and ten seeds: every verdict, a lost seed, a missing seed, torn epochs."""
    draw = random.Random(6)
    by_seed = [9700 + round(draw.gauss(0, SPREAD["none"])) for _ in range(10)]
    for norm, effect in VERDICTS.items():
        option = (NORMS | OTHER_NORMS)[norm]
        for seed, base in enumerate(by_seed):
            noise = round(draw.gauss(0, SPREAD[norm])) if norm != "none" else 0
            lost = "diverged" if (norm, seed) == ("group", 3) else "completed"
            if (norm, seed) == ("instance", 7):
                continue
            content = record(lost, (base + effect + noise) / 10_000, norm=option, seed=seed, study="verdicts")
            content["versions"]["torch"] = "2.10.0" if seed == 9 else "2.9.0"
            write_metrics(write(runs, content), 5 + effect / 100 + seed / 7)
    (torn,) = runs.glob("verdicts/mlp-rms-*-s5-*/metrics.csv")
    torn.write_text(torn.read_text()[:-30])
    (damaged,) = runs.glob("verdicts/mlp-rms-*-s6-*/metrics.csv")
    damaged.write_bytes(damaged.read_bytes()[:40] + b"\xff\xfe")
    (damaged.parent / "notes.txt").write_text("A stray file.\n")
    write(runs, record("completed", 0.5, norm=NORMS["batch"], study="copy", finished="2025-12-31T10:05:00+00:00"))


def write_metrics(run: Path, weight_norm: float) -> None:
    """Write epochs as the program does, with a few of its columns."""
    rows = [f"{epoch},{0.001},{1 / epoch},{weight_norm + epoch},0.5" for epoch in range(1, EPOCHS + 1)]
    (run / "metrics.csv").write_text("\n".join(["epoch,lr,train_loss,weight_norm,seconds", *rows]) + "\n")


IMAGES = 60  # in a test set


def generate_images(runs: Path) -> None:
    """Write three norms and three seeds with a bit for each image, except an older, a damaged and a wrong run."""
    draw = random.Random(7)
    ease = [draw.random() for _ in range(IMAGES)]
    for norm, skill in (("none", 0.2), ("batch", 0.45), ("layer", 0.25)):
        for seed in range(3):
            rights = {name: [draw.random() < skill + ease[i] for i in range(IMAGES)] for name in ("last", "best_val")}
            path = write_images(runs, rights, norm=NORMS[norm], seed=seed, study="images")
            bits = path / "correct.safetensors"
            if (norm, seed) == ("batch", 2):
                bits.unlink()
            elif (norm, seed) == ("layer", 0):
                bits.write_bytes(bits.read_bytes()[:-3])
            elif (norm, seed) == ("layer", 1):
                bits.write_bytes(bits_of({name: ~np.array(own) for name, own in rights.items()}, "0badcafe"))
    write_images(runs, rights, norm=NORMS["none"], study="copy", finished="2025-12-31T10:05:00+00:00")


def bits_of(rights: Mapping[str, Any], test_set: str) -> bytes:
    """Make the file that older versions left: a bit for each test image; their number and the set in the header."""
    (number,) = {len(bits) for bits in rights.values()}
    return save({name: np.packbits(bits) for name, bits in rights.items()}, {"images": f"{number} {test_set}"})


def write_images(runs: Path, rights: Mapping[str, list[bool]], test_set: str = "0badcafe", **changes: Any) -> Path:
    """Write a run that classified these test images correctly, at the last epoch and at the chosen one."""
    content = record("completed", **changes)
    for name, epoch in (("last", EPOCHS), ("best_val", EPOCHS - 1)):
        content["result"][name] = figures(sum(rights[name]) / len(rights[name]), epoch)
    path = write(runs, content)
    (path / "correct.safetensors").write_bytes(bits_of({n: np.array(own) for n, own in rights.items()}, test_set))
    return path


CHANGES: dict[str, tuple[Any, ...]] = {  # those of conf/study/everything.yaml
    "model": ("cnn",),
    "norm": ("batch", "group", "layer", "rms"),
    "activation": ("elu", "gelu", "identity", "leaky_relu", "selu", "sigmoid", "silu", "tanh"),
    "init": (
        *("constant", "default", "lecun", "lsuv", "normal", "orthogonal", "rbm", "small_normal", "sparse"),
        *("truncated_normal", "uniform", "xavier"),
    ),
    "regularizer": ("elastic_net", "l1", "l2"),
    "dropout": (0.2, 0.5),
    "label_smoothing": (0.1,),
    "max_norm": (2.0,),
    "clip_norm": (1.0,),
    "clip_value": (0.01,),
    "optimizer": (
        *("adadelta", "adafactor", "adagrad", "adamax", "adamw", "asgd", "lbfgs", "muon", "nadam", "radam", "rmsprop"),
        *("rprop", "sgd", "sparse_adam"),
    ),
    "scheduler": (
        *("cosine", "cosine_restarts", "cyclic", "exponential", "linear", "multistep", "one_cycle", "polynomial"),
        *("reduce_on_plateau", "step"),
    ),
    "data.scaling": ("unit",),
    "augment": ("affine", "erasing", "flip_rotate", "random_resized_crop"),
}


def generate_everything(runs: Path, seeds: int = 2) -> None:
    """Write a study in which each technique is alone against the default: 64 rows, 14 keys. It is not committed."""
    base = {key: value for key, value in defaults.of_run().items() if key not in ("study", "seed")}
    draw = random.Random(8)
    for key, value in [("seed", None), *((key, value) for key, values in CHANGES.items() for value in values)]:
        effect = draw.gauss(0, 0.004)
        config = _nested(base | ({key: value} if value is not None else {}))
        for seed in range(seeds):
            accuracy = round(0.95 + effect * (value is not None) + draw.gauss(0, 0.0004), 4)
            ended = "diverged" if value == "asgd" else "completed"
            write(runs, record(ended, accuracy, **config, seed=seed, study="everything"), f"{key}-{value}-{seed}")


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Make a config of dotted keys; an option has the arguments of its file, and those that are set."""
    config: dict[str, Any] = {}
    usual = defaults.of_run()
    for key, value in values.items():
        axis, _, argument = key.partition(".")
        if axis not in AXES:
            config[key] = value
        elif not argument:
            config[axis] = {"name": value, **defaults.of_option(axis, value)}
        elif argument in config[axis] and value != usual[key]:
            config[axis][argument] = value
    return config


SETS = {"runs": generate, "verdicts": generate_verdicts, "images": generate_images}

if __name__ == "__main__":
    for name, make in SETS.items():
        shutil.rmtree(HERE / name, ignore_errors=True)
        make(HERE / name)
